//! Collections: listed, defined, changed, imported and emptied by superusers.

pub mod change;
pub mod import;
pub mod list;
pub mod standing;
pub mod truncate;
pub mod views;
