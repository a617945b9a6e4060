//! Records: read, written and shown as the rules allow.

pub mod list;
pub mod view;
pub mod expand;
pub mod shown;
pub mod input;
pub mod create;
pub mod update;
pub mod delete;

mod save;

pub use list::{ListQuery, Page};
pub use shown::{Expanded, Shown};
