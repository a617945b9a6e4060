//! What is configured of the cache that processes share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use app::caching::shared::Shared;
use backing::cache::redis::{Members, Options, Redis as Tier};
use base::limits::{CACHE_TTL_MS_MAX, TIER_CALL_MS, TIER_CALL_MS_MAX, TIER_LIFE_MS};
use serde::{Deserialize, Serialize};

use super::described::described;

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Redis {
        /// `redis://host:port`, `rediss://` for TLS, `redis-sentinel://h1:26379,h2:26379/NAME` or
        /// `redis-cluster://h1:6379,h2:6379`; empty for none.
        pub url: String,
        /// What all keys begin with: each database has its own.
        pub prefix: String,
        /// How long a record is kept there at most.
        pub ttl_ms: u64,
        /// How long one command may take before the database is asked instead.
        pub timeout_ms: u64,
    }
}

impl Default for Redis {
    fn default() -> Self {
        Redis { url: String::new(), prefix: "pando".into(), ttl_ms: TIER_LIFE_MS, timeout_ms: TIER_CALL_MS }
    }
}

impl Redis {
    /// Does not wait for the servers.
    pub fn open(&self, members: Arc<dyn Members>) -> Result<Option<Shared>> {
        if self.url.is_empty() {
            return Ok(None);
        }
        if !(1..=TIER_CALL_MS_MAX).contains(&self.timeout_ms) {
            bail!("cache.redis.timeout_ms must lie between 1 and {TIER_CALL_MS_MAX}");
        }
        let options = Options {
            url: self.url.clone(),
            prefix: self.prefix.clone(),
            call: Duration::from_millis(self.timeout_ms),
        };
        let tier = Tier::open(&options, members).context("in cache.redis.url")?;
        let lifetime = Duration::from_millis(self.ttl_ms.clamp(1, CACHE_TTL_MS_MAX));
        Ok(Some(Shared { tier: Arc::new(tier), lifetime }))
    }
}
