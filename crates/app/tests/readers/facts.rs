//! What the reference answered, over its own records, which `model` keeps beside its filters.

use std::sync::Arc;

use base::{Timestamp, Value};
use model::collection::Collection;
use model::filter::{Resolver, Trust, parse};
use model::record::Record;
use model::request::Request;
use model::schema::Schema;
use query::{Column, ColumnType, Expr, Select};
use serde_json::Value as Json;

use crate::engines::{Engines, Tables, value};

const WORLD: &str = include_str!("../../../model/src/filter/tests/world.json");
const FACTS: &str = include_str!("../../../model/src/filter/tests/facts.tsv");

/// A file of further facts in the same form.
const MORE: &str = "PANDO_FACTS";

struct World {
    collections: Vec<Arc<Collection>>,
    tables: Tables,
    now: Timestamp,
}

fn load() -> World {
    let world: Json = serde_json::from_str(WORLD).unwrap();
    let collections = world["collections"].as_array().unwrap();
    let collections: Vec<Arc<Collection>> =
        collections.iter().map(|json| Arc::new(Collection::from_json(json).unwrap())).collect();
    let mut tables = Tables::new();
    for collection in &collections {
        let records = world["records"][&*collection.name].as_array().cloned().unwrap_or_default();
        let row = |record: &Json| -> Vec<(Column, Value)> {
            let columns = collection.table.columns.iter();
            columns.map(|column| (column.clone(), value(&record[&*column.name], column.ty))).collect()
        };
        tables.insert(collection.name.clone(), records.iter().map(row).collect());
    }
    let now = Timestamp::parse(world["now"].as_str().unwrap()).unwrap();
    World { collections, tables, now }
}

/// Records are told apart by what they are called; posts, by the order of their creation, A to G.
fn labels(world: &World, collection: &str, ids: &str, sorted: bool) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for id in ids.split(',').filter(|id| !id.is_empty()) {
        let of = |row: &[(Column, Value)], name: &str| {
            row.iter().find(|(column, _)| &*column.name == name).map(|(_, value)| value.clone())
        };
        let rows = &world.tables[collection];
        let Some(index) = rows.iter().position(|row| of(row, "id").unwrap().text_or_empty() == id) else {
            return ids.to_owned();
        };
        if collection == "posts" || collection == "vposts" {
            let titles = ["A", "b", "5", "", "a%b_c\\d", "null", "10"];
            let title = of(&rows[index], "title").unwrap();
            let index = titles.iter().position(|known| *known == title.text_or_empty()).unwrap();
            labels.push(["A", "B", "C", "D", "E", "F", "G"][index]);
            continue;
        }
        let column = ["name", "title", "text", "bio", "id"]
            .into_iter()
            .find_map(|name| rows[index].iter().find(|(column, _)| &*column.name == name));
        labels.push(column.unwrap().1.text_or_empty());
    }
    if sorted {
        labels.sort();
    }
    if labels.is_empty() { "-".into() } else { labels.join(",") }
}

impl World {
    fn request(&self, who: &str, schema: &Schema) -> Request {
        let mut request = Request::default();
        for (name, value) in [("filter", ""), ("perPage", "200"), ("skipTotal", "1")] {
            request.query.insert(name.into(), value.into());
        }
        for (name, value) in [("accept", "*/*"), ("user_agent", "python-requests/2.34.2")] {
            request.headers.insert(name.into(), value.into());
        }
        let known = |collection: &str| schema.find(collection).unwrap().clone();
        request.auth = match who {
            "guest" => None,
            "super" => Some(Arc::new(Record::blank(known("_superusers")))),
            name => {
                let named = |row: &&Vec<(Column, Value)>| {
                    row.iter().any(|(column, value)| &*column.name == "name" && value.text_or_empty() == name)
                };
                let row = self.tables["authors"].iter().find(named).unwrap();
                let values: Vec<Value> = row.iter().map(|(_, value)| value.clone()).collect();
                Some(Arc::new(Record { collection: known("authors"), row: Arc::new(values.into()) }))
            }
        };
        request
    }

    /// With the list rules that the guarded facts were asked under, or with none.
    fn schema(&self, guarded: bool) -> Schema {
        let changed = self.collections.iter().map(|collection| {
            let mut changed = (**collection).clone();
            let rule = match (guarded, &*changed.name) {
                (true, "companies") => "name='acme'",
                (true, "tags") => "title='t1' && weight>0",
                (true, "comments") => "post.title='A'",
                _ => "",
            };
            changed.list_rule = changed.list_rule.map(|_| rule.to_owned());
            Arc::new(changed)
        });
        Schema::new(changed.collect(), 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts() {
    let world = load();
    let engines = Engines::start().await;
    engines.fill(&world.collections, &world.tables).await.unwrap();
    let schemas = [world.schema(false), world.schema(true)];
    let more = std::env::var(MORE).map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
    let (mut count, mut wrong) = (0, Vec::new());
    for line in FACTS.lines().chain(more.lines()) {
        let [mode, who, name, expected, text] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        if expected.starts_with('!') {
            continue;
        }
        let schema = &schemas[usize::from(mode == "guarded")];
        let collection = schema.find(name).unwrap();
        let request = world.request(who, schema);
        let trust = if mode == "rule" || who == "super" { Trust::Full } else { Trust::Client };
        let mut resolver = Resolver::new(schema, collection, &request, world.now, trust);
        let resolved = if mode == "sort" {
            resolver.sort(text).and_then(|sort| resolver.finish(Expr::Const(true), sort)).unwrap()
        } else {
            let condition = resolver.condition(&parse(text).unwrap()).unwrap();
            resolver.finish(condition, Vec::new()).unwrap()
        };
        let mut select = Select::table(collection.name.clone(), vec![Column::new("id", ColumnType::Id)]);
        select.joins = resolved.joins;
        select.filter = resolved.filter;
        select.sort = resolved.sort;
        for (reader, ids) in engines.ask(&select, &world.tables).await {
            // Memory does not sort.
            if mode == "sort" && reader == "memory" {
                continue;
            }
            count += 1;
            let found = labels(&world, name, &ids, mode != "sort");
            if found != expected {
                wrong.push(format!("{reader}: {mode} {who} {name} [{text}] {expected}, found {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
