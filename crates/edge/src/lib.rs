//! The front door: a load balancer, and an edge that caches. Both are one proxy; an edge is a balancer with a cache in
//! front of its nodes.
//!
//! It lives by HTTP headers and by what nodes announce of themselves, and never knows what is behind it: no collection, no
//! record, no rule.
//!
//! A request passes named phases over one [`Context`]: see [`front::Origin::answer`].

mod server;

mod handover;

pub mod tls;

pub mod acme;

mod front;

mod context;

pub mod admit;

mod forwarded;

mod hop;

pub mod limits;

pub mod slow;

pub mod access_log;

mod sent;

pub mod cache;

mod forward;

pub mod balance;

pub mod upstream;

mod body;

pub mod announce;

pub mod shield;

pub mod discovery;

pub mod control;

mod options;

pub use body::{Body, Failure};
pub use context::Context;
pub use front::Front;
pub use options::Options;
pub use server::{Listeners, serve};
