//! What every handler is given.

use std::sync::Arc;

use app::Parts;
use arc_swap::ArcSwap;
use observe::RequestLog;

use crate::describe::openapi::Documents;
use crate::gate::Policy;
use crate::public::Public;

#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    log: RequestLog,
    documents: Documents,
    policy: ArcSwap<Policy>,
    public: Option<Public>,
}

impl State {
    pub fn new(parts: Arc<Parts>, log: RequestLog, public: Option<Public>) -> Self {
        let policy = ArcSwap::from_pointee(Policy::new(parts.settings.load_full(), &parts));
        State(Arc::new(Inner { parts, log, documents: Documents::default(), policy, public }))
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

    /// The static files, if there are any.
    pub fn public(&self) -> Option<&Public> {
        self.0.public.as_ref()
    }

    /// What the settings in force let pass.
    pub fn policy(&self) -> Arc<Policy> {
        let policy = self.0.policy.load();
        let settings = self.0.parts.settings.load();
        if policy.is_made_of(&settings) {
            return arc_swap::Guard::into_inner(policy);
        }
        let policy = Arc::new(Policy::new(arc_swap::Guard::into_inner(settings), &self.0.parts));
        self.0.policy.store(policy.clone());
        policy
    }
}
