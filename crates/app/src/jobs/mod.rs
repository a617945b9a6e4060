//! Work that is done after the answer. A job is a row of the batch that caused it, so it exists if and only if the
//! write does; it runs at least once, so what it does must bear being done twice.

mod backlog;
mod meters;
mod runner;

pub use backlog::backlog;
pub use runner::{forget_dead, run as run_all};

use observe::{RequestId, request_id};
use query::Job;
use serde::{Deserialize, Serialize};

use crate::crons;
use crate::error::Result;
use crate::files;
use crate::mail::{self, Mail};
use crate::parts::Parts;

const QUEUE: &str = "default";

/// One job. The names are what is stored, and must not change while jobs of an older version may wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// What is due by a schedule, or was asked for by its id.
    Cron {
        id: String,
    },
    Mail {
        mail: Mail,
    },
    /// Files that a record named and does not name any more.
    RemoveFiles {
        collection: String,
        record: String,
        names: Vec<String>,
    },
    /// The files of a collection that went at that time (ms).
    RemoveFolder {
        collection: String,
        before: i64,
    },
    /// What a changed collection left over.
    SweepFiles {
        collection: String,
    },
}

impl Work {
    /// The row for a batch. It names the request that causes it.
    pub fn job(&self) -> Job {
        let request = request_id::current().map(|id| id.as_str().to_owned());
        let payload = serde_json::json!(Payload { work: self.clone(), request });
        Job { queue: QUEUE.into(), payload: payload.to_string().into() }
    }

    /// As metrics name it.
    fn kind(&self) -> &'static str {
        match self {
            Work::Cron { .. } => "cron",
            Work::Mail { .. } => "mail",
            Work::RemoveFiles { .. } => "remove_files",
            Work::RemoveFolder { .. } => "remove_folder",
            Work::SweepFiles { .. } => "sweep_files",
        }
    }
}

/// Every kind of work, and what this version does not know.
const KINDS: [&str; 6] = ["cron", "mail", "remove_files", "remove_folder", "sweep_files", UNKNOWN];
const UNKNOWN: &str = "unknown";

/// What a row holds. Versions that know no requests read over theirs.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(flatten)]
    work: Work,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

impl Payload {
    fn read(text: &str) -> serde_json::Result<Payload> {
        serde_json::from_str(text)
    }

    /// The request that caused it.
    fn request(&self) -> Option<RequestId> {
        RequestId::read(self.request.as_deref()?.as_bytes())
    }
}

/// Does one job.
async fn run(parts: &Parts, work: Work) -> Result<()> {
    if matches!(work, Work::RemoveFiles { .. } | Work::RemoveFolder { .. } | Work::SweepFiles { .. }) {
        parts.backups.idle().await;
    }
    match work {
        Work::Cron { id } => crons::perform(parts, &id).await,
        Work::Mail { mail } => mail::deliver(parts, mail).await,
        Work::RemoveFiles { collection, record, names } => {
            files::remove(parts, &collection, &record, &names).await
        }
        Work::RemoveFolder { collection, before } => {
            files::remove_folder(parts, &collection, base::Timestamp(before)).await
        }
        Work::SweepFiles { collection } => files::sweep_orphans(parts, Some(&collection)).await.map(drop),
    }
}
