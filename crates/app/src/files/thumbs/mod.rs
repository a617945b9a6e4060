//! Thumbnails: made once, after the upload in the sizes that are configured or when first asked for, and kept as files
//! beside their original.

mod ahead;
mod picture;
mod size;

pub use ahead::{make, wanted};
pub use picture::fuzz;

use std::sync::{Arc, Weak};
use std::time::Duration;

use backing::CpuPool;
use backing::blob::{Attributes, Blob, Blobs, Content};
use backing::cpu_pool::Undone;
use base::Kind;
use base::limits::{THUMB_QUEUE_MAX, THUMB_SOURCE_BYTES_MAX, THUMB_WAIT_MS};
use model::field::FileField;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use size::Size;

/// The size that every picture is offered in.
const ALWAYS: &str = "100x100";

/// Whether the field offers the size.
pub fn is_offered(field: &FileField, size: &str) -> bool {
    !size.is_empty() && (size == ALWAYS || field.thumbs.iter().any(|offered| offered == size))
}

/// Makes thumbnails, a bounded number at a time.
pub struct Thumbs {
    pool: CpuPool,
    /// One original in memory for each thread.
    workers: Arc<Semaphore>,
    /// Those that wait or are being made.
    queue: Arc<Semaphore>,
    /// One lock for each thumbnail that somebody is waiting for.
    flights: Mutex<FxHashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Thumbs {
    /// `workers` is how many threads the pool has.
    pub fn new(pool: CpuPool, workers: usize) -> Self {
        Thumbs {
            pool,
            workers: Arc::new(Semaphore::new(workers.max(1))),
            queue: Arc::new(Semaphore::new(THUMB_QUEUE_MAX)),
            flights: Mutex::default(),
        }
    }

    /// `None` when the original is no picture that a thumbnail can be made of.
    pub async fn find_or_make(
        &self,
        blobs: &Blobs,
        original: &str,
        thumb: &str,
        size: &str,
    ) -> Result<Option<Blob>> {
        match blobs.get(thumb).await {
            Err(backing::blob::Error::Missing) => {}
            found => return Ok(Some(found?)),
        }
        let Some(size) = Size::parse(size) else { return Ok(None) };
        let source = blobs.get(original).await?;
        let Some(format) = picture::Format::of(&source.attributes.content_type) else { return Ok(None) };
        if source.size_bytes > THUMB_SOURCE_BYTES_MAX {
            return Ok(None);
        }
        let waits = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let flight = self.flight(thumb);
        let made = async {
            let _flight = flight.lock().await;
            // Whoever held the lock before may have made it.
            match blobs.get(thumb).await {
                Err(backing::blob::Error::Missing) => {}
                found => return Ok(Some(found?)),
            }
            let worker = self.workers.clone().acquire_owned().await.map_err(|_| busy())?;
            let bytes = source.bytes(THUMB_SOURCE_BYTES_MAX).await?;
            let made = self.pool.run(move || {
                // Held by the work itself: it goes on when the request is given up.
                let _held = (worker, waits);
                picture::make(&bytes, format, size)
            });
            let made = made.await.map_err(|undone| match undone {
                Undone::Busy => busy(),
                Undone::Panicked => Error::new(Kind::Internal, "The thumbnail could not be made."),
            })?;
            let (bytes, content_type) = match made {
                Ok(made) => made,
                Err(error) => {
                    tracing::debug!(original, "no thumbnail: {error}");
                    return Ok(None);
                }
            };
            let attributes = Attributes { content_type: content_type.into(), ..Attributes::default() };
            blobs.put(thumb, &Content::Memory(bytes.into()), &attributes).await?;
            Ok(Some(blobs.get(thumb).await?))
        };
        let made = tokio::time::timeout(Duration::from_millis(THUMB_WAIT_MS), made).await;
        drop(flight);
        self.flights.lock().retain(|_, flight| flight.strong_count() > 0);
        made.unwrap_or_else(|_| Err(busy()))
    }

    fn flight(&self, thumb: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(thumb).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::new(tokio::sync::Mutex::new(()));
        flights.insert(thumb.to_string(), Arc::downgrade(&flight));
        flight
    }
}

fn busy() -> Error {
    Error::new(Kind::Unavailable, "Too many thumbnails are being made. Try again later.")
}
