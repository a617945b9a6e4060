//! The query language as SQL text with parameters. Rendering is pure: what it must know of the database (which
//! names are views) is handed in. Nothing here runs a statement.

mod aliases;
pub mod compare;
mod compare_postgres;
pub mod ddl;
pub mod dialect;
pub mod operand;
pub mod outline;
pub mod render;
pub mod translate;
mod visits;
pub mod write;

use base::{Name, Value};
use rustc_hash::FxHashSet;

pub use dialect::Dialect;
pub use render::Renderer;

/// Names of views: they have no insertion order, and any of their columns may be null.
pub type Views = FxHashSet<Name>;

/// One statement and the values of its placeholders, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    pub sql: String,
    pub params: Vec<Value>,
}
