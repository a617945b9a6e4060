//! Generated filters and sorts over generated records: what one reader finds, all find. A case that fails is
//! made smaller and printed with its records.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Name, Timestamp, Value};
use model::collection::Collection;
use model::filter::{Resolver, Trust, parse};
use model::request::Request;
use model::schema::Schema;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use query::{Column, ColumnType, Expr, Select};
use serde_json::{Value as Json, json};

use crate::engines::{Engines, Tables, value};

/// How long to look for a difference. Given, the cases are new ones each time; not given, the same.
const SECONDS: &str = "PANDO_READERS_SECONDS";
const SECONDS_DEFAULT: u64 = 12;
const ROWS_MAX: usize = 4;
const FILTERS: usize = 12;

const IDS: [&str; 5] = ["r1", "r2", "r3", "5", "gone"];
const TEXTS: [&str; 32] = [
    "",
    "a",
    "A",
    "b",
    "é",
    "É",
    "ab",
    "a%",
    "%",
    "_",
    "a_b",
    "\\",
    "a\\",
    "5",
    "5.0",
    "05",
    " 5",
    "+5",
    ".5",
    "5.",
    "1e2",
    "1e",
    "-1",
    "0",
    "null",
    "true",
    "[]",
    "[\"a\",null,5]",
    "[a",
    "{\"a\":1}",
    "2024-02",
    "12:30",
];
const NUMBERS: [f64; 16] = [
    0.0,
    1.0,
    -1.0,
    2.0,
    5.0,
    0.5,
    0.1,
    100.0,
    -12.25,
    1e15,
    1e20,
    1e21,
    1e-6,
    1e-7,
    2460341.5,
    1706696430.0,
];
const DATES: [&str; 8] = [
    "",
    "0001-01-01 00:00:00.000Z",
    "2000-01-01 00:00:00.000Z",
    "2024-01-31 10:20:30.456Z",
    "2024-02-29 23:59:59.999Z",
    "2024-12-30 00:00:00.000Z",
    "1999-12-31 12:00:00.001Z",
    "9999-12-31 23:59:59.999Z",
];
const CHOICES: [&str; 5] = ["a", "b", "5", "É", "%"];

/// `one` holds a value of every kind, `two` lists of them; they refer to each other and to themselves.
fn collections() -> Vec<Arc<Collection>> {
    let fields = |list: &[(&str, &str, u8, &str)]| -> Vec<Json> {
        let mut fields = vec![json!({"id": "id", "name": "id", "type": "text", "primaryKey": true})];
        for (name, kind, max, target) in list {
            fields.push(json!({
                "id": name, "name": name, "type": kind, "maxSelect": max, "collectionId": target,
                "values": CHOICES,
            }));
        }
        fields
    };
    let own = |other: &'static str, max: u8| {
        [
            ("title", "text", 0, ""),
            ("n", "number", 0, ""),
            ("flag", "bool", 0, ""),
            ("day", "date", 0, ""),
            ("data", "json", 0, ""),
            ("place", "geoPoint", 0, ""),
            ("mail", "email", 0, ""),
            ("pick", "select", max, ""),
            ("doc", "file", max, ""),
            ("rel", "relation", max, other),
            ("rels", "relation", 9, "c_one"),
        ]
    };
    [("c_one", "one", own("c_two", 1)), ("c_two", "two", own("c_one", 3))]
        .into_iter()
        .map(|(id, name, list)| {
            let json = json!({"id": id, "name": name, "type": "base", "system": false, "listRule": "",
                "indexes": [], "fields": fields(&list)});
            Arc::new(Collection::from_json(&json).unwrap())
        })
        .collect()
}

fn json_value() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        select(&NUMBERS[..]).prop_map(Json::from),
        select(&TEXTS[..]).prop_map(Json::from),
        (-9i64..99).prop_map(Json::from),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::vec((select(&["a", "b", "0", "é x"][..]), inner), 0..3)
                .prop_map(|pairs| Json::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

fn field_value(column: &Column) -> BoxedStrategy<Json> {
    let reference = matches!(&*column.name, "rel" | "rels");
    let words: &'static [&'static str] = match &*column.name {
        "rel" | "rels" => &IDS,
        "pick" => &CHOICES,
        _ => &TEXTS,
    };
    let optional = |words: &'static [&'static str]| prop_oneof![Just(""), select(words)].boxed();
    match column.ty {
        ColumnType::Text if reference => optional(words).prop_map(Json::from).boxed(),
        ColumnType::Id | ColumnType::Text => select(words).prop_map(Json::from).boxed(),
        ColumnType::Number => select(&NUMBERS[..]).prop_map(Json::from).boxed(),
        ColumnType::Bool => any::<bool>().prop_map(Json::from).boxed(),
        ColumnType::Date => select(&DATES[..]).prop_map(Json::from).boxed(),
        ColumnType::Json | ColumnType::Dynamic => json_value().boxed(),
        ColumnType::List => prop::collection::vec(select(words), 0..3).prop_map(Json::from).boxed(),
        ColumnType::Point => (select(&[0.0, 5.0, -179.5, 23.25][..]), select(&[0.0, 42.5, -90.0][..]))
            .prop_map(|(lon, lat)| Value::Json(point(lon, lat).into()))
            .prop_map(|value| serde_json::from_str(value.as_str().unwrap()).unwrap())
            .boxed(),
    }
}

