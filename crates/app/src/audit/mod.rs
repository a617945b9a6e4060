//! The audit log: what superusers did, when, from where, and what came of it. Entries are only added, and go when their time
//! is over.
//!
//! A write leaves its entry in its own commit ([`outbox`]). What writes no record, such as a backup or a statement of the
//! console, has one before it is begun, where it cannot be undone, and one about how it ended ([`outcome`]).

use std::sync::Arc;

use arc_swap::ArcSwap;
use base::{Clock, Timestamp, Value};
use model::Schema;
use parking_lot::Mutex;
use query::{ColumnType, Expr, Op, Operand, Operator};

use crate::catalog::Catalog;
use crate::error::Result;
use crate::parts::Parts;

pub mod doing;
pub mod outcome;
pub mod read;

mod changes;
mod outbox;

pub use doing::{Actor, Doing, about, carried, current, knew, knew_row, scope};
pub use outcome::{begun, did, ended, login, login_failed};

pub const TABLE: &str = "_pando_audit";
const DAY_MS: i64 = 86_400_000;

/// The columns beside the id.
pub const COLUMNS: [(&str, ColumnType); 13] = [
    ("created", ColumnType::Date),
    ("actor", ColumnType::Text),
    ("email", ColumnType::Text),
    ("ip", ColumnType::Text),
    ("request", ColumnType::Text),
    ("node", ColumnType::Text),
    ("action", ColumnType::Text),
    ("collection", ColumnType::Text),
    ("target", ColumnType::Text),
    ("outcome", ColumnType::Text),
    ("status", ColumnType::Number),
    ("detail", ColumnType::Text),
    ("changes", ColumnType::Json),
];

/// One entry. An empty text is what there is nothing to say of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    pub id: String,
    pub created: String,
    /// The superuser's id.
    pub actor: String,
    pub email: String,
    pub ip: String,
    /// The request's id.
    pub request: String,
    pub node: String,
    pub action: String,
    pub collection: String,
    /// The id or name of what was acted on.
    pub target: String,
    /// `done`, `failed` or `begun`.
    pub outcome: String,
    /// Of the answer; 0 where there is none yet.
    pub status: f64,
    pub detail: String,
    /// A JSON object: by path, what was `before` and what is `after`.
    pub changes: String,
}

impl Entry {
    pub(crate) fn insertion(self) -> Op {
        let texts = [
            ("id", self.id),
            ("created", self.created),
            ("actor", self.actor),
            ("email", self.email),
            ("ip", self.ip),
            ("request", self.request),
            ("node", self.node),
            ("action", self.action),
            ("collection", self.collection),
            ("target", self.target),
            ("outcome", self.outcome),
            ("detail", self.detail),
        ];
        let mut values: Vec<_> = texts.map(|(name, text)| (name.into(), Value::from(text))).into();
        let changes = if self.changes.is_empty() { "{}".into() } else { self.changes };
        values.push(("status".into(), Value::Number(self.status)));
        values.push(("changes".into(), Value::Json(changes.into())));
        Op::Insert { table: TABLE.into(), values }
    }
}

/// Makes entries. Cheap to clone.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    schema: Arc<ArcSwap<Schema>>,
    clock: Arc<dyn Clock>,
    /// The process, as people call it.
    node: String,
    failures: Mutex<Failures>,
}

/// Failed logins lately.
#[derive(Default)]
struct Failures {
    since: i64,
    told: u32,
    kept_back: u64,
}

impl Audit {
    pub fn new(catalog: &Catalog, clock: Arc<dyn Clock>, node: String) -> Self {
        Audit(Arc::new(Inner { schema: catalog.watched(), clock, node, failures: Mutex::default() }))
    }

    /// The process, as people call it.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    pub fn schema(&self) -> Arc<Schema> {
        self.0.schema.load_full()
    }

    /// What every entry says.
    fn begin(&self, actor: &Actor) -> Entry {
        let now = self.0.clock.now();
        Entry {
            id: base::id::ordered(now),
            created: now.to_string(),
            actor: actor.id.clone(),
            email: actor.email.clone(),
            ip: actor.ip.clone(),
            request: observe::request_id::current().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            node: self.0.node.clone(),
            outcome: "done".into(),
            ..Entry::default()
        }
    }
}

/// Deletes entries past their time.
pub async fn sweep(parts: &Parts, days: i64) -> Result<()> {
    let since = Timestamp(parts.clock.now().0.saturating_sub(days.saturating_mul(DAY_MS)));
    let filter = Expr::Compare {
        left: Operand::base("created", ColumnType::Date),
        op: Operator::Lt,
        right: Value::from(since.to_string()).into(),
    };
    let batch = query::Batch::op(Op::DeleteWhere { table: TABLE.into(), filter });
    parts.store.commit(batch).await?;
    Ok(())
}
