//! The collections as this process knows them, and how it learns that they changed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base::Value;
use model::{Collection, CollectionRow, Schema};
use query::select::SortKey;
use query::{Assign, Column, ColumnType, Op, Row, Select, Sort};
use store::Store;

use crate::error::{Error, Result};

/// The table that holds the collections themselves.
pub const TABLE: &str = "_collections";

pub struct Catalog {
    schema: Arc<ArcSwap<Schema>>,
    /// Collections and settings change one at a time in this process; see [`crate::changing`].
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// What was read last is what is put in place last: a slow reader must not bring back what a change replaced.
    reading: tokio::sync::Mutex<()>,
}

impl Catalog {
    pub fn empty() -> Self {
        Catalog {
            schema: Arc::default(),
            changing: tokio::sync::Mutex::new(()),
            reading: tokio::sync::Mutex::new(()),
        }
    }

    pub fn schema(&self) -> Arc<Schema> {
        self.schema.load_full()
    }

    /// The newest, for those that are made before the rest.
    pub(crate) fn watched(&self) -> Arc<ArcSwap<Schema>> {
        self.schema.clone()
    }

    /// Whether this very collection is still the current one.
    pub fn holds(&self, collection: &Arc<Collection>) -> bool {
        self.schema.load().by_id(&collection.id).is_some_and(|current| Arc::ptr_eq(current, collection))
    }

    /// Reads all collections anew.
    pub async fn reload(&self, store: &Store) -> Result<()> {
        let _reading = self.reading.lock().await;
        // The version is read first: a change in between is then seen again, not missed.
        let version = store.schema_version().await?;
        let mut select = Select::table(TABLE, columns());
        select.sort = vec![
            Sort {
                by: SortKey::Operand(query::Operand::base("created", ColumnType::Text)),
                descending: false,
            },
            Sort { by: SortKey::Insertion, descending: false },
        ];
        let mut collections = Vec::new();
        let previous = self.schema();
        for row in store.select(&select).await? {
            let row = decode(&row);
            let name = row.name.clone();
            let collection = Collection::from_row(row).map_err(|_| {
                Error::new(base::Kind::Internal, format!("The stored collection {name:?} cannot be read."))
            })?;
            // Unchanged collections keep their identity, and with it their cached records.
            collections.push(match previous.by_id(&collection.id) {
                Some(known) if **known == collection => known.clone(),
                _ => Arc::new(collection),
            });
        }
        self.schema.store(Arc::new(Schema::new(collections, version)));
        Ok(())
    }
}

pub(crate) fn columns() -> Vec<Column> {
    [
        ("id", ColumnType::Id),
        ("system", ColumnType::Bool),
        ("type", ColumnType::Text),
        ("name", ColumnType::Text),
        ("fields", ColumnType::Json),
        ("indexes", ColumnType::Json),
        ("listRule", ColumnType::Text),
        ("viewRule", ColumnType::Text),
        ("createRule", ColumnType::Text),
        ("updateRule", ColumnType::Text),
        ("deleteRule", ColumnType::Text),
        ("options", ColumnType::Json),
        ("created", ColumnType::Text),
        ("updated", ColumnType::Text),
    ]
    .into_iter()
    .map(|(name, ty)| Column::new(name, ty))
    .collect()
}

fn decode(row: &Row) -> CollectionRow {
    let text = |index: usize| row.get(index).as_str().unwrap_or_default().to_string();
    let rule = |index: usize| row.get(index).as_str().map(str::to_string);
    CollectionRow {
        id: text(0),
        system: row.get(1).as_bool(),
        kind: text(2),
        name: text(3),
        fields: text(4),
        indexes: text(5),
        list_rule: rule(6),
        view_rule: rule(7),
        create_rule: rule(8),
        update_rule: rule(9),
        delete_rule: rule(10),
        options: text(11),
        created: text(12),
        updated: text(13),
    }
}

fn encode(row: CollectionRow) -> Vec<Value> {
    let rule = |rule: Option<String>| rule.map_or(Value::Null, Value::from);
    vec![
        Value::from(row.id),
        Value::Bool(row.system),
        Value::from(row.kind),
        Value::from(row.name),
        Value::Json(row.fields.into()),
        Value::Json(row.indexes.into()),
        rule(row.list_rule),
        rule(row.view_rule),
        rule(row.create_rule),
        rule(row.update_rule),
        rule(row.delete_rule),
        Value::Json(row.options.into()),
        Value::from(row.created),
        Value::from(row.updated),
    ]
}

/// The operation that stores a new collection.
pub fn insert(collection: &Collection) -> Op {
    let names = columns().into_iter().map(|column| column.name);
    Op::Insert { table: TABLE.into(), values: names.zip(encode(collection.to_row())).collect() }
}

/// The operation that stores a changed collection.
pub fn update(collection: &Collection) -> Op {
    let names = columns().into_iter().map(|column| column.name);
    let set = names.zip(encode(collection.to_row()).into_iter().map(Assign::Set)).skip(1).collect();
    Op::Update { table: TABLE.into(), id: collection.id.clone(), set }
}

pub fn delete(collection: &Collection) -> Op {
    Op::Delete { table: TABLE.into(), id: collection.id.clone(), row: None }
}
