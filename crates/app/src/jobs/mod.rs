//! Work that is done after the answer. A job is a row of the batch that caused it, so it exists if and only if the
//! write does; it runs at least once, so what it does must bear being done twice.

mod attend;
mod backlog;
mod meters;
mod places;
mod runner;
mod standing;

pub use attend::{Seen, State, forget_dead, list, remove, retry, retry_dead, view};
pub use backlog::{Backlog, backlog};
pub use runner::run as run_all;
pub use standing::{Standing, standing};

use base::Name;

use observe::{RequestId, request_id};
use query::Job;
use serde::{Deserialize, Serialize};

use crate::alerts;
use crate::crons;
use crate::error::Result;
use crate::exchange;
use crate::files;
use crate::mail::{self, Mail};
use crate::parts::Parts;
use crate::records;
use crate::webhooks;

/// Those that there are. `default` holds what older versions made, and what has no queue of its own.
pub const QUEUES: [&str; 6] = [DEFAULT, CRONS, MAIL, FILES, WEBHOOKS, IMPORTS];
const DEFAULT: &str = "default";
const CRONS: &str = "crons";
const MAIL: &str = "mail";
const FILES: &str = "files";
const WEBHOOKS: &str = "webhooks";
const IMPORTS: &str = "imports";

/// How a process serves a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub name: Name,
    /// How many of its jobs run at a time.
    pub concurrency: usize,
    /// Whose jobs go first when too many run in all; the highest.
    pub priority: i64,
}

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
    /// Pictures that came with a record, in the sizes that their fields offer.
    MakeThumbs {
        collection: String,
        record: String,
        names: Vec<String>,
    },
    /// The files of a collection that went at that time (ms).
    RemoveFolder {
        collection: String,
        before: i64,
    },
    /// What depended on a record that is gone, and was too much for one commit.
    Cascade {
        collection: String,
        record: String,
    },
    /// What a changed collection left over.
    SweepFiles {
        collection: String,
    },
    /// An export or import of records.
    Exchange {
        id: String,
    },
    /// What happened at that time (ms), for the webhooks that follow it.
    WebhookEvents {
        at: i64,
        events: Vec<webhooks::Event>,
    },
    /// What a receiver of alerts is told.
    Alert {
        notice: alerts::Notice,
        to: alerts::Target,
    },
}

impl Work {
    /// The row for a batch. It names the request that causes it.
    pub fn job(&self) -> Job {
        let request = request_id::current().map(|id| id.as_str().to_owned());
        let payload = serde_json::json!(Payload { work: self.clone(), request });
        Job::new(self.queue(), payload.to_string())
    }

    fn queue(&self) -> &'static str {
        match self {
            Work::Cron { .. } => CRONS,
            Work::Mail { .. } => MAIL,
            Work::Alert { to: alerts::Target::Mail(_), .. } => MAIL,
            Work::Alert { .. } => WEBHOOKS,
            Work::Cascade { .. } => DEFAULT,
            Work::RemoveFiles { .. }
            | Work::MakeThumbs { .. }
            | Work::RemoveFolder { .. }
            | Work::SweepFiles { .. } => FILES,
            Work::Exchange { .. } => IMPORTS,
            Work::WebhookEvents { .. } => WEBHOOKS,
        }
    }

    /// As metrics name it.
    fn kind(&self) -> &'static str {
        match self {
            Work::Cron { .. } => "cron",
            Work::Mail { .. } => "mail",
            Work::RemoveFiles { .. } => "remove_files",
            Work::MakeThumbs { .. } => "make_thumbs",
            Work::RemoveFolder { .. } => "remove_folder",
            Work::SweepFiles { .. } => "sweep_files",
            Work::Cascade { .. } => "cascade",
            Work::Exchange { .. } => "exchange",
            Work::WebhookEvents { .. } => "webhook_events",
            Work::Alert { .. } => "alert",
        }
    }
}

/// Every kind of work, and what this version does not know.
const KINDS: [&str; 11] = [
    "cron",
    "mail",
    "remove_files",
    "make_thumbs",
    "remove_folder",
    "sweep_files",
    "cascade",
    "exchange",
    "webhook_events",
    "alert",
    UNKNOWN,
];
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
        Work::MakeThumbs { collection, record, names } => {
            files::make_thumbs(parts, &collection, &record, &names).await
        }
        Work::RemoveFolder { collection, before } => {
            files::remove_folder(parts, &collection, base::Timestamp(before)).await
        }
        Work::Cascade { collection, record } => records::cascade::follow(parts, &collection, &record).await,
        Work::SweepFiles { collection } => files::sweep_orphans(parts, Some(&collection)).await.map(drop),
        Work::Exchange { id } => exchange::run(parts, &id).await,
        Work::WebhookEvents { at, events } => webhooks::fan_out(parts, at, &events).await,
        Work::Alert { notice, to } => alerts::deliver(parts, &notice, &to).await,
    }
}
