//! Engines over other engines, which pass the same contract.

mod replicated;

pub use replicated::Replicated;
