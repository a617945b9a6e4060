//! What every floor shares: values, ids, time, JSON text, error kinds and named limits.
//! Pure data and functions; never I/O, never async, never a global.

pub mod address;
pub mod error;
pub mod id;
pub mod json;
pub mod limits;
pub mod schedule;
pub mod time;
pub mod topology;
pub mod value;

pub use error::Kind;
pub use schedule::Schedule;
pub use time::{Clock, SystemClock, Timestamp};
pub use value::{Name, Value};
