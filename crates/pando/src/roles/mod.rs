//! One file for each way the binary can be run.

mod attend;
pub mod configuration;
pub mod control;
pub mod front;
pub mod mover;
pub mod serve;
pub mod superuser;
pub mod types;
pub mod up;
pub mod web;
pub mod worker;

mod follow;
mod greet;
mod membership;
mod node;
mod watch;
mod work;

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes to standard output.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads may have seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}
