//! What every handler is given.

use std::sync::Arc;

use app::Parts;
use observe::RequestLog;

#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    log: RequestLog,
}

impl State {
    pub fn new(parts: Arc<Parts>, log: RequestLog) -> Self {
        State(Arc::new(Inner { parts, log }))
    }

    pub fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub fn log(&self) -> &RequestLog {
        &self.0.log
    }
}
