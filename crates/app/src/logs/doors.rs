//! What front doors know of a request. They keep their lines themselves, and are asked when somebody looks.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Asks all that are known for one request.
pub type Ask = Arc<dyn Fn(String) -> BoxFuture<'static, Vec<Door>> + Send + Sync>;

/// What one of them said.
#[derive(Clone, Debug, PartialEq)]
pub struct Door {
    /// As it calls itself; its address while it says nothing.
    pub name: String,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Its lines, JSON objects.
    Lines(Vec<String>),
    /// It keeps no access log.
    Off,
    /// It could not be asked.
    Silent,
}
