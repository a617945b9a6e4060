//! The application's own queues. A *stream* keeps what is published to its *subjects*, in order, for a while. A *group*
//! of a stream shares out the messages of its pattern: each is leased to one member after the other until one
//! acknowledges it. A *subscriber* reads all of them, by a position of its own, from wherever it likes. Everything is
//! rows of the database: what was acknowledged to a publisher outlives every process.
//!
//! A publish writes the message and, for each group that it is for, a delivery. Groups work on deliveries alone. The
//! place in the stream is given later, by whoever reads by position first (`order`), so that publishers wait for nobody
//! and no reader passes a place that is filled after it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base::Kind;
use model::Collection;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use store::Store;

use crate::error::{Error, Result};
use crate::parts::Parts;

pub mod subject;
pub mod table;

mod stream;

pub mod define;

mod full;
mod rules;

pub mod dead;
pub mod publish;
pub mod pull;
pub mod read;
pub mod settle;
pub mod stats;

mod meters;
mod order;
mod sweep;
mod waits;

pub(crate) use meters::sample;
pub(crate) use order::order;
pub(crate) use read::window;
pub(crate) use rules::consuming_as;
pub use stream::{Group, Stream, Streams, is_name};
pub(crate) use sweep::sweep;
pub use waits::Waits;

/// What this process knows of streams, and who waits in it.
pub struct Queues {
    streams: ArcSwap<Streams>,
    /// What was read last is what is put in place last.
    reading: tokio::sync::Mutex<()>,
    pub waits: Arc<Waits>,
    collection: Arc<Collection>,
    full: Mutex<FxHashMap<String, full::Look>>,
    /// Streams that events are made of, by id, and the next number of each.
    pub(crate) followed: Mutex<FxHashMap<String, u64>>,
}

impl Queues {
    pub fn new(waits: Arc<Waits>) -> Result<Self> {
        Ok(Queues {
            streams: ArcSwap::default(),
            reading: tokio::sync::Mutex::new(()),
            waits,
            collection: stream::as_collection()?,
            full: Mutex::default(),
            followed: Mutex::default(),
        })
    }

    pub fn streams(&self) -> Arc<Streams> {
        self.streams.load_full()
    }

    /// Reads the definitions anew.
    pub async fn reload(&self, store: &Store) -> Result<()> {
        let _reading = self.reading.lock().await;
        let streams = define::load(store).await?;
        self.waits.retain(|id| streams.find(id).is_some());
        self.full.lock().clear();
        self.streams.store(Arc::new(streams));
        Ok(())
    }

    /// Ends all waits, for the server's stop.
    pub fn close(&self) {
        self.waits.close();
    }
}

pub fn find(parts: &Parts, name: &str) -> Result<Arc<Stream>> {
    let missing = || Error::new(Kind::NotFound, format!("There is no stream {:?}.", shown(name)));
    parts.queues.streams().find(name).cloned().ok_or_else(missing)
}

fn find_group<'s>(stream: &'s Stream, name: &str) -> Result<&'s Group> {
    let missing = || {
        let message = format!("The stream {:?} has no group {:?}.", stream.name, shown(name));
        Error::new(Kind::NotFound, message)
    };
    stream.group(name).ok_or_else(missing)
}

/// No more of what a client sent than a name may have.
fn shown(name: &str) -> String {
    name.chars().take(base::limits::QUEUE_NAME_CHARS_MAX).collect()
}
