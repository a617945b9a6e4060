//! Records: read, written and shown as the rules allow.

pub(crate) mod cascade;
pub mod create;
pub mod delete;
pub mod expand;
pub mod input;
pub mod list;
pub mod shown;
pub mod update;
pub mod upsert;
pub mod view;

mod save;

pub use list::{ListQuery, Page};
pub use shown::{Expanded, Shown};
