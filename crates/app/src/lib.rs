//! The use cases: what the product does, told in terms of collections and records. Never knows HTTP, JSON shapes of
//! answers, SQL or an engine.

pub mod across;
pub mod alerts;
pub mod audit;
pub mod auth;
pub mod backups;
pub mod caching;
pub mod catalog;
pub mod changing;
pub mod collections;
pub mod crons;
pub mod error;
pub mod exchange;
pub mod figures;
pub mod files;
pub mod insights;
pub mod jobs;
pub mod logs;
pub mod mail;
pub mod nodes;
pub mod outside;
pub mod parts;
pub mod queues;
pub mod realtime;
pub mod records;
pub mod rules;
pub mod settings;
pub mod setup;
pub mod sources;
pub mod sql;
pub mod system;
pub mod tags;
pub mod transaction;
pub mod transfer;
pub mod webhooks;

pub use error::{Error, Result};
pub use parts::Parts;
