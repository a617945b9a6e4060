//! What stands behind the use cases: caches and the bus, each a façade that hides where it lives.
//! Never knows a collection, a rule or HTTP.

pub mod blob;
pub mod bus;
pub mod cache;
pub mod stamps;

pub use blob::Blobs;
pub use bus::Bus;
pub use cache::{QueryCache, RecordCache};
pub use stamps::Stamps;
