//! What nodes tell front doors: that they are there, that they are about to go, and what was written.

pub mod heard;
pub mod http;
pub mod outbox;
pub mod sender;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;

/// One message of one node. Versioned by its field names: what is not known is ignored, what is missing has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announcement {
    /// A process's own, new at every start.
    pub life: String,
    /// Which of the life's ways to front doors this is: each has numbers of its own.
    pub way: String,
    /// Counts up by one for each message that a way carries, so that a missing one is noticed. One that nobody confirmed
    /// is sent again under its number, perhaps with more in it.
    pub sequence: u64,
    /// As people call it.
    pub name: String,
    /// Where it answers: `host:port`; empty for a process that answers no requests and only writes.
    pub address: String,
    pub zone: String,
    pub region: String,
    /// It takes no new requests from now on.
    pub leaving: bool,
    /// Its last message: it has finished, and nothing is wrong when no more is heard of it.
    pub goodbye: bool,
    /// The lives of all who work on its database, itself included, as the database knows; empty when that is not known.
    pub members: Vec<String>,
    pub purge: Purge,
    /// The number of the life's last purge that is in this message or in an earlier one of its way. None from a process that
    /// does not count its purges.
    pub position: Option<u64>,
}

/// What is no longer so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purge {
    pub tags: Vec<String>,
    /// `https://host/path?query`, or a path alone for all hosts.
    pub urls: Vec<String>,
    pub prefixes: Vec<String>,
    pub all: bool,
    /// What is named is kept, but must be confirmed by a node before it is used; only when no node answers it may still
    /// be served.
    pub soft: bool,
}

impl Purge {
    /// Anything may have changed, and nobody knows what.
    pub fn anything() -> Self {
        Purge { all: true, soft: true, ..Purge::default() }
    }

    pub fn is_empty(&self) -> bool {
        !self.all && self.tags.is_empty() && self.urls.is_empty() && self.prefixes.is_empty()
    }
}

/// Who forgets what is no longer so. Quick: it is called on the way of every announcement.
pub trait Purges: Send + Sync {
    fn purge(&self, purge: &Purge);
}

impl Purges for Cache {
    fn purge(&self, purge: &Purge) {
        self.storage.purge(purge);
    }
}

/// A front door that keeps nothing.
impl Purges for () {
    fn purge(&self, _purge: &Purge) {}
}
