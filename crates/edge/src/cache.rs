//! The edge's cache: what may be kept of an answer, for how long, and what it is found by.
//!
//! [`Cache::answer`] is a request's way through it. [`policy`] decides by what headers say, and does nothing else.

mod flow;

pub mod policy;

pub mod directives;

mod structured;

mod vary;

mod variants;

pub mod compress;

mod conditional;

mod range;

mod invalidate;

mod serve;

mod collect;

mod fetch;

pub mod key;

pub mod bypass;

pub mod outcome;

mod meter;

pub mod object;

mod disk;

mod memory;

pub mod flight;

pub mod purges;

pub mod storage;

use std::sync::Arc;

use base::limits::{EDGE_OBJECT_BYTES_MAX, EDGE_REVALIDATIONS_MAX};
use flight::Flights;
use storage::Storage;
use tokio::sync::Semaphore;

pub struct Cache {
    pub storage: Arc<Storage>,
    pub flights: Flights,
    pub compress: compress::Compress,
    options: Options,
    /// Places for those that ask in the background.
    behind: Arc<Semaphore>,
    meter: meter::Meter,
}

/// What a cache is told when it starts.
#[derive(Clone, Debug)]
pub struct Options {
    pub keys: key::Keys,
    pub rules: policy::Rules,
    /// A body that is larger passes through and is not kept.
    pub object_bytes_max: usize,
    /// Claims of tokens that lead past the cache.
    pub bypass: Vec<bypass::Claim>,
    /// Codings that are made of answers that came in none, where that is allowed.
    pub codings: Vec<compress::Coding>,
    /// Whether answers say in `Cache-Status` how they came about.
    pub tells_status: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: key::Keys::default(),
            rules: policy::Rules::default(),
            object_bytes_max: EDGE_OBJECT_BYTES_MAX,
            bypass: Vec::new(),
            codings: compress::Coding::ALL.to_vec(),
            tells_status: true,
        }
    }
}

impl Cache {
    pub fn new(storage: Storage, options: Options) -> Self {
        let storage = Arc::new(storage);
        Cache {
            flights: Flights::new(storage.clone()),
            compress: compress::Compress::new(&options.codings, &options.keys, &storage),
            storage,
            options,
            behind: Arc::new(Semaphore::new(EDGE_REVALIDATIONS_MAX)),
            meter: meter::Meter::default(),
        }
    }
}

#[cfg(test)]
mod tests;
