//! HTTP: who asks for what, and how the answer looks on the wire. Decides nothing that a use case decides, and is
//! the only crate that knows axum, JSON shapes and status codes.

pub mod server;
pub mod state;
pub mod watch;

mod body;
mod compress;
mod conditional;
mod cors;
mod describe;
mod extract;
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
pub use describe::typescript;
pub use public::Public;
pub use routes::{WIRE, router};
pub use state::State;
pub use watch::Watch;
