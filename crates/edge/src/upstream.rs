//! The nodes behind the front door, and the connections to them.
//!
//! [`Pool::send`] asks one node once. The connection is driven by the request's own task: no task, channel or wakeup lies
//! between them.

mod node;

mod nodes;

mod pool;

mod exchange;

mod sending;

mod answer;

mod connection;

mod head;

mod framing;

mod tls;

pub use answer::Answer;
pub use connection::{Connection, Stream};
pub use exchange::Asked;
pub use node::{Busy, Described, Node, Room, hash, mix};
pub use nodes::Nodes;
pub use pool::{Pool, Said, SendError, Why, once, probe};
pub use tls::{Tls, TlsError};
