//! One record in memory.

use std::sync::Arc;

use base::Value;
use query::Row;

use crate::collection::Collection;

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub collection: Arc<Collection>,
    /// Values in the order of the collection's fields.
    pub row: Arc<Row>,
}

static NULL: Value = Value::Null;

impl Record {
    /// A record with every field unset.
    pub fn blank(collection: Arc<Collection>) -> Self {
        let values: Vec<Value> = collection.fields.iter().map(|field| field.column_type().zero()).collect();
        Record { collection, row: Arc::new(values.into()) }
    }

    /// `Null` for a field that does not exist.
    pub fn get(&self, name: &str) -> &Value {
        self.collection.position(name).map_or(&NULL, |index| self.row.get(index))
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name).text_or_empty()
    }

    pub fn id(&self) -> &str {
        self.text("id")
    }

    pub fn set_at(&mut self, position: usize, value: Value) {
        Arc::make_mut(&mut self.row).0[position] = value;
    }

    /// Does nothing for a field that does not exist.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Some(index) = self.collection.position(name) {
            self.set_at(index, value);
        }
    }
}
