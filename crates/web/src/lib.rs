//! HTTP: who asks for what, and how the answer looks on the wire. Decides nothing that a use case decides, and is
//! the only crate that knows axum, JSON shapes and status codes.

pub mod server;
pub mod state;
pub mod watch;

mod audited;
mod body;
mod compress;
mod conditional;
mod cors;
mod dashboard;
mod describe;
mod extract;
mod freshness;
mod gate;
mod identified;
mod meters;
mod multipart;
mod public;
mod requestlog;
mod routes;
mod stream;
mod strict;
mod wire;

pub use body::fuzz as fuzz_body;
pub use dashboard::Dashboard;
pub use describe::typescript;
pub use gate::Behind;
pub use public::Public;
pub use routes::{WEBHOOKS, WIRE, router};
pub use state::{Site, State};
pub use watch::Watch;
