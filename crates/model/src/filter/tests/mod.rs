//! What the reference answered, kept as data: `world.json` holds a schema with its records, `facts.tsv`
//! which of them each filter and rule found. Every line is resolved and evaluated over those records.
//! One fact is Pando's own answer: related records that the list rule hides are no counterexamples (`guarded`,
//! `tags.title='t1'`), while in the reference they decide and so can be found out.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Name, Timestamp, Value};
use query::eval::{Rows, eval_over};
use query::{Column, ColumnType};
use serde_json::{Value as Json, json};

use super::{Cause, ResolveError, Resolver, Trust, parse, superusers_only};
use crate::collection::Collection;
use crate::record::Record;
use crate::request::Request;
use crate::schema::Schema;

mod language;
mod resolving;

pub(super) struct World {
    pub schema: Schema,
    pub now: Timestamp,
    tables: BTreeMap<Name, Vec<Vec<(Column, Value)>>>,
}

fn value(json: &Json, ty: ColumnType) -> Value {
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

impl World {
    pub fn load() -> World {
        let world: Json = serde_json::from_str(include_str!("world.json")).unwrap();
        let collections: Vec<Arc<Collection>> = world["collections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|json| Arc::new(Collection::from_json(json).unwrap()))
            .collect();
        let mut tables = BTreeMap::new();
        for collection in &collections {
            let records = world["records"][&*collection.name].as_array().cloned().unwrap_or_default();
            let rows = records
                .iter()
                .map(|record| {
                    let columns = collection.table.columns.iter();
                    columns.map(|column| (column.clone(), value(&record[&*column.name], column.ty))).collect()
                })
                .collect();
            tables.insert(collection.name.clone(), rows);
        }
        let now = Timestamp::parse(world["now"].as_str().unwrap()).unwrap();
        World { schema: Schema::new(collections, 1), now, tables }
    }

    pub fn collection(&self, name: &str) -> &Arc<Collection> {
        self.schema.find(name).unwrap()
    }

    pub fn rows(&self, name: &str) -> &[Vec<(Column, Value)>] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn record(&self, collection: &str, name: &str) -> Record {
        let row = self.rows(collection).iter().find(|row| label(collection, row) == name).unwrap();
        let values: Vec<Value> = row.iter().map(|(_, value)| value.clone()).collect();
        Record { collection: self.collection(collection).clone(), row: Arc::new(values.into()) }
    }

    /// The request that the facts were asked with.
    pub fn request(&self, who: &str) -> Request {
        let mut request = Request::default();
        for (name, value) in [("filter", ""), ("perPage", "200"), ("skipTotal", "1")] {
            request.query.insert(name.into(), value.into());
        }
        for (name, value) in [("accept", "*/*"), ("user_agent", "python-requests/2.34.2")] {
            request.headers.insert(name.into(), value.into());
        }
        request.auth = match who {
            "guest" => None,
            "super" => Some(Arc::new(Record::blank(self.collection("_superusers").clone()))),
            name => Some(Arc::new(self.record("authors", name))),
        };
        request
    }

    /// The labels of the records that match, or `!`.
    fn ask(&self, mode: &str, who: &str, name: &str, filter: &str) -> String {
        let request = self.request(who);
        let trust = if mode == "rule" || who == "super" { Trust::Full } else { Trust::Client };
        if trust == Trust::Client && superusers_only(filter).is_some() {
            return "!403".into();
        }
        let mut resolver = Resolver::new(&self.schema, self.collection(name), &request, self.now, trust);
        let resolved = if mode == "sort" {
            resolver.sort(filter).and_then(|sort| resolver.finish(query::Expr::Const(true), sort))
        } else {
            let Ok(filter) = parse(filter) else { return "!".into() };
            resolver.condition(&filter).and_then(|condition| resolver.finish(condition, Vec::new()))
        };
        let Ok(resolved) = resolved else { return "!".into() };
        let tables = |name: &str| -> Option<&Rows> { Some(self.rows(name)) };
        let mut found: Vec<String> = Vec::new();
        for row in self.rows(name) {
            let lookup =
                |column: &Column| &row.iter().find(|(known, _)| known.name == column.name).unwrap().1;
            match eval_over(&resolved.filter, &resolved.joins, lookup, &tables) {
                Ok(true) => found.push(label(name, row)),
                Ok(false) => {}
                Err(_) => return format!("not known: {resolved:?}"),
            }
        }
        found.sort();
        if found.is_empty() { "-".into() } else { found.join(",") }
    }
}

/// Records are told apart by what they are called; posts, by the order of their creation, A to G.
fn label(collection: &str, row: &[(Column, Value)]) -> String {
    let text = |name: &str| row.iter().find(|(column, _)| &*column.name == name).map(|(_, value)| value);
    if matches!(collection, "posts" | "vposts") {
        let titles = ["A", "b", "5", "", "a%b_c\\d", "null", "10"];
        let title = text("title").unwrap().text_or_empty();
        let index = titles.iter().position(|known| *known == title).unwrap();
        return ["A", "B", "C", "D", "E", "F", "G"][index].to_owned();
    }
    let names = ["name", "title", "text", "bio", "id"];
    names.iter().find_map(|name| text(name)).unwrap().text_or_empty().to_owned()
}

#[test]
fn facts() {
    let mut world = World::load();
    let mut wrong = Vec::new();
    let mut guarded = false;
    let mut count = 0;
    for line in include_str!("facts.tsv").lines() {
        let [mode, who, collection, expected, filter] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        if (mode == "guarded") != guarded {
            guarded = mode == "guarded";
            let rule = |name: &str| match (guarded, name) {
                (true, "companies") => "name='acme'",
                (true, "tags") => "title='t1' && weight>0",
                (true, "comments") => "post.title='A'",
                _ => "",
            };
            let collections = world.schema.collections.iter().map(|collection| {
                let mut changed = (**collection).clone();
                if changed.list_rule.is_some() {
                    changed.list_rule = Some(rule(&changed.name).to_owned());
                }
                Arc::new(changed)
            });
            world.schema = Schema::new(collections.collect(), 1);
        }
        count += 1;
        let found = world.ask(mode, who, collection, filter);
        let same = if mode == "sort" {
            found.starts_with('!') == expected.starts_with('!')
        } else {
            found == expected
        };
        if !same {
            wrong.push(
                json!([mode, who, collection, filter, "expected", expected, "found", found]).to_string(),
            );
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Create and update rules with the body that they judged. Updates are of post A.
#[test]
fn bodies() {
    let world = World::load();
    let posts = world.collection("posts");
    let mut wrong = Vec::new();
    for line in include_str!("bodies.tsv").lines() {
        let [kind, expected, rule, body] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let Json::Object(body) = serde_json::from_str(body).unwrap() else { panic!("{line}") };
        let row: Vec<(Column, Value)> = match kind {
            "update" => world.rows("posts")[0].clone(),
            _ => {
                let columns = posts.table.columns.iter();
                columns
                    .map(|column| {
                        let given = match &*column.name {
                            "id" => Some(json!("new")),
                            name => body.get(name).cloned(),
                        };
                        (column.clone(), given.map_or(column.ty.zero(), |json| value(&json, column.ty)))
                    })
                    .collect()
            }
        };
        let request = Request { body, ..Request::default() };
        let mut resolver = Resolver::new(&world.schema, posts, &request, world.now, Trust::Full);
        if kind == "create" {
            resolver = resolver.creating();
        }
        let found = parse(rule)
            .map_err(Into::into)
            .and_then(|rule| resolver.condition(&rule))
            .and_then(|condition| resolver.finish(condition, Vec::new()))
            .map(|resolved| {
                let lookup =
                    |column: &Column| &row.iter().find(|(known, _)| known.name == column.name).unwrap().1;
                let tables = |name: &str| -> Option<&Rows> { Some(world.rows(name)) };
                eval_over(&resolved.filter, &resolved.joins, lookup, &tables)
            });
        let found = match &found {
            Ok(Ok(true)) => "yes",
            Ok(Ok(false)) => "no",
            Ok(Err(_)) => "unknown",
            // The rule could be saved, and refuses everyone.
            Err(ResolveError::Left(_, Cause::NewRecord(_))) => "no",
            Err(_) => "!",
        };
        if found != expected {
            wrong.push(format!("{kind} {rule} {} expected {expected}, found {found}", json!(request.body)));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
