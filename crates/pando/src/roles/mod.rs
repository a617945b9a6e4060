//! One file for each way the binary can be run.

mod attend;
pub mod mover;
pub mod serve;
pub mod superuser;
pub mod types;
