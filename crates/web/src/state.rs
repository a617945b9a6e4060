//! What every handler is given.

use std::sync::Arc;

use app::Parts;
use observe::RequestLog;

use crate::describe::openapi::Documents;

#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    log: RequestLog,
    documents: Documents,
}

impl State {
    pub fn new(parts: Arc<Parts>, log: RequestLog) -> Self {
        State(Arc::new(Inner { parts, log, documents: Documents::default() }))
    }

    pub fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// The descriptions of the API that were asked for last.
    pub fn documents(&self) -> &Documents {
        &self.0.documents
    }

    pub fn log(&self) -> &RequestLog {
        &self.0.log
    }
}
