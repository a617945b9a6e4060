//! In-process caches of records and of whole answers. An entry carries the number at which it was read (see
//! [`crate::Stamps`]) and is used only while what it depends on has not changed since.

mod answers;
pub mod codec;
mod flights;
mod keep;
mod loads;
mod meters;
mod pool;
mod records;
pub mod redis;
mod seen;
#[cfg(test)]
mod tests;
pub mod tier;

pub use answers::{Kept, QueryCache};
pub use keep::{Keep, Keeps, Strategy, Ttl};
pub use loads::Loads;
pub use pool::Policy;
pub use records::{Asked, RecordCache, Shape};
