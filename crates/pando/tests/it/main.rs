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
mod faults;
mod files;
mod health;
mod jobs;
mod mail;
mod modifiers;
mod moving;
mod nodes;
mod oauth2;
mod passkeys;
mod public;
mod realtime;
mod replicas;
mod request_ids;
mod sdk;
mod settings;
mod tidy;
mod up;
