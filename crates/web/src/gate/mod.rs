//! What a request passes before any route sees it: who it comes from, whether a superuser may come from there, and
//! whether its client has asked too often. Costs nothing that the settings do not ask for.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use app::auth::token::{self, Caller};
use app::settings::Settings;
use app::settings::validate::network;
use app::{Error, Parts, Result};
use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderValue, Response, header};
use backing::Counters;
use base::Kind;
use ipnet::IpNet;
use model::Record;
use percent_encoding::percent_decode_str;
use rustc_hash::FxBuildHasher;
use serde_json::json;

use crate::state::State;
use crate::wire;

mod address;
mod label;
mod limits;

pub use address::{Behind, Proxies};
pub use label::Asked;
use limits::Limits;

/// The settings as this folder reads them. Made anew when they change, and with it every count begins anew, as the
/// reference has it.
pub struct Policy {
    settings: Arc<Settings>,
    proxies: Proxies,
    behind: Behind,
    /// Where superusers may come from; `None` for anywhere.
    superusers: Option<Vec<IpNet>>,
    limits: Option<Limits>,
}

impl Policy {
    pub fn new(settings: Arc<Settings>, parts: &Parts, behind: Behind) -> Self {
        let from = &settings.superuser_ips;
        Policy {
            proxies: Proxies::new(&settings.trusted_proxy),
            behind,
            superusers: (!from.is_empty()).then(|| networks(from)),
            limits: settings.rate_limits.enabled.then(|| limits(&settings, parts)),
            settings,
        }
    }

    pub fn is_made_of(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, settings)
    }

    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Whom the settings' headers name, or what a proxy says that this process is behind.
    fn client(&self, peer: IpAddr, head: &Head) -> IpAddr {
        let named = self.proxies.client(&head.headers);
        named.or_else(|| self.behind.client(peer, &head.headers)).unwrap_or(peer)
    }

    fn bars_superusers(&self, address: IpAddr) -> bool {
        self.superusers.as_ref().is_some_and(|from| !contains(from, address))
    }
}

fn limits(settings: &Settings, parts: &Parts) -> Limits {
    // The same on all nodes with these settings, and on no others.
    let name = format!("rate/{:016x}", FxBuildHasher.hash_one(json!(settings).to_string()));
    let limits = &settings.rate_limits;
    Limits::new(limits, networks(&limits.excluded_ips), Counters::new(&parts.store, name))
}

/// What does not read as a network matches nothing.
fn networks(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| network(text)).collect()
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// What is known of a request beside its head and body. Travels with the request's extensions.
#[derive(Clone)]
pub struct Visit(Arc<Inner>);

struct Inner {
    policy: Arc<Policy>,
    /// The other end of the connection.
    peer: IpAddr,
    /// The client: the peer, or whom a trusted proxy names.
    address: IpAddr,
    /// Found out here, so that nobody has to again.
    caller: OnceLock<Option<Caller>>,
}

impl Visit {
    pub fn new(policy: Arc<Policy>, head: &Head, peer: IpAddr) -> Self {
        // A listener for both families names IPv4 clients so.
        let peer = peer.to_canonical();
        let address = policy.client(peer, head);
        Visit(Arc::new(Inner { policy, peer, address, caller: OnceLock::new() }))
    }

    /// What was in force when the request came.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    pub fn peer(&self) -> IpAddr {
        self.0.peer
    }

    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Whether no superuser may come from where this client is.
    pub fn bars_superusers(&self) -> bool {
        self.0.policy.bars_superusers(self.0.address)
    }

    /// Counts a request of this client. `Some` when it is one too many, with the time until the next is not.
    pub async fn count(&self, state: &State, asked: &Asked<'_>) -> Option<Duration> {
        let limits = self.0.policy.limits.as_ref()?;
        let parts = state.parts();
        let caller = self.record().map(|record| &**record);
        limits.count(&parts.catalog.schema(), asked, caller, self.0.address, parts.clock.now()).await
    }

    /// The record that made the request, once somebody has found out.
    pub fn record(&self) -> Option<&Arc<Record>> {
        self.0.caller.get()?.as_ref().map(|caller| &caller.record)
    }

    /// Who makes the request, by its token.
    pub async fn caller(&self, state: &State, token: &str) -> Result<Option<Caller>> {
        if let Some(known) = self.0.caller.get() {
            return Ok(known.clone());
        }
        let caller = match token.is_empty() {
            true => None,
            false => token::authenticate(state.parts(), token).await?,
        };
        if let Some(caller) = &caller {
            let parts = state.parts();
            parts.active.note(&caller.record, parts.clock.now());
        }
        Ok(self.0.caller.get_or_init(|| caller).clone())
    }
}

pub fn too_many() -> Error {
    Error::new(Kind::TooMany, "Too Many Requests.")
}

/// What the API decides must go by collections and settings that nobody was told are gone. `Some` is the answer when that
/// cannot be made sure of.
pub async fn be_sure(state: &State, head: &Head) -> Option<Response<Body>> {
    if !head.uri.path().starts_with("/api/") {
        return None;
    }
    state.parts().nodes.be_sure().await.err().map(wire::error::response)
}

/// `Some` is the answer to a request that may not go on.
pub async fn admit(state: &State, head: &Head, visit: &Visit) -> Option<Response<Body>> {
    let policy = visit.policy();
    if policy.superusers.is_none() && policy.limits.is_none() {
        return None;
    }
    let caller = match visit.caller(state, crate::extract::bearer(&head.headers)).await {
        Ok(caller) => caller,
        Err(error) => return Some(wire::error::response(error)),
    };
    if let Some(caller) = &caller
        && caller.record.collection.is_superusers()
        && visit.bars_superusers()
    {
        return Some(wire::error::response(app::auth::login::barred()));
    }
    let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
    let wait = visit.count(state, &Asked { method: &head.method, path: &path, in_batch: false }).await?;
    state.meters().refused.increment(1);
    let mut refused = wire::error::response(too_many());
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    Some(refused)
}
