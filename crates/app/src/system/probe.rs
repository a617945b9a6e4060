//! How parts of the system that are no processes on this database are asked how they are.

use async_trait::async_trait;

use super::{Element, Link, events};

/// What somebody told of a part, or of several.
#[derive(Default)]
pub struct Seen {
    pub elements: Vec<Element>,
    pub links: Vec<Link>,
    /// Addresses of processes that are about to leave.
    pub leaving: Vec<String>,
    /// Points of parts that cannot keep them where others find them.
    pub pulses: Vec<Pulse>,
    /// What operators did at parts that cannot write it down, the same ones again and again.
    pub deeds: Vec<Deed>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    pub id: String,
    /// One of [`Deed::KINDS`].
    pub kind: String,
    pub element: String,
    pub detail: serde_json::Value,
}

impl Deed {
    pub const KINDS: [&str; 3] = [events::EDGE_PURGED, events::NODE_DRAINED, events::NODE_UNDRAINED];
}

/// Points of somebody else, as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulse {
    pub key: String,
    pub step_s: i64,
    pub start_s: i64,
    pub text: String,
}

#[async_trait]
pub trait Probe: Send + Sync {
    /// What is shown when there is no answer in time.
    fn silent(&self) -> Seen;

    /// Is not waited for longer than `base::limits::SYSTEM_PROBE_MS`.
    async fn look(&self) -> Seen;
}
