//! The language between `model` and `store`: what to read (`Select`), what to write (`Batch`), how the schema
//! changes (`Ddl`), and what a commit announces (`Change`). Data and pure functions: no SQL text, no I/O,
//! no async. Three readers share one meaning, which is written down here: SQLite, PostgreSQL and `eval`.

pub mod batch;
pub mod change;
pub mod claim;
pub mod column;
pub mod ddl;
pub mod eval;
pub mod expr;
pub mod route;
pub mod row;
pub mod select;
pub mod visits;

pub use batch::{Assign, Batch, Committed, Guard, Job, Op, Priority};
pub use change::{Change, ChangeItem, ChangeKind};
pub use claim::{Action, Claim};
pub use column::{Column, ColumnType, Table};
pub use ddl::Ddl;
pub use expr::{Alias, Expr, Join, Operand, Operator, Source, ValueType};
pub use route::Route;
pub use row::Row;
pub use select::{Select, Sort, SortKey};
pub use visits::Visits;
