//! What a balance is told.

use std::time::Duration;

use base::limits;
use hyper::header::HeaderName;

use super::health::Checks;

#[derive(Clone, Debug)]
pub struct Options {
    pub strategy: Strategy,
    /// The cookie that keeps a client with its node.
    pub sticky: Option<String>,
    /// Nodes of this zone are preferred; empty for no preference.
    pub zone: String,
    pub slow_start: Duration,
    /// None: nodes are judged by their answers alone.
    pub active: Option<Active>,
    /// Between a request and the first byte of its answer, for each attempt.
    pub first_byte: Duration,
    /// All attempts together, until an answer begins.
    pub deadline: Duration,
    /// How often a request is asked again at most, and how many of all.
    pub retries: u32,
    pub retry_percent: u32,
    /// Requests that a node is given at the same time, and those that wait for one with room.
    pub node_requests_max: usize,
    pub waiting_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    RoundRobin,
    LeastConnections,
    /// Two at random, of which the one with the lower latency times requests under way.
    TwoChoices,
    /// The same for the same, as long as it has not more than a bit above its share.
    Hash(By),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Url,
    Client,
    Header(HeaderName),
}

/// Checks that nodes are asked for their health by.
#[derive(Clone, Debug)]
pub struct Active {
    pub path: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub checks: Checks,
}

impl Options {
    /// Whether a request's fields say where it belongs.
    pub fn looks_at_fields(&self) -> bool {
        matches!(self.strategy, Strategy::Hash(By::Header(_)))
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            strategy: Strategy::TwoChoices,
            sticky: None,
            zone: String::new(),
            slow_start: Duration::from_millis(limits::FRONT_SLOW_START_MS),
            active: None,
            first_byte: Duration::from_millis(limits::FRONT_ANSWER_MS),
            deadline: Duration::from_millis(limits::FRONT_DEADLINE_MS),
            retries: limits::FRONT_ATTEMPTS_MAX - 1,
            retry_percent: limits::FRONT_RETRY_PERCENT,
            node_requests_max: limits::FRONT_NODE_REQUESTS_MAX,
            waiting_max: limits::FRONT_WAITING_MAX,
        }
    }
}

impl Default for Active {
    fn default() -> Self {
        Active {
            path: "/readyz".into(),
            interval: Duration::from_millis(limits::FRONT_CHECK_INTERVAL_MS),
            timeout: Duration::from_millis(limits::FRONT_CHECK_TIMEOUT_MS),
            checks: Checks { rise: limits::FRONT_CHECK_RISE, fall: limits::FRONT_CHECK_FALL },
        }
    }
}

/// As configuration has it: `round-robin`, `least-connections`, `two-choices`, `hash-url`, `hash-client` or
/// `hash-header:NAME`.
impl std::str::FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "round-robin" => Ok(Strategy::RoundRobin),
            "least-connections" => Ok(Strategy::LeastConnections),
            "two-choices" => Ok(Strategy::TwoChoices),
            "hash-url" => Ok(Strategy::Hash(By::Url)),
            "hash-client" => Ok(Strategy::Hash(By::Client)),
            other => other
                .strip_prefix("hash-header:")
                .and_then(|name| name.parse().ok())
                .map(|name| Strategy::Hash(By::Header(name)))
                .ok_or_else(|| {
                    format!(
                        "`{other}` is none of round-robin, least-connections, two-choices, hash-url, hash-client \
                         and hash-header:NAME"
                    )
                }),
        }
    }
}
