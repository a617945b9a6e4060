//! What a front door is told when it starts. Plain data: whoever reads configuration fills it in.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::admit::options::Guard;
use crate::balance;
use crate::discovery::names::Names;
use crate::{acme, tls};

/// Everything that a front door is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens without encryption.
    pub http: Vec<SocketAddr>,
    /// Where it listens with encryption.
    pub https: Vec<SocketAddr>,
    /// Clients without encryption are sent to the first address with it.
    pub https_redirect: bool,
    pub tls: tls::Options,
    /// Who issues a certificate; none when all of them are in files.
    pub acme: Option<acme::Options>,
    /// A Unix socket, where a successor takes over without a break.
    pub handover: Option<PathBuf>,
    /// Threads that serve, each with connections of its own; 0 for one for each processor.
    pub threads: usize,
    /// How long open requests are given at the end, in milliseconds.
    pub drain_ms: u64,
    /// Nodes that are known from the start: `host:port`, `http://` or `https://` before it.
    pub nodes: Vec<String>,
    /// Names that lead to nodes, looked up again and again: `host:port`.
    pub dns: Names,
    /// Whether nodes that announce themselves are asked, or only listened to.
    pub announced_nodes: bool,
    /// Where the control API answers.
    pub control: Vec<SocketAddr>,
    /// What whoever uses the control API must know; empty for nothing.
    pub secret: String,
    /// The control addresses of other front doors, which are told of purges.
    pub peers: Names,
    /// Who may ask for what.
    pub guard: Guard,
    /// Which node is asked, and what happens when it fails.
    pub balance: balance::Options,
    /// The file with the authorities that vouch for `https://` nodes.
    pub nodes_ca: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            http: Vec::new(),
            https: Vec::new(),
            https_redirect: false,
            tls: tls::Options::default(),
            acme: None,
            handover: None,
            threads: 0,
            drain_ms: base::limits::DRAIN_MS,
            nodes: Vec::new(),
            dns: Names::default(),
            announced_nodes: true,
            control: Vec::new(),
            secret: String::new(),
            peers: Names::default(),
            guard: Guard::default(),
            balance: balance::Options::default(),
            nodes_ca: None,
        }
    }
}
