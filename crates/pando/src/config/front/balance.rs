//! The keys of front doors that are about which node is asked, how it is judged, and what happens when it fails.

use std::time::Duration;

use anyhow::{Result, anyhow};
use base::limits;
use edge::balance::health::Checks;
use edge::balance::options::{Active, Options};
use serde::{Deserialize, Serialize};

use super::described;

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Balance {
        /// `two-choices`, `round-robin`, `least-connections`, `hash-url`, `hash-client` or `hash-header:NAME`.
        pub strategy: String,
        /// The cookie that keeps a client with its node; empty for none.
        pub sticky: String,
        /// The zone whose nodes are preferred; empty for no preference.
        pub zone: String,
        /// What nodes are asked for their health by; empty to judge them by their answers alone.
        pub check_path: String,
        /// How often each is asked.
        pub check_interval_ms: u64,
        /// How long it may take to answer that.
        pub check_timeout_ms: u64,
        /// Good checks in a row that bring a node back.
        pub check_rise: u32,
        /// Bad checks in a row that take it out.
        pub check_fall: u32,
        /// How long a node that came, or came back, takes to its whole share.
        pub slow_start_ms: u64,
        /// How long a node may take from a request to the first byte of its answer.
        pub first_byte_ms: u64,
        /// How long all attempts may take together until an answer begins.
        pub deadline_ms: u64,
        /// How often a request is asked again at most.
        pub retries: u32,
        /// How many of all requests may be asked again, in hundredths.
        pub retry_percent: u32,
        /// Requests that a node is given at the same time.
        pub node_requests_max: usize,
        /// Requests that wait for a node with room.
        pub waiting_max: usize,
        /// The file with the authorities that vouch for nodes and shields with `https://`.
        pub nodes_ca: String,
    }
}

impl Default for Balance {
    fn default() -> Self {
        Balance {
            strategy: "two-choices".into(),
            sticky: String::new(),
            zone: String::new(),
            check_path: "/readyz".into(),
            check_interval_ms: limits::FRONT_CHECK_INTERVAL_MS,
            check_timeout_ms: limits::FRONT_CHECK_TIMEOUT_MS,
            check_rise: limits::FRONT_CHECK_RISE,
            check_fall: limits::FRONT_CHECK_FALL,
            slow_start_ms: limits::FRONT_SLOW_START_MS,
            first_byte_ms: limits::FRONT_ANSWER_MS,
            deadline_ms: limits::FRONT_DEADLINE_MS,
            retries: limits::FRONT_ATTEMPTS_MAX - 1,
            retry_percent: limits::FRONT_RETRY_PERCENT,
            node_requests_max: limits::FRONT_NODE_REQUESTS_MAX,
            waiting_max: limits::FRONT_WAITING_MAX,
            nodes_ca: String::new(),
        }
    }
}

impl Balance {
    pub fn options(&self) -> Result<Options> {
        let ms = Duration::from_millis;
        let checks = Checks { rise: self.check_rise.max(1), fall: self.check_fall.max(1) };
        let active = Active {
            path: self.check_path.clone(),
            interval: ms(self.check_interval_ms.max(limits::FRONT_CHECK_TICK_MS)),
            timeout: ms(self.check_timeout_ms),
            checks,
        };
        Ok(Options {
            strategy: self.strategy.parse().map_err(|error| anyhow!("front.strategy: {error}"))?,
            sticky: (!self.sticky.is_empty()).then(|| self.sticky.clone()),
            zone: self.zone.clone(),
            slow_start: ms(self.slow_start_ms),
            active: (!self.check_path.is_empty()).then_some(active),
            first_byte: ms(self.first_byte_ms),
            deadline: ms(self.deadline_ms),
            retries: self.retries,
            retry_percent: self.retry_percent,
            node_requests_max: self.node_requests_max,
            waiting_max: self.waiting_max,
        })
    }
}
