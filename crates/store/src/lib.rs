//! The data tier: one façade over one small trait, with the engines beneath it. Renders the query language to
//! SQL and runs it. Never knows a collection, a rule or HTTP.

pub mod compose;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod engine;
pub mod error;
mod gate;
mod meters;
pub mod sql;
pub mod store;
mod unhurried;

pub use engine::shared::{Member, Part, Shared, Take, Taken};
pub use engine::transfer;
pub use engine::{Console, ConsoleColumn, Engine, Later, ViewColumn};
pub use error::{Error, Result};
pub use store::{Options, Store, Target, Transaction, Witness, check_file, lock, open};
