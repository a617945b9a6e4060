//! The superuser who is worked for, from the request to the commit. As a request's id does, it goes with the task.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::limits::{AUDIT_DETAIL_CHARS_MAX, AUDIT_KNOWN_MAX};
use base::{Name, Value};
use model::Record;
use parking_lot::Mutex;

tokio::task_local! {
    static DOING: Arc<Doing>;
}

/// Who acts, and from where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actor {
    /// The superuser's id; empty for whoever has the command line, or failed to prove who they are.
    pub id: String,
    pub email: String,
    pub ip: String,
}

/// What a superuser's request has been about so far.
#[derive(Debug, Default)]
pub struct Doing {
    pub actor: Actor,
    task: Mutex<Task>,
    /// What was there before, of what may be changed.
    known: Mutex<Vec<Known>>,
    noted: AtomicUsize,
}

/// What is done beside writing records, in the words of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// Empty for what nobody has named.
    pub action: &'static str,
    pub target: String,
    pub detail: String,
}

#[derive(Debug)]
struct Known {
    table: Name,
    id: Name,
    values: Vec<(Name, Value)>,
}

impl Doing {
    pub fn new(actor: Actor) -> Arc<Self> {
        Arc::new(Doing { actor, ..Doing::default() })
    }

    /// Whether anything of it was put into a commit.
    pub fn is_noted(&self) -> bool {
        self.noted.load(Ordering::Relaxed) > 0
    }

    pub(super) fn note(&self, entries: usize) {
        self.noted.fetch_add(entries, Ordering::Relaxed);
    }

    pub fn task(&self) -> Task {
        self.task.lock().clone()
    }

    /// The values of a row before it is changed, where somebody had read them.
    pub(super) fn before(&self, table: &str, id: &str) -> Vec<(Name, Value)> {
        let known = self.known.lock();
        let found = known.iter().rev().find(|known| *known.table == *table && *known.id == *id);
        found.map(|known| known.values.clone()).unwrap_or_default()
    }

    fn learn(&self, known: Known) {
        let mut all = self.known.lock();
        if all.len() < AUDIT_KNOWN_MAX {
            all.push(known);
        }
    }
}

/// The superuser's request that is worked on, if it is one.
pub fn current() -> Option<Arc<Doing>> {
    DOING.try_with(Arc::clone).ok()
}

/// Does the work in the name of a superuser.
pub fn scope<F: Future>(doing: Arc<Doing>, work: F) -> impl Future<Output = F::Output> {
    DOING.scope(doing, work)
}

/// The work as a task of its own does it: in the name of whoever is worked for here.
pub async fn carried<F: Future>(doing: Option<Arc<Doing>>, work: F) -> F::Output {
    match doing {
        Some(doing) => scope(doing, work).await,
        None => work.await,
    }
}

/// Notes a record as it is before it is changed. Costs nothing unless a superuser is worked for.
pub fn knew(record: &Record) {
    let _ = DOING.try_with(|doing| {
        let columns = record.collection.table.columns.iter().map(|column| column.name.clone());
        let values = columns.zip(record.row.0.iter().cloned()).collect();
        doing.learn(Known { table: record.collection.name.clone(), id: record.id().into(), values });
    });
}

/// The same of a row of one of Pando's own tables, as it would be written.
pub fn knew_row(table: &str, id: &str, values: impl FnOnce() -> Vec<(Name, Value)>) {
    let _ =
        DOING.try_with(|doing| doing.learn(Known { table: table.into(), id: id.into(), values: values() }));
}

/// Names what is done, for the entry that is written when it is over.
pub fn about(action: &'static str, target: &str, detail: &str) {
    let _ = DOING.try_with(|doing| {
        let detail = detail.chars().take(AUDIT_DETAIL_CHARS_MAX).collect();
        *doing.task.lock() = Task { action, target: target.into(), detail };
    });
}
