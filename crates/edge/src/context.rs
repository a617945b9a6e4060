//! What is known of one request while it passes the phases.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::Version;
use hyper::header::{HeaderMap, HeaderValue};

use crate::access_log::Record;
use crate::admit::Refusal;
use crate::announce::heard::Positions;
use crate::cache::outcome::Outcome;
use crate::forward::upgrade::Upgrade;
use crate::forwarded::{Asker, Introduction};
use crate::slow::Broken;
use crate::upstream::Node;

/// One for each request. Phases read what earlier ones found and add what they find.
pub struct Context {
    pub began: Instant,
    /// Who asks: the address of the connection's other end, or what a trusted proxy before this one says.
    pub client: IpAddr,
    /// Whether the client's connection is encrypted.
    pub secure: bool,
    /// What the request is called, here and at nodes.
    pub request_id: Option<HeaderValue>,
    /// Who asks, as nodes are told it.
    pub(crate) asker: Arc<Asker>,
    /// None where the request's own fields say it already.
    pub(crate) introduces: Option<Introduces>,
    /// What the client speaks.
    pub version: Version,
    /// What became of a body on its way to a node.
    pub(crate) upload: Option<Arc<Broken>>,
    /// What the access log will say, if there is one.
    pub(crate) record: Option<Box<Record>>,
    /// The node that answered, or was asked last.
    pub node: Option<Arc<Node>>,
    /// How often nodes were asked.
    pub attempts: u32,
    /// The client wants to speak another protocol from here on.
    pub upgrade: Option<Upgrade>,
    /// What the edge has heard that asks this one as its shield.
    pub edge: Option<Positions>,
    /// How it fared in the cache.
    pub cached: Option<Outcome>,
}

/// What a node is told of who asked, beside what the context says.
#[derive(Clone, Copy)]
pub(crate) struct Introduces {
    pub via: Option<&'static str>,
    pub forwarded: bool,
}

impl Context {
    /// The client's address is in its canonical form.
    pub fn new(asker: Arc<Asker>) -> Self {
        let (client, secure) = (asker.client(), asker.is_secure());
        Context {
            began: Instant::now(),
            client,
            secure,
            request_id: None,
            asker,
            introduces: None,
            version: Version::HTTP_11,
            upload: None,
            record: None,
            node: None,
            attempts: 0,
            upgrade: None,
            edge: None,
            cached: None,
        }
    }

    /// Why the client itself is to blame that the request could not be sent.
    pub fn broken(&self) -> Option<Refusal> {
        self.upload.as_ref()?.get()
    }

    /// For a question on behalf of this request that may outlive it.
    pub fn aside(&self) -> Self {
        Context { request_id: self.request_id.clone(), ..Context::new(self.asker.clone()) }
    }

    /// What is to be added to the request's head on its way to a node.
    pub(crate) fn introduction(&self) -> Option<Introduction<'_>> {
        let Introduces { via, forwarded } = self.introduces?;
        Some(Introduction { asker: &self.asker, id: self.request_id.as_ref(), via, forwarded })
    }

    /// The same among the request's fields, for those who look at them before a node does.
    pub(crate) fn introduce(&mut self, headers: &mut HeaderMap) {
        if let Some(introduction) = self.introduction() {
            introduction.put(headers);
        }
        self.introduces = None;
    }
}
