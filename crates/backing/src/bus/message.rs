//! How nodes put in words what they tell each other: JSON with a version. The envelope (version, life, number) stays as it
//! is in every version, so that a node which is told something new knows at least that it missed it.

use std::sync::Arc;

use base::topology::Node;
use base::{Name, Timestamp, Value};
use bytes::Bytes;
use query::{Change, ChangeItem, ChangeKind, Row};
use serde::{Deserialize, Serialize};

use super::coherence::{Beacon, Echo, Said};

const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Change(Arc<Change>),
    /// Anything may have changed: what happened is not said, as it is unknown or too much.
    Anything {
        schema: bool,
        jobs: bool,
    },
    Said(Arc<Said>),
    Beacon(Beacon),
    Goodbye,
    /// Of a later version.
    Unknown,
}

/// A message, whose it is, and how many changes it had published by then.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    pub life: Name,
    pub published: u64,
    pub message: Message,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u32,
    life: Box<str>,
    n: u64,
}

#[derive(Serialize, Deserialize)]
struct Told {
    v: u32,
    life: Box<str>,
    n: u64,
    what: What,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Change {
        sequence: u64,
        /// Id, name, zone and region.
        origin: [Box<str>; 4],
        at: i64,
        schema: bool,
        jobs: bool,
        items: Vec<Item>,
    },
    Anything {
        schema: bool,
        jobs: bool,
    },
    Said {
        declared: Box<str>,
        follows: Vec<Box<str>>,
    },
    Beacon {
        number: u64,
        declared: Box<str>,
        follows: Vec<Box<str>>,
        /// Life, beacon and how many changes are applied.
        heard: Vec<(Box<str>, u64, u64)>,
    },
    Goodbye,
}

#[derive(Serialize, Deserialize)]
struct Item {
    table: Box<str>,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row: Option<Cells>,
}

/// A row on its way to another node.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cells(Vec<Cell>);

impl Cells {
    pub fn of(row: &Row) -> Cells {
        Cells(row.0.iter().map(cell).collect())
    }

    pub fn into_row(self) -> Row {
        Row(self.0.into_iter().map(value).collect())
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "i")]
    Insert,
    #[serde(rename = "u")]
    Update,
    #[serde(rename = "d")]
    Delete,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Cell {
    Null(()),
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    Json { j: Box<str> },
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null(()),
        Value::Bool(value) => Cell::Bool(*value),
        Value::Number(value) => Cell::Number(*value),
        Value::Text(text) => Cell::Text(text.clone()),
        Value::Json(text) => Cell::Json { j: text.clone() },
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null(()) => Value::Null,
        Cell::Bool(value) => Value::Bool(value),
        Cell::Number(value) => Value::Number(value),
        Cell::Text(text) => Value::Text(text),
        Cell::Json { j } => Value::Json(j),
    }
}

/// Puts a message in words. What is larger than `bytes_max` says only that anything may have changed.
pub fn write(letter: &Letter, bytes_max: usize) -> Bytes {
    let Letter { life, published, message } = letter;
    let what = match message {
        Message::Change(change) => What::Change {
            sequence: change.sequence,
            origin: origin(&change.origin),
            at: change.at.0,
            schema: change.schema,
            jobs: change.jobs,
            items: change.items.iter().map(item).collect(),
        },
        Message::Anything { schema, jobs } => What::Anything { schema: *schema, jobs: *jobs },
        Message::Said(said) => What::Said { declared: text(&said.declared), follows: texts(&said.follows) },
        Message::Beacon(beacon) => What::Beacon {
            number: beacon.number,
            declared: text(&beacon.said.declared),
            follows: texts(&beacon.said.follows),
            heard: beacon
                .heard
                .iter()
                .map(|echo| ((&*echo.life).into(), echo.beacon, echo.applied))
                .collect(),
        },
        Message::Goodbye => What::Goodbye,
        Message::Unknown => What::Anything { schema: true, jobs: true },
    };
    let told = Told { v: VERSION, life: (&**life).into(), n: *published, what };
    let bytes = serde_json::to_vec(&told).unwrap_or_default();
    match message {
        Message::Change(change) if bytes.is_empty() || bytes.len() > bytes_max => {
            let message = Message::Anything { schema: change.schema, jobs: change.jobs };
            write(&Letter { message, ..letter.clone() }, bytes_max)
        }
        _ => bytes.into(),
    }
}

