//! What stands behind the use cases: caches, the bus and mail, each a façade that hides where it lives.
//! Never knows a collection, a rule or HTTP.

pub mod bus;
pub mod cache;
pub mod mail;
pub mod stamps;

pub use bus::Bus;
pub use cache::{QueryCache, RecordCache};
pub use mail::Mailer;
pub use stamps::Stamps;
