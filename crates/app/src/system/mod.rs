//! The system as it is at this moment and as it was: its parts, their figures, what happened to them.
//!
//! Every process keeps its own figures in memory and writes them to where the request log is kept, so that any process can
//! tell of all. One of them at a time looks after the whole: it notes who was lost, and keeps what is stored small.

mod bottleneck;
pub mod events;
mod history;
mod keep;
mod picture;
mod present;
pub mod probe;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base::Name;
use observe::Metrics;
use observe::pulse::Ring;
use parking_lot::Mutex;
use store::Store;

pub use bottleneck::{Bottleneck, Bound};
pub use events::Event;
pub use history::{Asked, History, series};
pub use keep::run;
pub use picture::{Element, Link, Picture, State, picture};
pub use present::{Present, forget, nodes};
pub use probe::{Deed, Probe, Pulse, Seen};

/// Who this process is.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// What its figures are kept under: the same after a restart, where that can be told.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// `serve`, `web` or `worker`.
    pub role: &'static str,
    pub address: String,
    pub zone: String,
    pub region: String,
    /// When it began (ms).
    pub started: i64,
}

/// What is around it, by its configuration. Never with a password.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The database's hosts; none for SQLite.
    pub hosts: Vec<String>,
    /// Where files are: a directory or an address.
    pub files: String,
    /// Empty where it is a channel of the process.
    pub bus: String,
    /// The cache that processes share; empty for none.
    pub cache: String,
    /// Whether jobs go by way of the bus's server.
    pub broker: bool,
}

pub struct System {
    pub own: Own,
    pub around: Around,
    /// Where figures and events are kept: the request log's database.
    store: Store,
    metrics: OnceLock<Metrics>,
    ring: Mutex<Ring>,
    probes: Vec<Arc<dyn Probe>>,
    /// The picture that was made last.
    seen: tokio::sync::Mutex<Option<(Instant, Arc<Picture>)>>,
    /// Since when what is shown is as it is: by element.
    since: Mutex<HashMap<String, (State, i64)>>,
}

impl System {
    pub fn new(own: Own, around: Around, store: Store, probes: Vec<Arc<dyn Probe>>) -> Self {
        System {
            own,
            around,
            store,
            metrics: OnceLock::new(),
            ring: Mutex::default(),
            probes,
            seen: Default::default(),
            since: Mutex::default(),
        }
    }

    /// From here on there are figures; without them the picture is of names and states.
    pub fn observe(&self, metrics: Metrics) {
        // They are the process's, so a second one is the same.
        let _ = self.metrics.set(metrics);
    }

    /// What the process's own metrics say, as text.
    fn read(&self) -> String {
        self.metrics.get().map(Metrics::read).unwrap_or_default()
    }
}

/// Rows of points, and of processes.
pub const PULSES: &str = "_pando_pulses";
pub const EVENTS: &str = "_pando_system_events";
/// Alert rules; one row says who looks after the system.
pub const ALERTS: &str = "_pando_alerts";

fn number(number: i64) -> base::Value {
    base::Value::Number(number as f64)
}

fn column(name: &str, ty: query::ColumnType) -> query::Operand {
    query::Operand::base(name, ty)
}

fn compare(name: &str, op: query::Operator, value: i64) -> query::Expr {
    let left = column(name, query::ColumnType::Number);
    query::Expr::Compare { left, op, right: number(value).into() }
}

/// Writes a row unless there is one with its id, which ends in a conflict. The guard is why that is no error in the database's
/// own log, which would be full of it.
fn first(table: &str, id: &str, values: Vec<(Name, base::Value)>) -> query::Batch {
    let id_column = vec![query::Column::new("id", query::ColumnType::Id)];
    let there = query::Select::by_ids(table, id_column, vec![id.into()]);
    let guards = vec![query::Guard::Absent(there)];
    let ops = vec![query::Op::Insert { table: table.into(), values: with_id(id, values) }];
    query::Batch { guards, ops, ..query::Batch::default() }
}

/// Writes a row in the place of the one that has its id.
fn put(table: &str, id: &str, values: Vec<(Name, base::Value)>) -> [query::Op; 2] {
    [
        query::Op::Delete { table: table.into(), id: id.into(), row: None },
        query::Op::Insert { table: table.into(), values: with_id(id, values) },
    ]
}

fn with_id(id: &str, values: Vec<(Name, base::Value)>) -> Vec<(Name, base::Value)> {
    let mut all: Vec<(Name, base::Value)> = vec![("id".into(), base::Value::from(id))];
    all.extend(values);
    all
}
