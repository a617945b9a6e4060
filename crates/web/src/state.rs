//! What every handler is given.

use std::sync::Arc;

use app::Parts;
use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::Response;
use axum::http::request::Parts as Head;
use observe::RequestLog;

use crate::dashboard::Dashboard;
use crate::describe::openapi::Documents;
use crate::gate::{Behind, Policy};
use crate::identified::Telling;
use crate::meters::Meters;
use crate::public::Public;
use crate::watch::{LIVE, METRICS, READY, Watch};

#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    log: RequestLog,
    documents: Documents,
    policy: ArcSwap<Policy>,
    site: Site,
    meters: Meters,
    telling: Telling,
    watch: Watch,
    /// Paths of [`Watch`] that are files of the site.
    taken: Vec<&'static str>,
}

/// What is served besides the API, and from behind whom.
pub struct Site {
    pub public: Option<Public>,
    pub dashboard: Option<Dashboard>,
    pub behind: Behind,
}

impl State {
    pub fn new(parts: Arc<Parts>, log: RequestLog, site: Site, watch: Watch) -> Self {
        let policy = Policy::new(parts.settings.load_full(), &parts, site.behind.clone());
        let policy = ArcSwap::from_pointee(policy);
        let mut taken = vec![LIVE, READY, METRICS];
        taken.retain(|path| site.public.as_ref().is_some_and(|public| public.holds(path)));
        State(Arc::new(Inner {
            parts,
            log,
            documents: Documents::default(),
            policy,
            site,
            meters: Meters::default(),
            telling: Telling::default(),
            watch,
            taken,
        }))
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

    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// How many failures may still be told of.
    pub fn telling(&self) -> &Telling {
        &self.0.telling
    }

    /// The answer to whoever asks whether this process lives or is ready.
    pub async fn health(&self, head: &Head) -> Option<Response<Body>> {
        match self.0.taken.contains(&head.uri.path()) {
            true => None,
            false => self.0.watch.health(head).await,
        }
    }

    /// The figures, unless the path is a file of the site.
    pub async fn figures(&self) -> Option<Response<Body>> {
        match self.0.taken.contains(&METRICS) {
            true => None,
            false => self.0.watch.figures().await,
        }
    }

    /// The static files, if there are any.
    pub fn public(&self) -> Option<&Public> {
        self.0.site.public.as_ref()
    }

    /// The dashboard, unless it is turned off.
    pub fn dashboard(&self) -> Option<&Dashboard> {
        self.0.site.dashboard.as_ref()
    }

    /// What the settings in force let pass.
    pub fn policy(&self) -> Arc<Policy> {
        let policy = self.0.policy.load();
        let settings = self.0.parts.settings.load();
        if policy.is_made_of(&settings) {
            return arc_swap::Guard::into_inner(policy);
        }
        let policy = Arc::new(Policy::new(
            arc_swap::Guard::into_inner(settings),
            &self.0.parts,
            self.0.site.behind.clone(),
        ));
        self.0.policy.store(policy.clone());
        policy
    }
}
