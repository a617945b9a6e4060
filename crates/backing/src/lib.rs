//! What stands behind the use cases: caches, the bus, mail and calls to the outside, each a façade that hides where it
//! lives. Never knows a collection, a rule or HTTP.

pub mod archive;
pub mod blob;
pub mod bus;
pub mod cache;
pub mod counters;
pub mod cpu_pool;
pub mod fetch;
pub mod mail;
mod nats;
pub mod otlp;
pub mod queue;
pub mod relocation;
pub mod replace;
pub mod stamps;

pub use blob::Blobs;
pub use bus::Bus;
pub use cache::{Kept, QueryCache, RecordCache};
pub use counters::Counters;
pub use cpu_pool::CpuPool;
pub use fetch::Fetch;
pub use mail::Mailer;
pub use stamps::Stamps;
