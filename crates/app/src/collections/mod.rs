//! Collections: listed, defined, changed, imported and emptied by superusers.

pub mod list;
pub mod change;
pub mod import;
pub mod truncate;

mod views;
