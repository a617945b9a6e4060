//! One file for each way the binary can be run.

mod attend;
pub mod mover;
pub mod serve;
pub mod superuser;
pub mod types;
pub mod up;
pub mod web;

mod follow;
mod greet;
mod node;
mod watch;
