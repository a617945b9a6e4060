//! The one integration test binary: Pando as a process, judged from outside. Nothing here links Pando's crates.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod badinput;
mod candidate;
mod compat;
mod describing;
mod differential;
mod durability;
mod jobs;
mod oauth2;
mod realtime;
mod passkeys;
mod sdk;
mod tidy;