fn point(lon: f64, lat: f64) -> String {
    format!("{{\"lon\":{},\"lat\":{}}}", base::json::number_text(lon), base::json::number_text(lat))
}

type Record = Vec<Json>;

fn records(collection: &Collection) -> BoxedStrategy<Vec<Record>> {
    let columns = collection.table.columns.iter().skip(1);
    let fields: Vec<BoxedStrategy<Json>> = columns.map(field_value).collect();
    prop::collection::vec(fields, 0..=ROWS_MAX).boxed()
}

/// What a path ends in, seen from any of the two.
const LEAVES: [&str; 31] = [
    "id",
    "title",
    "n",
    "flag",
    "day",
    "data",
    "place",
    "mail",
    "pick",
    "doc",
    "rel",
    "rels",
    "title:lower",
    "n:lower",
    "data:lower",
    "day:lower",
    "pick:each",
    "pick:length",
    "doc:length",
    "rel:each",
    "rel:length",
    "rels:each",
    "rels:length",
    "data.a",
    "data.b.a",
    "data.0",
    "data.0.a",
    "data.1",
    "place.lon",
    "place.lat",
    "place.x",
];
const STEPS: [&str; 6] = ["", "", "", "rel.", "rels.", "two_via_rel."];

fn path() -> impl Strategy<Value = String> {
    let step = || select(&STEPS[..]);
    let first = prop_oneof![
        6 => step().prop_map(str::to_owned),
        1 => Just("@collection.two.".to_owned()),
        1 => Just("one_via_rels.".to_owned()),
        1 => Just("two_via_rels.".to_owned()),
    ];
    (first, step(), select(&LEAVES[..])).prop_map(|(first, second, leaf)| format!("{first}{second}{leaf}"))
}

fn literal() -> impl Strategy<Value = String> {
    fn text(text: &str) -> String {
        format!("'{}'", text.replace('\'', "\\'"))
    }
    prop_oneof![
        3 => select(&TEXTS[..]).prop_map(text),
        1 => select(&DATES[..]).prop_map(text),
        1 => select(&IDS[..]).prop_map(text),
        2 => select(&["0", "1", "5", "-1", "0.5", "100", "1000000", "2.50"][..]).prop_map(str::to_owned),
        1 => select(&["null", "true", "false", "''"][..]).prop_map(str::to_owned),
        1 => select(&["'%a%'", "'a%'", "'%\\\\\\\\'", "'\\\\%'", "'_%'"][..]).prop_map(str::to_owned),
    ]
}

fn term() -> impl Strategy<Value = String> {
    let format = select(&["%Y", "%Y-%m-%d", "%H:%M:%f", "%j %U %W %w", "%s", "%J", "%G-%V-%u", "%Q"][..]);
    let modifier = select(
        &[
            "",
            ", '+1 month'",
            ", '-1.5 days'",
            ", 'start of month', '+1 year'",
            ", 'weekday 1'",
            ", 'unixepoch'",
            ", 'bogus'",
            ", '-13 hours', 'start of day'",
        ][..],
    );
    prop_oneof![
        12 => path(),
        1 => (format, prop_oneof![3 => Just("day".to_owned()), 1 => path(), 1 => literal()], modifier)
            .prop_map(|(format, time, modifier)| format!("strftime('{format}', {time}{modifier})")),
        1 => (path(), path()).prop_map(|(lon, lat)| format!("geoDistance(place.lon, place.lat, {lon}, {lat})")),
    ]
}

fn comparison() -> impl Strategy<Value = String> {
    let operator = select(&["=", "!=", ">", ">=", "<", "<=", "~", "!~"][..]);
    let other = prop_oneof![2 => literal(), 1 => term()];
    (term(), any::<bool>(), operator, other, prop::bool::weighted(0.15)).prop_map(
        |(left, any, operator, right, turned)| {
            let (left, right) = if turned { (right, left) } else { (left, right) };
            format!("{left} {}{operator} {right}", if any { "?" } else { "" })
        },
    )
}

fn filter() -> impl Strategy<Value = String> {
    comparison().boxed().prop_recursive(2, 4, 3, |inner| {
        (prop::collection::vec(inner, 2..4), any::<bool>())
            .prop_map(|(parts, and)| format!("({})", parts.join(if and { " && " } else { " || " })))
    })
}

fn sort() -> impl Strategy<Value = String> {
    let key = (select(&["", "-"][..]), path()).prop_map(|(sign, path)| format!("{sign}{path}"));
    prop::collection::vec(key, 1..3).prop_map(|keys| keys.join(","))
}

