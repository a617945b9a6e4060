//! Tells front doors of this process: that it is there, that it is about to leave, and what its commits make stale.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use app::Parts;
use app::logs::doors::{Answer, Door};
use app::outside::Stale;
use base::limits::{
    ANNOUNCE_GOODBYE_MS, ANNOUNCE_GRACE_MS, ANNOUNCE_LEAVE_MS, TRACE_DOORS_MAX, TRACE_DOORS_MS,
};
use edge::announce::sender::Sender;
use edge::announce::{Announcement, Purge};
use edge::control::client::{Client, HeaderValue, Method};
use edge::discovery::names::Names;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::doors;

/// Held by whoever writes. Cheap to clone.
#[derive(Clone)]
pub struct Announcer {
    sender: Sender,
    to: To,
    /// Where the process answers, if the configuration says so.
    address: String,
}

/// How front doors are reached.
#[derive(Clone)]
enum To {
    Http {
        names: Names,
        secret: String,
    },
    /// Whichever front doors are there.
    Bus(backing::bus::Options),
}

impl Announcer {
    /// None where no front door is configured. `life` is what others on the database know this process by.
    pub fn open(config: &Config, life: &str) -> Result<Option<Announcer>> {
        let announce = &config.announce;
        let names = Names::parse(&announce.to, "announce.to").map_err(anyhow::Error::msg)?;
        let to = match (names.is_empty(), config.bus.url.is_empty()) {
            (true, true) => return Ok(None),
            (true, false) => To::Bus(config.bus()),
            (false, _) => To::Http { names, secret: announce.secret.clone() },
        };
        let own = Announcement {
            life: life.to_owned(),
            name: config.node_name(),
            zone: config.node.zone.clone(),
            region: config.node.region.clone(),
            ..Announcement::default()
        };
        Ok(Some(Announcer { sender: Sender::new(own), to, address: announce.address.clone() }))
    }

    /// What is no longer so. Never waits: front doors are told at once, by a task. To be called when every node of this
    /// database answers with what is new, and before the writer is answered.
    pub fn purge(&self, purge: Purge) {
        self.sender.purge(&purge);
    }

    /// For those who know what a commit made stale.
    pub fn tells(&self) -> app::outside::Tell {
        let announcer = self.clone();
        Arc::new(move |stale| {
            announcer.purge(match stale {
                Stale::Tags(tags) => Purge { tags, ..Purge::default() },
                Stale::Anything { forbidden } => Purge { soft: !forbidden, ..Purge::anything() },
            });
        })
    }

    /// For those who want to know what front doors keep of a request. Only those that are told over HTTP can be asked.
    pub fn asks(&self) -> Option<app::logs::doors::Ask> {
        let To::Http { names, secret } = &self.to else { return None };
        let authorization = edge::control::bearer(secret).ok()?;
        let names: Arc<[String]> = names.iter().take(TRACE_DOORS_MAX).map(str::to_owned).collect();
        Some(Arc::new(move |request| {
            let (names, authorization) = (names.clone(), authorization.clone());
            Box::pin(async move {
                let each = names.iter().map(|name| ask(name, authorization.clone(), &request));
                futures_util::future::join_all(each).await.into_iter().flatten().collect()
            })
        }))
    }

    /// Begins to tell the doors, also of the others on the database. `listens` is where the process answers requests, for
    /// those that do.
    pub fn begin(&self, parts: &Arc<Parts>, listens: Option<SocketAddr>) -> Result<Telling> {
        let is_anywhere = |listens: SocketAddr| listens.ip().is_unspecified();
        let address = match (self.address.as_str(), listens) {
            (_, None) => String::new(),
            // There may be no front doors at all.
            ("", Some(listens)) if is_anywhere(listens) && matches!(self.to, To::Bus(_)) => String::new(),
            ("", Some(listens)) if is_anywhere(listens) => bail!(
                "front doors must know where this process answers, and it listens on every address ({listens}): set \
                 announce.address, or PANDO_ANNOUNCE_ADDRESS, to the HOST:PORT that they are to use"
            ),
            ("", Some(listens)) => listens.to_string(),
            (address, Some(_)) => address.to_owned(),
        };
        let sender = self.sender.clone();
        // The parts have this announcer in them.
        let parts = Arc::downgrade(parts);
        sender.knows(Box::new(move || {
            let known = parts.upgrade().map(|parts| parts.nodes.known());
            known.iter().flat_map(|known| known.iter()).map(|member| member.to_string()).collect()
        }));
        let task = match self.to.clone() {
            To::Http { names, secret } => {
                let authorization = edge::control::bearer(&secret).map_err(anyhow::Error::msg)?;
                tokio::spawn(edge::announce::http::tell_all(sender, names, authorization, address))
            }
            To::Bus(bus) => {
                let nowhere = listens.is_some() && address.is_empty();
                tokio::spawn(async move {
                    if let Err(error) = doors::tell_all(sender, &bus, &address, nowhere).await {
                        tracing::error!("front doors cannot be told of this process: {error}");
                    }
                })
            }
        };
        Ok(Telling { sender: self.sender.clone(), task })
    }
}

/// Every front door that the name leads to.
async fn ask(name: &str, authorization: Option<HeaderValue>, request: &str) -> Vec<Door> {
    let wait = Duration::from_millis(TRACE_DOORS_MS);
    let silent = |name: String| Door { name, answer: Answer::Silent };
    let found = match tokio::time::timeout(wait, tokio::net::lookup_host(name)).await {
        Ok(Ok(found)) => found.take(TRACE_DOORS_MAX).collect::<BTreeSet<SocketAddr>>(),
        _ => return vec![silent(name.to_owned())],
    };
    let each = found.into_iter().map(|address| {
        let authorization = authorization.clone();
        async move {
            let asked = tokio::time::timeout(wait, ask_one(address, authorization, request)).await;
            asked.ok().flatten().unwrap_or_else(|| silent(address.to_string()))
        }
    });
    futures_util::future::join_all(each).await
}

/// `None` when it does not say.
async fn ask_one(address: SocketAddr, authorization: Option<HeaderValue>, request: &str) -> Option<Door> {
    let client = Client::new(address.to_string(), authorization);
    let body = serde_json::json!({"request": request}).to_string();
    let (status, answer) = client.call(Method::POST, "/logs", body).await.ok()?;
    let told: serde_json::Value = serde_json::from_slice(&answer).ok()?;
    let name = told["name"].as_str()?.to_owned();
    let answer = match (status.is_success(), told["items"].as_array()) {
        (true, Some(items)) => Answer::Lines(items.iter().map(ToString::to_string).collect()),
        (true, None) => Answer::Off,
        (false, _) => Answer::Silent,
    };
    Some(Door { name, answer })
}

/// Announcements that go on until this is dropped.
pub struct Telling {
    sender: Sender,
    task: JoinHandle<()>,
}

impl Telling {
    /// To be awaited before the process stops to accept: afterwards no front door sends it anything new.
    pub async fn leave(&self) {
        if self.sender.leave(Duration::from_millis(ANNOUNCE_LEAVE_MS)).await {
            tokio::time::sleep(Duration::from_millis(ANNOUNCE_GRACE_MS)).await;
        }
    }

    pub fn purge(&self, purge: Purge) {
        self.sender.purge(&purge);
    }

    /// To be awaited when nothing is written any more.
    pub async fn end(self) {
        self.sender.goodbye(Duration::from_millis(ANNOUNCE_GOODBYE_MS)).await;
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.task.abort();
    }
}
