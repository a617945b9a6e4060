//! Who and where a process is. Part of every announced change, so that regions can be told apart later.

use crate::Name;

/// The identity of one running process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Unique for each start of a process.
    pub id: Name,
    /// For people; the same after each start where somebody chose it.
    pub name: Name,
    pub zone: Name,
    pub region: Name,
}

impl Node {
    /// A node of the single-process installation.
    pub fn local() -> Self {
        Node::named("local", "local", "local")
    }

    /// A process that starts now.
    pub fn named(name: &str, zone: &str, region: &str) -> Self {
        Node { id: crate::id::record().into(), name: name.into(), zone: zone.into(), region: region.into() }
    }
}
