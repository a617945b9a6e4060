//! Engines over other engines, which pass the same contract.

mod behind;
mod gathered;
mod replicated;

pub use behind::Behind;
pub use gathered::Gathered;
pub use replicated::Replicated;
