//! A purge goes on from the front door that was asked to all others.

use std::time::Duration;

use base::limits::FRONT_PASS_MS;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use hyper::Method;
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::client::Client;
use crate::announce::Purge;
use crate::announce::heard::Mark;
use crate::discovery::names::{Names, Resolver};

/// What `POST /purge` says. A key that is not known is refused: it may be a misspelt one, and then nothing would be purged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    pub tags: Vec<String>,
    pub urls: Vec<String>,
    pub prefixes: Vec<String>,
    pub all: bool,
    pub soft: bool,
    /// It comes from another front door, and goes no further.
    pub passed: bool,
}

impl Asked {
    pub fn of(purge: Purge, passed: bool) -> Self {
        let Purge { tags, urls, prefixes, all, soft } = purge;
        Asked { tags, urls, prefixes, all, soft, passed }
    }

    pub fn purge(self) -> Purge {
        let Asked { tags, urls, prefixes, all, soft, passed: _ } = self;
        Purge { tags, urls, prefixes, all, soft }
    }
}

/// Another front door, and why it has not confirmed, if so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    pub door: String,
    pub confirmed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl Told {
    pub fn by(door: String, outcome: Result<(), String>) -> Told {
        Told { door, confirmed: outcome.is_ok(), error: outcome.err().unwrap_or_default() }
    }
}

impl Mark {
    /// In the query, which front doors that do not number purges do not look at.
    fn path(&self) -> String {
        format!("/purge?life={}&position={}", self.life, self.position)
    }

    /// Of a passed purge; None if it came without.
    pub(super) fn of(query: Option<&str>) -> Option<Mark> {
        let parameters = query?.split('&').filter_map(|parameter| parameter.split_once('='));
        let (mut life, mut position) = (None, None);
        for (name, value) in parameters {
            match name {
                "life" => life = Some(value),
                "position" => position = value.parse().ok(),
                _ => {}
            }
        }
        Some(Mark { life: life?.to_owned(), position: position? })
    }
}

/// A way to all other front doors.
pub trait Passes: Send + Sync {
    /// Ends when all have confirmed, or have had their time. `mark` says whose purge it is, and its number.
    fn pass<'a>(&'a self, purge: &'a Purge, mark: &'a Mark) -> BoxFuture<'a, Vec<Told>>;
}

/// There are no others.
impl Passes for () {
    fn pass<'a>(&'a self, _purge: &'a Purge, _mark: &'a Mark) -> BoxFuture<'a, Vec<Told>> {
        future::ready(Vec::new()).boxed()
    }
}

/// Over HTTP, to the control addresses that names lead to. Whoever is among them itself purges twice, which does no harm.
pub struct Peers {
    resolver: Mutex<Resolver>,
    authorization: Option<HeaderValue>,
}

impl Peers {
    pub fn new(names: Names, authorization: Option<HeaderValue>) -> Self {
        Peers { resolver: Mutex::new(Resolver::new(names)), authorization }
    }
}

impl Passes for Peers {
    fn pass<'a>(&'a self, purge: &'a Purge, mark: &'a Mark) -> BoxFuture<'a, Vec<Told>> {
        async move {
            let path = mark.path();
            let Ok(text) = serde_json::to_vec(&Asked::of(purge.clone(), true)) else { return Vec::new() };
            let (found, lost) = {
                let mut resolver = self.resolver.lock().await;
                (resolver.look().await, resolver.lost())
            };
            let each = found.into_iter().map(|address| {
                let (text, path) = (text.clone(), path.as_str());
                async move {
                    let client = Client::new(address.to_string(), self.authorization.clone());
                    let call = client.call(Method::POST, path, text);
                    let outcome = match tokio::time::timeout(Duration::from_millis(FRONT_PASS_MS), call).await
                    {
                        Ok(Ok((status, _))) if status.is_success() => Ok(()),
                        Ok(Ok((status, _))) => Err(format!("it answers with {status}")),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err("no answer in time".to_owned()),
                    };
                    Told::by(address.to_string(), outcome)
                }
            });
            let mut told = future::join_all(each).await;
            let unknown = || Err("its address is not known".to_owned());
            told.extend(lost.into_iter().map(|name| Told::by(name, unknown())));
            told
        }
        .boxed()
    }
}
