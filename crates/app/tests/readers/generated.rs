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
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use query::{Column, ColumnType, Expr, Select};
use serde_json::{Value as Json, json};

use crate::engines::{Engines, Tables, value};

/// How long to look for a difference. Given, the cases are new ones each time; not given, the same.
const SECONDS: &str = "PANDO_READERS_SECONDS";
const SECONDS_DEFAULT: u64 = 12;
const ROWS_MAX: usize = 4;
const FILTERS: usize = 60;

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

/// Numbers that decide what is generated. They are what is made smaller when a case fails: 0 stands for the
/// simplest choice everywhere, and so does the end.
struct Picks<'p>(std::slice::Iter<'p, u16>);

impl Picks<'_> {
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or_default()) % count
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

fn json_value(picks: &mut Picks<'_>, depth: usize) -> Json {
    match picks.below(if depth == 0 { 5 } else { 8 }) {
        0 => Json::Null,
        1 => picks.of(&NUMBERS).into(),
        2 => picks.of(&TEXTS).into(),
        3 => (picks.below(100) as i64 - 9).into(),
        4 => (picks.below(2) == 1).into(),
        5 => (0..picks.below(3)).map(|_| json_value(picks, depth - 1)).collect(),
        _ => {
            let keys = ["a", "b", "0", "é x"];
            (0..picks.below(3)).map(|_| (picks.of(&keys).to_owned(), json_value(picks, depth - 1))).collect()
        }
    }
}

fn cell(picks: &mut Picks<'_>, column: &Column) -> Value {
    let words: &[&str] = match &*column.name {
        "rel" | "rels" => &IDS,
        "pick" => &CHOICES,
        _ => &TEXTS,
    };
    match column.ty {
        ColumnType::Id | ColumnType::Text if words.contains(&"") => picks.of(words).into(),
        ColumnType::Id | ColumnType::Text => match picks.below(words.len() + 1) {
            0 => "".into(),
            index => words[index - 1].into(),
        },
        ColumnType::Number => picks.of(&NUMBERS).into(),
        ColumnType::Bool => (picks.below(2) == 1).into(),
        ColumnType::Date => picks.of(&DATES).into(),
        ColumnType::Json | ColumnType::Dynamic => value(&json_value(picks, 2), column.ty),
        ColumnType::List => {
            let list: Vec<&str> = (0..picks.below(4)).map(|_| picks.of(words)).collect();
            Value::list(&list)
        }
        ColumnType::Point => {
            let number = |number: f64| base::json::number_text(number);
            let lon = number(picks.of(&[0.0, 5.0, -179.5, 23.25]));
            let lat = number(picks.of(&[0.0, 42.5, -90.0]));
            Value::Json(format!("{{\"lon\":{lon},\"lat\":{lat}}}").into())
        }
    }
}

/// What a path ends in, in both collections.
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

