//! Engines over other engines, which pass the same contract.

mod gathered;
mod replicated;

pub use gathered::Gathered;
pub use replicated::Replicated;
