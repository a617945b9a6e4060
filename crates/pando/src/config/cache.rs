//! What is configured of the caches.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use app::caching::Keeping;
use backing::cache::{Keep, Keeps, Loads, Policy, Strategy, Ttl};
use base::limits::{
    CACHE_ABSENT_TTL_MS, CACHE_LOADS_MAX, CACHE_TTL_JITTER_PERCENT, CACHE_TTL_MS, CACHE_TTL_MS_MAX,
    CACHE_WARM_MAX, QUERY_CACHE_BYTES_MAX, RECORD_CACHE_BYTES_MAX, WRITE_BEHIND_MS, WRITE_BEHIND_MS_MAX,
};
use serde::{Deserialize, Serialize};

use super::described::described;
use super::redis::Redis;

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Cache {
        /// What records may take of the memory, overhead included; 0 keeps none.
        pub record_bytes: u64,
        /// What answers to lists may take of the memory; 0 keeps none.
        pub query_bytes: u64,
        /// What goes when there is no room: `clock-pro`, `lru`, `lfu`, `fifo`, `s3-fifo` or `sieve`.
        pub policy: String,
        /// How long anything is used at most; 0 for as long as it is true on SQLite, and five minutes on PostgreSQL.
        pub ttl_ms: u64,
        /// Statements that may be under way for what is not cached; 0 for no bound on SQLite, and three quarters of the
        /// connections to PostgreSQL.
        pub loads_max: u64,
        /// A cache of records that processes share: Redis from version 7, or Valkey. It holds copies only: give it `maxmemory`
        /// with `allkeys-lru`, and no persistence.
        pub redis: Redis,
        /// How the records of single collections are kept, by the collection's name.
        pub collections: BTreeMap<String, Collection>,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Collection {
        /// `read-through`, `cache-aside`, `write-through`, `write-around` or `write-behind`.
        ///
        /// The last loses data, by choice: an update is acknowledged when it is noted in memory, and a crash of the process or
        /// the machine loses what was not written yet, up to `write_behind_ms` and the time of a write. Whoever asks is
        /// answered by it at once, and followers hear of it at once, also of what a crash then undoes. Only on SQLite.
        pub strategy: String,
        /// With `write-behind`, how long an update may wait to be written; further updates of the record meanwhile are
        /// written together with it.
        pub write_behind_ms: u64,
        /// How long a record is used at most; 0 for as long as it is true. Without it, that of the cache.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ttl_ms: Option<u64>,
        /// By how much less a record may get, so that not all go at once.
        pub ttl_jitter_percent: u64,
        /// How long it is remembered that there is no such record; 0 to ask each time. Without it, for 30 seconds on PostgreSQL,
        /// and for as long as it is true on SQLite.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub negative_ttl_ms: Option<u64>,
        /// How many records are loaded at the start: those that were changed last.
        pub warm: u64,
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache {
            record_bytes: RECORD_CACHE_BYTES_MAX,
            query_bytes: QUERY_CACHE_BYTES_MAX,
            policy: Policy::default().name().into(),
            ttl_ms: 0,
            loads_max: 0,
            redis: Redis::default(),
            collections: BTreeMap::new(),
        }
    }
}

impl Default for Collection {
    fn default() -> Self {
        Collection {
            strategy: Strategy::default().name().into(),
            write_behind_ms: WRITE_BEHIND_MS,
            ttl_ms: None,
            ttl_jitter_percent: CACHE_TTL_JITTER_PERCENT,
            negative_ttl_ms: None,
            warm: 0,
        }
    }
}

impl Cache {
    pub fn policy(&self) -> Result<Policy> {
        self.policy.parse().map_err(anyhow::Error::msg).context("in cache.policy")
    }

    /// What bounds all that is kept. Where other processes write, nothing is trusted for ever.
    pub fn ttl(&self, is_shared: bool) -> Ttl {
        let ms = if self.ttl_ms == 0 && is_shared { CACHE_TTL_MS } else { self.ttl_ms };
        Ttl { ms: ms.min(CACHE_TTL_MS_MAX), jitter_percent: CACHE_TTL_JITTER_PERCENT }
    }

    /// `url` is that of a database server, if there is one.
    pub fn keeping(&self, url: Option<&str>) -> Result<Keeping> {
        let is_shared = url.is_some();
        let absent_ms = if is_shared { CACHE_ABSENT_TTL_MS } else { 0 };
        let ttl = self.ttl(is_shared);
        let default = Keep { ttl, absent: Some(Ttl { ms: absent_ms, ..ttl }), strategy: Strategy::default() };
        let mut keeps = Keeps { default, ..Keeps::default() };
        let (mut warm, mut behind) = (BTreeMap::new(), BTreeMap::new());
        for (name, collection) in &self.collections {
            let keep = collection.keep(default).with_context(|| format!("in cache.collections.{name}"))?;
            keeps.named.insert(name.as_str().into(), keep);
            if keep.strategy == Strategy::WriteBehind {
                let within = self.behind(collection, is_shared);
                behind.insert(
                    name.as_str().into(),
                    within.with_context(|| format!("in cache.collections.{name}"))?,
                );
            }
            if collection.warm > 0 {
                warm.insert(name.clone(), collection.warm.min(CACHE_WARM_MAX));
            }
        }
        let loads = match (self.loads_max, url) {
            (0, None) => Loads::default(),
            (0, Some(url)) => Loads::at_most(CACHE_LOADS_MAX * hosts(url)),
            (max, _) => Loads::at_most(max.try_into().unwrap_or(usize::MAX)),
        };
        Ok(Keeping { keeps, warm, loads, shared: None, behind })
    }