fn path(picks: &mut Picks<'_>) -> String {
    let mut out = String::new();
    let mut in_one = true;
    if picks.below(16) == 15 {
        out.push_str("@collection.two.");
        in_one = false;
    }
    for _ in 0..[0, 0, 0, 1, 1, 2][picks.below(6)] {
        let (step, to_one) = if in_one {
            picks.of(&[
                ("rel.", false),
                ("rels.", true),
                ("two_via_rel.", false),
                ("one_via_rels.", true),
                ("two_via_rels.", false),
            ])
        } else {
            picks.of(&[("rel.", true), ("rels.", true), ("one_via_rel.", true)])
        };
        out.push_str(step);
        in_one = to_one;
    }
    out + picks.of(&LEAVES)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn literal(picks: &mut Picks<'_>) -> String {
    match picks.below(9) {
        0 => picks.of(&["null", "''", "true", "false"]).to_owned(),
        1 | 2 => picks.of(&["0", "1", "5", "-1", "0.5", "100", "1000000", "2.50"]).to_owned(),
        3 => quoted(picks.of(&DATES)),
        4 => quoted(picks.of(&IDS)),
        5 => quoted(picks.of(&["%a%", "a%", "%\\\\", "%\\", "\\%", "_%"])),
        _ => quoted(picks.of(&TEXTS)),
    }
}

fn term(picks: &mut Picks<'_>) -> String {
    match picks.below(16) {
        14 => {
            let formats =
                ["%Y", "%Y-%m-%d", "%H:%M:%f", "%j %U %W %w", "%s", "%J", "%G-%V-%u", "%I%p %k %l %e", "%Q"];
            let modifiers = [
                "",
                ", '+1 month'",
                ", '-1.5 days'",
                ", 'start of month', '+1 year'",
                ", 'weekday 1'",
                ", 'unixepoch'",
                ", 'bogus'",
                ", 'unixepoch', '+400000000000 seconds'",
                ", '-14712 years'",
                ", '-13 hours', 'start of day'",
            ];
            let format = picks.of(&formats);
            let time = match picks.below(3) {
                0 => "day".to_owned(),
                1 => path(picks),
                _ => literal(picks),
            };
            format!("strftime('{format}', {time}{})", picks.of(&modifiers))
        }
        15 => format!("geoDistance(place.lon, place.lat, {}, {})", path(picks), path(picks)),
        _ => path(picks),
    }
}

fn filter(picks: &mut Picks<'_>, depth: usize) -> String {
    if depth > 0 && picks.below(4) == 3 {
        let glue = picks.of(&[" && ", " || "]);
        let parts: Vec<String> = (0..2 + picks.below(2)).map(|_| filter(picks, depth - 1)).collect();
        return format!("({})", parts.join(glue));
    }
    let left = term(picks);
    let any = picks.of(&["", "", "?"]);
    let operator = picks.of(&["=", "!=", ">", ">=", "<", "<=", "~", "!~"]);
    let right = if picks.below(3) == 2 { term(picks) } else { literal(picks) };
    if picks.below(8) == 7 {
        return format!("{right} {any}{operator} {left}");
    }
    format!("{left} {any}{operator} {right}")
}

fn sort(picks: &mut Picks<'_>) -> String {
    let keys: Vec<String> =
        (0..1 + picks.below(2)).map(|_| format!("{}{}", picks.of(&["+", "-"]), path(picks))).collect();
    keys.join(",")
}

#[derive(Clone, Debug)]
struct Case {
    /// For each collection, its records.
    records: Vec<Vec<Vec<u16>>>,
    /// Filters, and every few a sort.
    asked: Vec<Vec<u16>>,
}

fn case(collections: usize) -> impl Strategy<Value = Case> {
    let picks = |most: usize| prop::collection::vec(any::<u16>(), 0..most);
    let records = prop::collection::vec(prop::collection::vec(picks(40), 0..=ROWS_MAX), collections);
    let asked = prop::collection::vec(picks(40), 1..=FILTERS);
    (records, asked).prop_map(|(records, asked)| Case { records, asked })
}

fn tables(collections: &[Arc<Collection>], case: &Case) -> Tables {
    let row = |collection: &Collection, id: &str, picks: &[u16]| -> Vec<(Column, Value)> {
        let mut picks = Picks(picks.iter());
        let columns = collection.table.columns.iter().enumerate();
        let cell = |(index, column): (usize, &Column)| {
            let value = if index == 0 { id.into() } else { cell(&mut picks, column) };
            (column.clone(), value)
        };
        columns.map(cell).collect()
    };
    let mut out = Tables::new();
    for (collection, records) in collections.iter().zip(&case.records) {
        let rows = records.iter().zip(IDS).map(|(picks, id)| row(collection, id, picks));
        out.insert(collection.name.clone(), rows.collect());
    }
    out
}

/// Is it a sort, and its text.
fn question(picks: &[u16]) -> (bool, String) {
    let mut picks = Picks(picks.iter());
    match picks.below(12) {
        11 => (true, sort(&mut picks)),
        _ => (false, filter(&mut picks, 2)),
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
        // All columns: ids alone are read from their index, which is another order where sort keys are equal.
        let mut select = Select::table(collection.name.clone(), collection.table.columns.clone());
        select.joins = resolved.joins;
        select.filter = resolved.filter;
        select.sort = resolved.sort;
        Some(select)
    }

    async fn judge(&self, case: &Case, asked: &mut usize) -> Result<(), String> {
        let tables = tables(&self.collections, case);
        let mut result = self.engines.fill(&self.collections, &tables).await;
        for (is_sort, text) in case.asked.iter().map(|picks| question(picks)) {
            if result.is_err() {
                break;
            }
            let Some(select) = self.resolve(is_sort, &text) else { continue };
            *asked += 1;
            let mut found = self.engines.ask(&select, &tables).await;
            if is_sort {
                found.pop();
            }
            if found.iter().any(|(_, ids)| *ids != found[0].1) {
                result = Err(shown(&text, &found, &tables));
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
    let config = Config {
        cases: 8,
        failure_persistence: None,
        max_shrink_iters: 1500,
        max_shrink_time: 30_000,
        ..Config::default()
    };
    let mut runner = match given {
        Some(_) => TestRunner::new(config.clone()),
        None => TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let asked = std::cell::Cell::new(0);
    while Instant::now() < until {
        let result = runner.run(&case(world.collections.len()), |case| {
            let mut count = asked.get();
            let judged = runtime.block_on(world.judge(&case, &mut count));
            asked.set(count);
            judged.map_err(TestCaseError::fail)
        });
        if let Err(TestError::Fail(reason, _)) = result {
            panic!("{reason}");
        }
        // A runner runs its number of cases once.
        let rng = runner.new_rng();
        runner = TestRunner::new_with_rng(config.clone(), rng);
    }
    println!("{} questions", asked.get());
}