/// `None` for what is no message at all.
pub fn read(bytes: &[u8]) -> Option<Letter> {
    let told = serde_json::from_slice::<Told>(bytes).ok().filter(|told| told.v <= VERSION);
    let Some(told) = told else {
        let Envelope { life, n, .. } = serde_json::from_slice(bytes).ok()?;
        return Some(Letter { life: life.into(), published: n, message: Message::Unknown });
    };
    let life: Name = told.life.into();
    let message = match told.what {
        What::Change { sequence, origin: [id, name, zone, region], at, schema, jobs, items } => {
            let origin = Node { id: id.into(), name: name.into(), zone: zone.into(), region: region.into() };
            let items = items.into_iter().map(read_item).collect();
            Message::Change(Arc::new(Change { sequence, origin, at: Timestamp(at), items, schema, jobs }))
        }
        What::Anything { schema, jobs } => Message::Anything { schema, jobs },
        What::Said { declared, follows } => Message::Said(said(declared, follows)),
        What::Beacon { number, declared, follows, heard } => {
            let echo =
                |(life, beacon, applied): (Box<str>, u64, u64)| Echo { life: life.into(), beacon, applied };
            Message::Beacon(Beacon {
                life: life.clone(),
                number,
                published: told.n,
                heard: heard.into_iter().map(echo).collect(),
                said: said(declared, follows),
            })
        }
        What::Goodbye => Message::Goodbye,
    };
    Some(Letter { life, published: told.n, message })
}

fn text(name: &Name) -> Box<str> {
    (&**name).into()
}

fn texts(names: &[Name]) -> Vec<Box<str>> {
    names.iter().map(text).collect()
}

fn said(declared: Box<str>, follows: Vec<Box<str>>) -> Arc<Said> {
    let follows = follows.into_iter().map(Name::from).collect();
    Arc::new(Said { declared: declared.into(), follows })
}

fn origin(node: &Node) -> [Box<str>; 4] {
    [&node.id, &node.name, &node.zone, &node.region].map(|part| (&**part).into())
}

fn item(item: &ChangeItem) -> Item {
    Item {
        table: (&*item.table).into(),
        kind: match item.kind {
            ChangeKind::Insert => Kind::Insert,
            ChangeKind::Update => Kind::Update,
            ChangeKind::Delete => Kind::Delete,
        },
        id: item.id.as_ref().map(|id| (&**id).into()),
        row: item.row.as_ref().map(|row| Cells::of(row)),
    }
}

fn read_item(item: Item) -> ChangeItem {
    ChangeItem {
        table: item.table.into(),
        kind: match item.kind {
            Kind::Insert => ChangeKind::Insert,
            Kind::Update => ChangeKind::Update,
            Kind::Delete => ChangeKind::Delete,
        },
        id: item.id.map(Into::into),
        row: item.row.map(|row| Arc::new(row.into_row())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(text: &str) -> Letter {
        let row = vec![
            Value::Null,
            Value::Bool(true),
            Value::Number(1.5),
            Value::Text(text.into()),
            Value::Json("[1]".into()),
        ];
        let item = ChangeItem {
            table: "posts".into(),
            kind: ChangeKind::Delete,
            id: Some("a".into()),
            row: Some(Arc::new(row.into())),
        };
        let whole = ChangeItem { kind: ChangeKind::Update, id: None, row: None, ..item.clone() };
        let change = Change {
            sequence: 7,
            origin: Node::named("n", "z", "r"),
            at: Timestamp(5),
            items: vec![item, whole],
            schema: false,
            jobs: true,
        };
        Letter { life: "l".into(), published: 3, message: Message::Change(Arc::new(change)) }
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let beacon = Beacon {
            life: "l".into(),
            number: 4,
            published: 3,
            heard: vec![Echo { life: "m".into(), beacon: 1, applied: 2 }],
            said: said("d".into(), vec!["t".into()]),
        };
        let letter = |message| Letter { life: "l".into(), published: 3, message };
        let others = [
            letter(Message::Beacon(beacon)),
            letter(Message::Goodbye),
            letter(Message::Said(said("x".into(), Vec::new()))),
            letter(Message::Anything { schema: true, jobs: false }),
        ];
        for letter in others.into_iter().chain([deleted("\u{1F600}\"\0")]) {
            assert_eq!(read(&write(&letter, 1 << 20)), Some(letter));
        }
    }

    #[test]
    fn what_is_too_large_or_too_new_is_still_counted() {
        let small = read(&write(&deleted(&"x".repeat(5000)), 1000)).unwrap();
        assert_eq!(small.message, Message::Anything { schema: false, jobs: true });
        assert_eq!(small.published, 3);
        let newer = br#"{"v":2,"life":"l","n":9,"what":{"other":{}},"more":1}"#;
        let newer = read(newer).unwrap();
        assert_eq!((newer.published, newer.message), (9, Message::Unknown));
        for wrong in [&b""[..], b"{}", b"[1]", b"\xff"] {
            assert_eq!(read(wrong), None);
        }
    }
}
