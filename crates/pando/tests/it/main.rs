//! The one integration test binary: Pando as a process, judged from outside. Nothing here links Pando's crates.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod advisories;
mod backups;
mod backups_kept;
mod badinput;
mod batches;
mod candidate;
mod compat;
mod console;
mod crons;
mod describing;
mod differential;
mod durability;
mod encryption;
mod files;
mod jobs;
mod mail;
mod moving;
mod oauth2;
mod passkeys;
mod public;
mod realtime;
mod sdk;
mod settings;
mod tidy;
