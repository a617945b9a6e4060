//! What is seen of the system from inside: figures, health, the request log and the process's own messages. Knows where
//! none of them is kept. Everyone else uses the facades `metrics` and `tracing`; only this crate knows what is behind them.

pub mod health;
pub mod host;
pub mod messages;
pub mod metrics;
pub mod pulse;
pub mod request_id;
pub mod requests;

pub use health::Health;
pub use host::Host;
pub use metrics::Metrics;
pub use request_id::RequestId;
pub use requests::{Answered, Lines, LogEntry, RequestLog, Sink};
