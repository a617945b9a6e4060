//! What the front door is told about who may ask for what.

use base::limits;

use crate::access_log;
use crate::limits::Most;
use crate::slow::Timing;

/// Lists are as people write them; [`super::Gate::new`] says what is wrong with them.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Names that it answers for, without a port; `*.example.com` for all below one. Empty for any.
    pub hosts: Vec<String>,
    /// Networks of proxies before this one, whose word about who asks is taken.
    pub trusted: Vec<String>,
    /// Request headers that never reach a node. One that ends with `*` means all that begin so.
    pub removed_headers: Vec<String>,
    /// Whether nodes are told in the form of RFC 7239 too.
    pub forwarded: bool,
    /// What a request's body may have; 0 for no limit.
    pub body_bytes_max: u64,
    pub client_most: Most,
    /// Networks that no limit of clients is for.
    pub client_exempt: Vec<String>,
    pub timing: Timing,
    /// None for no access log.
    pub access_log: Option<access_log::Target>,
}

/// Headers by which some servers let the client choose a path, a method, a host or an address. None is part of what an
/// answer is found by in a cache, so none may reach a node.
pub const REMOVED: [&str; 20] = [
    "forwarded-for",
    "forwarded-host",
    "forwarded-proto",
    "x-forwarded*",
    "x-original-*",
    "x-rewrite-*",
    "x-http-*",
    "x-method-override",
    "x-host",
    "x-url-scheme",
    "x-scheme",
    "x-proxy-*",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fly-client-ip",
    "front-end-https",
    "proxy",
];

impl Default for Guard {
    fn default() -> Self {
        Guard {
            hosts: Vec::new(),
            trusted: Vec::new(),
            removed_headers: REMOVED.map(str::to_owned).to_vec(),
            forwarded: false,
            body_bytes_max: limits::FRONT_BODY_BYTES_MAX,
            client_most: Most::default(),
            client_exempt: Vec::new(),
            timing: Timing::default(),
            access_log: None,
        }
    }
}
