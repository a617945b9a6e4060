//! Work that is done after the answer. A job is a row of the batch that caused it, so it exists if and only if the
//! write does; it runs at least once, so what it does must bear being done twice.

mod runner;

pub use runner::{forget_dead, run as run_all};

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
    /// The row for a batch.
    pub fn job(&self) -> Job {
        Job { queue: QUEUE.into(), payload: serde_json::json!(self).to_string().into() }
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
