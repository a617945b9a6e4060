//! Both engines with the same tables and rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::topology::Node;
use base::{Name, SystemClock, Value};
use model::collection::Collection;
use query::eval::{Rows, eval_over};
use query::{Batch, Column, ColumnType, Ddl, Op, Select};
use serde_json::Value as Json;
use store::{Options, Store, Target, open};
use testkit::postgres::Postgres;

/// The rows of each table.
pub type Tables = BTreeMap<Name, Vec<Vec<(Column, Value)>>>;

/// A value of the API in the form of a column.
pub fn value(json: &Json, ty: ColumnType) -> Value {
    match (ty, json) {
        (ColumnType::Json | ColumnType::Dynamic, Json::Null) => Value::Null,
        (ColumnType::Json | ColumnType::Dynamic | ColumnType::List | ColumnType::Point, json) => {
            Value::Json(json.to_string().into())
        }
        (_, Json::Bool(flag)) => Value::Bool(*flag),
        (_, Json::Number(number)) => Value::Number(number.as_f64().unwrap()),
        (_, Json::String(text)) => Value::from(text.as_str()),
        _ => ty.zero(),
    }
}

pub struct Engines {
    pub stores: Vec<Store>,
    _postgres: Postgres,
    _dir: tempfile::TempDir,
}

impl Engines {
    pub async fn start() -> Engines {
        let dir = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(testkit::postgres::Options::default()).unwrap();
        let sqlite = Target::Sqlite { dir: dir.path().to_owned(), file: "data.db" };
        let mut stores = Vec::new();
        for target in [sqlite, Target::Postgres { url: postgres.database().unwrap() }] {
            let options = Options {
                target,
                node: Node::local(),
                clock: Arc::new(SystemClock),
                witness: Arc::new(()),
                exclusive: true,
            };
            stores.push(open(options).await.unwrap());
        }
        Engines { stores, _postgres: postgres, _dir: dir }
    }

    /// Says which engine took what badly.
    pub async fn fill(&self, collections: &[Arc<Collection>], tables: &Tables) -> Result<(), String> {
        for store in &self.stores {
            for collection in collections {
                let mut batch =
                    Batch { ddl: vec![Ddl::CreateTable(collection.table.clone())], ..Batch::default() };
                for row in tables.get(&collection.name).into_iter().flatten() {
                    let values = row.iter().map(|(column, value)| (column.name.clone(), value.clone()));
                    batch.ops.push(Op::Insert { table: collection.name.clone(), values: values.collect() });
                }
                let result = store.commit(batch).await;
                result.map_err(|error| format!("{}: {}: {error}", store.engine_name(), collection.name))?;
            }
        }
        Ok(())
    }

    pub async fn clear(&self, collections: &[Arc<Collection>]) {
        for store in &self.stores {
            for collection in collections {
                let drop = Ddl::DropTable(collection.name.clone());
                if let Err(error) = store.commit(Batch { ddl: vec![drop], ..Batch::default() }).await {
                    println!("{}: cannot drop {}: {error}", store.engine_name(), collection.name);
                }
            }
        }
    }

    /// The ids that each engine finds, in order of insertion, and those that memory does; or what kept it.
    pub async fn ask(&self, select: &Select, tables: &Tables) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for store in &self.stores {
            let ids = match store.select(select).await {
                Ok(rows) => {
                    let ids: Vec<&str> = rows.iter().map(|row| row.get(0).text_or_empty()).collect();
                    ids.join(",")
                }
                Err(error) => format!("{error}"),
            };
            found.push((store.engine_name(), ids));
        }
        found.push(("memory", in_memory(select, tables)));
        found
    }
}

fn in_memory(select: &Select, tables: &Tables) -> String {
    let query::Source::Table(base) = &select.from else { return "no table".into() };
    let whole = |name: &str| -> Option<&Rows> { tables.get(name).map(Vec::as_slice) };
    let mut found = Vec::new();
    for row in tables.get(base).into_iter().flatten() {
        let lookup = |column: &Column| &row.iter().find(|(known, _)| known.name == column.name).unwrap().1;
        match eval_over(&select.filter, &select.joins, lookup, &whole) {
            Ok(true) => found.push(lookup(&Column::new("id", ColumnType::Id)).text_or_empty()),
            Ok(false) => {}
            Err(error) => return error.to_string(),
        }
    }
    found.join(",")
}
