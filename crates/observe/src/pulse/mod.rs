//! The process's own figures over time, for charts and for whoever looks after the system.

pub mod chosen;
mod reading;
mod ring;

pub use chosen::{CHOSEN, Chosen};
pub use reading::{Reading, labelled};
pub use ring::{Block, Mark, Ring, rounded};
