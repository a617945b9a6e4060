//! Work that is done after the answer. A job is a row of the batch that caused it, so it exists if and only if the
//! write does; it runs at least once, so what it does must bear being done twice.

mod runner;

pub use runner::{forget_dead, run as run_all};

use query::Job;
use serde::{Deserialize, Serialize};

use crate::crons;
use crate::error::Result;
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
}

impl Work {
    /// The row for a batch.
    pub fn job(&self) -> Job {
        Job { queue: QUEUE.into(), payload: serde_json::json!(self).to_string().into() }
    }
}

/// Does one job.
async fn run(parts: &Parts, work: Work) -> Result<()> {
    match work {
        Work::Cron { id } => crons::perform(parts, &id).await,
        Work::Mail { mail } => mail::deliver(parts, mail).await,
    }
}
