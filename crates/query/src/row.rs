//! Rows as they come back.

use base::Value;

/// Values in the order of the query's columns, each in the form of its `ColumnType`. `Value::Null` stands for a
/// JSON null, and in `Text` columns for a null that only views and the rules of `_collections` can hold.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Row(pub Box<[Value]>);

impl Row {
    pub fn get(&self, index: usize) -> &Value {
        &self.0[index]
    }

    pub fn size_bytes(&self) -> usize {
        self.0.iter().map(Value::size_bytes).sum::<usize>() + 16
    }
}

impl From<Vec<Value>> for Row {
    fn from(values: Vec<Value>) -> Self {
        Row(values.into())
    }
}
