//! The keys of front doors that are about who may ask for what.

use std::time::Duration;

use edge::access_log::{Format, Target};
use edge::admit::options;
use edge::limits::Most;
use edge::slow::Timing;
use serde::{Deserialize, Serialize};

use super::{described, list};

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Guard {
        /// The names that it answers for, separated by commas; `*.example.com` for all below one. Empty for any.
        pub hosts: String,
        /// Networks of proxies before it, whose `X-Forwarded-For` and `X-Request-Id` count: `10.0.0.0/8,…`.
        pub trusted: String,
        /// Request headers that never reach a node, separated by commas; one that ends with `*` means all that begin so.
        pub removed_headers: String,
        /// Whether nodes are told who asked in the form of RFC 7239 too.
        pub forwarded: bool,
        /// What a request's body may have; 0 for no limit.
        pub body_bytes_max: u64,
        /// Connections that one client may have; 0 for any number, here and below.
        pub client_connections_max: u32,
        /// Requests of one client that are answered at the same time.
        pub client_requests_max: u32,
        /// Requests that one client may make in a second, on average.
        pub client_rate_max: u32,
        /// Requests that one client may make at once after a rest; 0 for those of two seconds.
        pub client_burst_max: u32,
        /// Networks that no limit of clients is for, separated by commas. Those of `trusted` are among them.
        pub client_exempt: String,
        /// How long a request's head may take from its first byte on; 0 for any time, here and below.
        pub client_head_ms: u64,
        /// How long a connection stays open between requests.
        pub client_idle_ms: u64,
        /// How long nothing may come in the middle of a request's body.
        pub client_body_ms: u64,
        /// What must come of a body in each second that is waited for it, after that time.
        pub client_body_rate_bytes: u64,
        /// How long a client may take nothing of an answer.
        pub client_stall_ms: u64,
        /// A file with a line for each request; `-` for standard output, empty for none.
        pub access_log: String,
        /// `json`, or `combined` for the Combined Log Format.
        pub access_log_format: LogFormat,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Json,
    Combined,
}

impl Default for Guard {
    fn default() -> Self {
        let options::Guard { forwarded, body_bytes_max, removed_headers, client_most, timing, .. } =
            options::Guard::default();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Guard {
            hosts: String::new(),
            trusted: String::new(),
            removed_headers: removed_headers.join(","),
            forwarded,
            body_bytes_max,
            client_connections_max: client_most.connections,
            client_requests_max: client_most.requests,
            client_rate_max: client_most.rate,
            client_burst_max: client_most.burst,
            client_exempt: String::new(),
            client_head_ms: ms(timing.head),
            client_idle_ms: ms(timing.idle),
            client_body_ms: ms(timing.body_grace),
            client_body_rate_bytes: timing.body_rate,
            client_stall_ms: ms(timing.stall),
            access_log: String::new(),
            access_log_format: LogFormat::default(),
        }
    }
}

impl Guard {
    pub fn options(&self) -> options::Guard {
        let all = |text: &str| list(text).map(str::to_owned).collect();
        options::Guard {
            hosts: all(&self.hosts),
            trusted: all(&self.trusted),
            removed_headers: all(&self.removed_headers),
            forwarded: self.forwarded,
            body_bytes_max: self.body_bytes_max,
            client_most: Most {
                connections: self.client_connections_max,
                requests: self.client_requests_max,
                rate: self.client_rate_max,
                burst: self.client_burst_max,
            },
            client_exempt: all(&self.client_exempt),
            timing: Timing {
                head: Duration::from_millis(self.client_head_ms),
                idle: Duration::from_millis(self.client_idle_ms),
                body_grace: Duration::from_millis(self.client_body_ms),
                body_rate: self.client_body_rate_bytes,
                stall: Duration::from_millis(self.client_stall_ms),
            },
            access_log: (!self.access_log.is_empty())
                .then(|| Target { path: self.access_log.clone().into(), format: self.log_format() }),
        }
    }

    fn log_format(&self) -> Format {
        match self.access_log_format {
            LogFormat::Json => Format::Json,
            LogFormat::Combined => Format::Combined,
        }
    }
}
