//! What is seen of the system from inside: the request log and the process's own messages. Knows where neither is kept.

pub mod messages;
pub mod requests;

pub use requests::{LogEntry, RequestLog, Sink};
