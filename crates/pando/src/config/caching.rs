//! The keys of how an edge uses what it keeps, and by what it finds it.

use anyhow::{Context, Result, bail};
use base::limits::EDGE_OBJECT_BYTES_MAX;
use edge::cache::bypass::Claim;
use edge::cache::compress::Coding;
use edge::cache::key::{Keys, Query};
use edge::cache::policy::Rules;
use serde::{Deserialize, Deserializer, Serialize};

use super::described::described;

described! {
    /// By what rules `pando edge` keeps and uses answers.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Caching {
        /// A body that is larger passes through and is not kept.
        pub object_bytes_max: usize,
        /// How long beyond its time an answer may serve while no node can be reached, if it does not say so itself. 0 for never.
        pub stale_down_ms: u64,
        /// Whether an answer that names no time is fresh for a tenth of the time since its last change.
        pub allow_heuristics: bool,
        /// Whether requests may ask for newer answers than there are, as a browser does that loads a page again.
        pub allow_client_directives: bool,
        /// Claims of tokens that lead past the cache, `NAME=VALUE`, separated by commas. Whoever's they are is never answered from
        /// what is kept, and nothing that they are told is kept.
        pub bypass_claims: String,
        /// Whether answers say in `Cache-Status` how they came about.
        pub cache_status: bool,
        /// The codings that are made of kept answers that came in none: `br`, `zstd` and `gzip`, separated by commas; `true` for all
        /// of them, `false` for none.
        #[serde(deserialize_with = "switch_or_list")]
        pub compress: String,
        /// What of a request counts, beside scheme, host, path and what answers name in `Vary`.
        pub key: Key,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Key {
        /// The only parameters of the query that count, separated by commas; empty for all.
        pub query_only: String,
        /// Parameters that do not count. One that ends with `*` stands for all that begin so.
        pub query_ignored: String,
        /// Whether the order of parameters does not count.
        pub query_sorted: bool,
        /// Fields of requests that count, separated by commas.
        pub headers: String,
        /// Cookies that count, separated by commas.
        pub cookies: String,
    }
}

impl Default for Caching {
    fn default() -> Self {
        let options = edge::cache::Options::default();
        Caching {
            object_bytes_max: options.object_bytes_max,
            stale_down_ms: options.rules.stale_down_ms,
            allow_heuristics: options.rules.heuristic,
            allow_client_directives: options.rules.obeys_clients,
            // Superusers: what they see is nobody else's.
            bypass_claims: "collectionId=pbc_3142635823".into(),
            cache_status: options.tells_status,
            compress: "true".into(),
            key: Key::default(),
        }
    }
}

impl Caching {
    /// What the cache is told.
    pub fn cache(&self) -> Result<edge::cache::Options> {
        if self.object_bytes_max > EDGE_OBJECT_BYTES_MAX {
            bail!("edge.object_bytes_max must be {EDGE_OBJECT_BYTES_MAX} at most");
        }
        let claim = |text: String| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Claim { name: name.into(), value: value.into() }),
            _ => bail!("edge.bypass_claims: {text:?} is not NAME=VALUE"),
        };
        let header =
            |name: String| name.parse().with_context(|| format!("edge.key.headers: {name:?} is no field"));
        let Key { query_only, query_ignored, query_sorted, headers, cookies } = &self.key;
        let query = Query { only: list(query_only), without: list(query_ignored), sorted: *query_sorted };
        let keys = Keys {
            query,
            headers: list(headers).into_iter().map(header).collect::<Result<_>>()?,
            cookies: list(cookies),
        };
        let rules = Rules {
            stale_down_ms: self.stale_down_ms,
            heuristic: self.allow_heuristics,
            obeys_clients: self.allow_client_directives,
        };
        Ok(edge::cache::Options {
            keys,
            rules,
            object_bytes_max: self.object_bytes_max,
            bypass: list(&self.bypass_claims).into_iter().map(claim).collect::<Result<_>>()?,
            codings: codings(&self.compress)?,
            tells_status: self.cache_status,
        })
    }
}

fn codings(text: &str) -> Result<Vec<Coding>> {
    let named = |name: String| {
        Coding::named(&name).with_context(|| format!("edge.compress: {name:?} is none of br, zstd and gzip"))
    };
    match text {
        "true" | "1" => Ok(Coding::ALL.to_vec()),
        "false" | "0" => Ok(Vec::new()),
        names => list(names).into_iter().map(named).collect(),
    }
}

/// In TOML a switch may be written as one.
fn switch_or_list<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Switch(bool),
        List(String),
    }
    Ok(match Said::deserialize(from)? {
        Said::Switch(on) => on.to_string(),
        Said::List(text) => text,
    })
}

fn list(text: &str) -> Vec<String> {
    super::front::list(text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_a_switch_or_a_list() {
        let of = |text: &str| toml::from_str::<Caching>(text).unwrap().cache().unwrap().codings;
        assert_eq!(of(""), Coding::ALL);
        assert_eq!(of("compress = true"), Coding::ALL);
        assert_eq!(of("compress = \"true\""), Coding::ALL);
        assert_eq!(of("compress = false"), []);
        assert_eq!(of("compress = ''"), []);
        assert_eq!(of("compress = 'gzip, br'"), [Coding::Gzip, Coding::Brotli]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let edge: Caching =
            toml::from_str("bypass_claims = 'a=b, c=d'\n[key]\nheaders = 'X-A, x-b'").unwrap();
        let options = edge.cache().unwrap();
        assert_eq!((options.bypass.len(), options.keys.headers.len()), (2, 2));
        for wrong in [
            "object_bytes_max = 99999999",
            "compress = 'lzma'",
            "bypass_claims = 'a'",
            "[key]\nheaders = 'a b'",
        ] {
            assert!(toml::from_str::<Caching>(wrong).unwrap().cache().is_err(), "{wrong}");
        }
    }
}
