//! The wire format: JSON shapes and status codes, and nowhere else.

pub mod error;
pub mod record;
pub mod fields;
pub mod answer;
