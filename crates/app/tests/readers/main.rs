//! The readers of the query language side by side: SQLite, PostgreSQL and memory must find the same records,
//! those of the recorded facts and those of generated filters over generated records.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod engines;
mod facts;
mod generated;
