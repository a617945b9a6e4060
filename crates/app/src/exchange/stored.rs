//! An export or import as it is stored. Each step names the one before it, so that of two processes that work on one
//! only one goes on.

use base::limits::EXCHANGE_ERROR_CHARS_MAX;
use base::{Kind, Name, Value};
use model::Violations;
use model::violation::Node;
use query::select::SortKey;
use query::{Assign, Batch, Column, ColumnType, Expr, Guard, Job, Op, Operand, Row, Select, Sort};
use serde::{Deserialize, Serialize};
use store::Store;

use super::{Format, Mode};
use crate::error::{Error, Result};
use crate::parts::Parts;

pub const TABLE: &str = "_pando_exchanges";
const OVERTAKEN: &str = "Another process works on it.";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Export,
    Import,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Export => "export",
            Direction::Import => "import",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Waiting,
    Running,
    Done,
    Failed,
}

impl State {
    const ALL: [State; 4] = [State::Waiting, State::Running, State::Done, State::Failed];

    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
        }
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowError {
    /// Where the row begins, counted from 1.
    pub line: u64,
    pub message: String,
}

/// The names are what is stored. What a later version adds is read over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Exchange {
    #[serde(skip)]
    pub id: Name,
    #[serde(skip)]
    pub direction: Direction,
    #[serde(skip)]
    pub state: State,
    #[serde(skip)]
    pub(super) step: f64,
    #[serde(skip)]
    pub created: String,
    #[serde(skip)]
    pub updated: String,
    /// Its id, and its name when it was asked for.
    pub collection: String,
    pub collection_name: String,
    /// The superuser who asked for it.
    pub by: String,
    pub format: Format,
    pub filter: String,
    pub mode: Mode,
    /// Of the file.
    pub size_bytes: u64,
    /// Rows that are to be exported.
    pub total: u64,
    /// Rows that are done.
    pub rows: u64,
    /// The end of the last row that was imported: in bytes, and the lines before it.
    pub position: u64,
    pub lines: u64,
    /// The names in the first row of a CSV file.
    pub header: Vec<String>,
    pub created_rows: u64,
    pub updated_rows: u64,
    pub failed_rows: u64,
    pub errors: Vec<RowError>,
    pub error: String,
    /// How often it was begun since something came of it.
    pub tries: u32,
}

/// The columns beside the id.
pub(crate) const COLUMNS: [(&str, ColumnType); 6] = [
    ("kind", ColumnType::Text),
    ("state", ColumnType::Text),
    ("step", ColumnType::Number),
    ("value", ColumnType::Text),
    ("created", ColumnType::Date),
    ("updated", ColumnType::Date),
];

fn columns() -> Vec<Column> {
    let id = Column::new("id", ColumnType::Id);
    std::iter::once(id).chain(COLUMNS.map(|(name, ty)| Column::new(name, ty))).collect()
}

pub async fn all(store: &Store, direction: Direction) -> Result<Vec<Exchange>> {
    let kind = Expr::eq(Operand::base("kind", ColumnType::Text), Value::from(direction.name()));
    let mut select = Select::table(TABLE, columns()).filter(kind);
    select.sort = vec![Sort { by: SortKey::Insertion, descending: true }];
    store.select(&select).await?.iter().map(decode).collect()
}

pub async fn one(store: &Store, id: &str) -> Result<Option<Exchange>> {
    let select = Select::by_ids(TABLE, columns(), vec![id.into()]);
    store.first(&select).await?.as_ref().map(decode).transpose()
}

fn decode(row: &Row) -> Result<Exchange> {
    let exchange: Exchange = serde_json::from_str(row.get(4).text_or_empty()).map_err(|error| {
        Error::new(Kind::Unsupported, "A stored export or import cannot be read.").details(error)
    })?;
    let is_import = row.get(1).text_or_empty() == Direction::Import.name();
    let state = State::ALL.into_iter().find(|state| state.name() == row.get(2).text_or_empty());
    Ok(Exchange {
        id: row.get(0).text_or_empty().into(),
        direction: if is_import { Direction::Import } else { Direction::Export },
        state: state.unwrap_or_default(),
        step: row.get(3).as_number(),
        created: row.get(5).text_or_empty().into(),
        updated: row.get(6).text_or_empty().into(),
        ..exchange
    })
}

impl Exchange {
    fn value(&self) -> Result<Value> {
        Ok(Value::from(serde_json::to_string(self).map_err(Error::internal)?))
    }

    pub fn insertion(&self) -> Result<Op> {
        let values = vec![
            ("id".into(), Value::from(&*self.id)),
            ("kind".into(), Value::from(self.direction.name())),
            ("state".into(), Value::from(self.state.name())),
            ("value".into(), self.value()?),
            ("created".into(), Value::from(self.created.as_str())),
            ("updated".into(), Value::from(self.updated.as_str())),
        ];
        Ok(Op::Insert { table: TABLE.into(), values })
    }

    /// Stores how far it is, with jobs that are to go on.
    pub async fn save(&mut self, parts: &Parts, jobs: Vec<Job>) -> Result<()> {
        self.save_within(parts, &parts.store, jobs).await
    }

    /// The same as part of an open transaction.
    pub async fn save_within(&mut self, parts: &Parts, store: &Store, jobs: Vec<Job>) -> Result<()> {
        self.updated = parts.clock.now().to_string();
        let as_seen = Select::by_ids(TABLE, columns(), vec![self.id.clone()])
            .filter(Expr::eq(Operand::base("step", ColumnType::Number), Value::Number(self.step)));
        let set = vec![
            ("state".into(), Assign::Set(Value::from(self.state.name()))),
            ("step".into(), Assign::Set(Value::Number(self.step + 1.0))),
            ("value".into(), Assign::Set(self.value()?)),
            ("updated".into(), Assign::Set(Value::from(self.updated.as_str()))),
        ];
        let batch = Batch {
            guards: vec![Guard::Exists(as_seen)],
            ops: vec![Op::Update { table: TABLE.into(), id: self.id.clone(), set }],
            jobs,
            ..Batch::default()
        };
        match store.commit(batch).await {
            Err(store::Error::Guard(_)) => Err(Error::new(Kind::Conflict, OVERTAKEN)),
            other => {
                other?;
                self.step += 1.0;
                Ok(())
            }
        }
    }
}

/// Whether somebody else went on with it, or deleted it.
pub fn is_overtaken(error: &Error) -> bool {
    error.kind == Kind::Conflict && error.message == OVERTAKEN
}

/// An error in one line: the message, and what is wrong with which field.
pub fn told(error: &Error) -> String {
    let mut wrong = Vec::new();
    gather(&error.violations, "", &mut wrong);
    let text = match wrong.is_empty() {
        true => error.message.clone(),
        false => wrong.join(" "),
    };
    text.chars().take(EXCHANGE_ERROR_CHARS_MAX).collect()
}

fn gather(violations: &Violations, prefix: &str, into: &mut Vec<String>) {
    for (name, node) in &violations.0 {
        match node {
            Node::Leaf(violation) => into.push(format!("{prefix}{name}: {}", violation.message)),
            Node::Branch(inner) => gather(inner, &format!("{prefix}{name}."), into),
        }
    }
}