#[derive(Clone, Debug)]
struct Case {
    records: Vec<Vec<Record>>,
    /// Filters and, marked, sorts.
    asked: Vec<(bool, String)>,
}

fn case(collections: &[Arc<Collection>]) -> impl Strategy<Value = Case> + use<> {
    let records: Vec<_> = collections.iter().map(|collection| records(collection)).collect();
    let asked = Union::new_weighted(vec![
        (9, filter().prop_map(|text| (false, text)).boxed()),
        (1, sort().prop_map(|text| (true, text)).boxed()),
    ]);
    (records, prop::collection::vec(asked, 1..=FILTERS)).prop_map(|(records, asked)| Case { records, asked })
}

fn tables(collections: &[Arc<Collection>], case: &Case) -> Tables {
    let rows = |collection: &Arc<Collection>, records: &[Record]| {
        let row = |(index, record): (usize, &Record)| -> Vec<(Column, Value)> {
            let id = Json::from(IDS[index]);
            let cells = collection.table.columns.iter().zip(std::iter::once(&id).chain(record));
            cells.map(|(column, json)| (column.clone(), cell(json, column.ty))).collect()
        };
        records.iter().enumerate().map(row).collect()
    };
    collections.iter().zip(&case.records).map(|(c, records)| (c.name.clone(), rows(c, records))).collect()
}

fn cell(json: &Json, ty: ColumnType) -> Value {
    match ty {
        ColumnType::Point => {
            let part = |name: &str| json[name].as_f64().unwrap_or_default();
            Value::Json(point(part("lon"), part("lat")).into())
        }
        ty => value(json, ty),
    }
}

struct World {
    collections: Vec<Arc<Collection>>,
    schema: Schema,
    engines: Engines,
}

impl World {
    /// The query, unless the filter has no meaning in this schema.
    fn resolve(&self, is_sort: bool, text: &str) -> Option<Select> {
        let collection = &self.collections[0];
        let request = Request::default();
        let now = Timestamp::parse("2026-11-21 08:43:20.000Z").unwrap();
        let mut resolver = Resolver::new(&self.schema, collection, &request, now, Trust::Full);
        let resolved = if is_sort {
            let sort = resolver.sort(text).ok()?;
            resolver.finish(Expr::Const(true), sort).ok()?
        } else {
            let condition = resolver.condition(&parse(text).ok()?).ok()?;
            resolver.finish(condition, Vec::new()).ok()?
        };
        let id = Column::new("id", ColumnType::Id);
        let mut select = Select::table(collection.name.clone(), vec![id]);
        select.joins = resolved.joins;
        select.filter = resolved.filter;
        select.sort = resolved.sort;
        Some(select)
    }

    async fn judge(&self, case: &Case, asked: &mut usize) -> Result<(), String> {
        let tables = tables(&self.collections, case);
        let mut result = self.engines.fill(&self.collections, &tables).await;
        for (is_sort, text) in &case.asked {
            if result.is_err() {
                break;
            }
            let Some(select) = self.resolve(*is_sort, text) else { continue };
            *asked += 1;
            let mut found = self.engines.ask(&select, &tables).await;
            if *is_sort {
                found.pop();
            }
            if found.iter().any(|(_, ids)| *ids != found[0].1) {
                result = Err(shown(text, &found, &tables));
            }
        }
        self.engines.clear(&self.collections).await;
        result
    }
}

fn shown(text: &str, found: &[(&str, String)], tables: &Tables) -> String {
    let mut out = format!("{text}\n");
    for (reader, ids) in found {
        let _ = writeln!(out, "  {reader} found [{ids}]");
    }
    for (name, rows) in tables {
        for row in rows {
            let cells: Vec<String> =
                row.iter().map(|(column, value)| shown_cell(&column.name, value)).collect();
            let _ = writeln!(out, "  {name}: {}", cells.join(" "));
        }
    }
    out
}

fn shown_cell(name: &Name, value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{name}={text:?}"),
        Value::Json(text) => format!("{name}={text}"),
        other => format!("{name}={other:?}"),
    }
}

#[test]
fn all_readers_agree() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let collections = collections();
    let engines = runtime.block_on(Engines::start());
    let world = World { schema: Schema::new(collections.clone(), 1), collections, engines };
    let given: Option<u64> = std::env::var(SECONDS).ok().map(|text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(given.unwrap_or(SECONDS_DEFAULT));
    let config = Config { cases: 8, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut runner = match given {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let asked = std::cell::Cell::new(0);
    while Instant::now() < until {
        let result = runner.run(&case(&world.collections), |case| {
            let mut count = asked.get();
            let judged = runtime.block_on(world.judge(&case, &mut count));
            asked.set(count);
            judged.map_err(TestCaseError::fail)
        });
        if let Err(TestError::Fail(reason, _)) = result {
            panic!("{reason}");
        }
    }
    println!("{} questions", asked.get());
}
