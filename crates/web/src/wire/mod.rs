//! The wire format: JSON shapes and status codes, and nowhere else.

pub mod answer;
pub mod error;
pub mod fields;
pub mod message;
pub mod record;
