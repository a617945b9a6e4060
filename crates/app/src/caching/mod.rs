//! Records by way of the caches: how they come in when they are read, when they are written, and at the start.

mod behind;
mod load;
pub mod shared;
pub mod warm;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backing::cache::{Asked, Keeps, Loads, Shape};
use base::Name;
use model::Collection;

/// What is configured of the caches.
#[derive(Default)]
pub struct Keeping {
    pub keeps: Keeps,
    /// How many records of a collection are loaded at the start.
    pub warm: BTreeMap<String, u64>,
    pub loads: Loads,
    /// Collections whose updates may be acknowledged before they are written, and how long they wait at most.
    pub behind: BTreeMap<Name, Duration>,
    /// The cache that processes share, if there is one.
    pub shared: Option<shared::Shared>,
}

fn asked<'a>(collection: &'a Arc<Collection>, id: &'a str) -> Asked<'a> {
    Asked { table: &collection.table.name, id, shape: Shape::of(collection) }
}
