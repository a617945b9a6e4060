//! Work that is done after the answer. A job is a row of the batch that caused it, so it exists if and only if the
//! write does; it runs at least once, so what it does must bear being done twice.

use query::Job;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::parts::Parts;

/// One job. The name of the kind is what is stored, and must not change while jobs of an older version may wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {}

impl Work {
    /// The row for a batch.
    pub fn job(&self) -> Job {
        Job { queue: "default".into(), payload: serde_json::json!(self).to_string().into() }
    }
}

/// Does one job.
pub async fn run(_parts: &Parts, work: Work) -> Result<()> {
    match work {}
}
