//! The use cases: what the product does, told in terms of collections and records. Never knows HTTP, JSON shapes of
//! answers, SQL or an engine.

pub mod auth;
pub mod backups;
pub mod catalog;
pub mod changing;
pub mod collections;
pub mod crons;
pub mod error;
pub mod figures;
pub mod files;
pub mod jobs;
pub mod logs;
pub mod mail;
pub mod nodes;
pub mod parts;
pub mod realtime;
pub mod records;
pub mod rules;
pub mod settings;
pub mod setup;
pub mod sql;
pub mod transaction;
pub mod transfer;

pub use error::{Error, Result};
pub use parts::Parts;