    /// How long updates of a collection wait.
    fn behind(&self, collection: &Collection, is_shared: bool) -> Result<Duration> {
        if is_shared {
            bail!(
                "write-behind is for SQLite alone: on PostgreSQL acknowledged updates would lie in one process's memory, \
                 where no other node sees them. Choose write-through"
            );
        }
        if !self.redis.url.is_empty() {
            bail!(
                "write-behind does not go with cache.redis, which would keep what a crash of this process undoes"
            );
        }
        match collection.write_behind_ms {
            ms @ 1..=WRITE_BEHIND_MS_MAX => Ok(Duration::from_millis(ms)),
            _ => bail!("write_behind_ms is from 1 to {WRITE_BEHIND_MS_MAX}"),
        }
    }
}

impl Collection {
    fn keep(&self, default: Keep) -> Result<Keep> {
        if self.ttl_jitter_percent > 100 {
            bail!("ttl_jitter_percent is a part of the whole, from 0 to 100");
        }
        let strategy = self.strategy.parse().map_err(anyhow::Error::msg)?;
        let ttl = |ms: u64| Ttl { ms: ms.min(CACHE_TTL_MS_MAX), jitter_percent: self.ttl_jitter_percent };
        Ok(Keep {
            strategy,
            ttl: ttl(self.ttl_ms.unwrap_or(default.ttl.ms)),
            absent: match (self.negative_ttl_ms, default.absent) {
                (Some(0), _) | (None, None) => None,
                (Some(ms), _) => Some(ttl(ms)),
                (None, Some(absent)) => Some(ttl(absent.ms)),
            },
        })
    }
}

/// How many hosts are named in `postgres://user@one,two/database`.
fn hosts(url: &str) -> usize {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().split(',').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_have_their_own_ways() {
        let text =
            "ttl_ms = 1000\n[collections.posts]\nstrategy = 'write-around'\nnegative_ttl_ms = 0\nwarm = 5\n";
        let cache: Cache = toml::from_str(text).unwrap();
        let keeping = cache.keeping(None).unwrap();
        let posts = keeping.keeps.of("posts");
        assert_eq!((posts.strategy, posts.ttl.ms, posts.absent), (Strategy::WriteAround, 1000, None));
        assert_eq!(keeping.keeps.of("other").strategy, Strategy::ReadThrough);
        assert_eq!(keeping.warm.get("posts"), Some(&5));
        for wrong in [
            "[collections.posts]\nstrategy = 'write-up'",
            "[collections.posts]\nstrategy = 'write-behind'\nwrite_behind_ms = 0",
            "[redis]\nurl = 'redis://a'\n[collections.posts]\nstrategy = 'write-behind'",
            "[collections.posts]\nttl = 5",
            "[collections.posts]\nttl_jitter_percent = 101",
            "collections = 5",
        ] {
            let cache = toml::from_str::<Cache>(wrong).map_err(anyhow::Error::from);
            assert!(cache.and_then(|cache| cache.keeping(None)).is_err(), "{wrong}");
        }
        let wrong: Cache = toml::from_str("policy = 'mru'").unwrap();
        assert!(format!("{:#}", wrong.policy().unwrap_err()).contains("s3-fifo"));
    }

    #[test]
    fn what_is_written_behind_is_so_on_sqlite_alone() {
        let cache: Cache = toml::from_str("[collections.posts]\nstrategy = 'write-behind'").unwrap();
        let keeping = cache.keeping(None).unwrap();
        assert_eq!(keeping.behind.get("posts"), Some(&Duration::from_millis(WRITE_BEHIND_MS)));
        assert!(
            format!("{:#}", cache.keeping(Some("postgres://a")).err().unwrap()).contains("write-through")
        );
    }

    #[test]
    fn what_others_write_to_is_not_trusted_for_ever() {
        let cache = Cache::default();
        assert_eq!(cache.keeping(None).unwrap().keeps.of("x").ttl.ms, 0);
        let keep = cache.keeping(Some("postgres://a")).unwrap().keeps.of("x");
        assert_eq!((keep.ttl.ms, keep.absent.unwrap().ms), (CACHE_TTL_MS, CACHE_ABSENT_TTL_MS));
        assert_eq!(hosts("postgres://me:p%40@a:5432,b,c:1/db?x=1,2"), 3);
        assert_eq!(hosts("postgres://a/db"), 1);
    }
}
