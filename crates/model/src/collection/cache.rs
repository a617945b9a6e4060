//! What a collection's owner lets caches in front of the server do with answers about its records.

use base::limits::{ANSWER_STALE_SECONDS_MAX, ANSWER_TTL_SECONDS_MAX};
use serde_json::{Map, Value as Json, json};

use crate::field::Malformed;
use crate::field::read::Reader;
use crate::violation::{Violation, Violations};

/// Set for collections whose answers may be kept. The reference knows nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// Seconds for which an answer may be used without asking.
    pub ttl: i64,
    /// Who may be given an answer that was made for somebody else. As it was written: `public` or `user`.
    pub scope: String,
    /// Seconds after that in which it may be used once more while it is being asked for again.
    pub stale_while_revalidate: i64,
    /// Seconds after that in which it may be used when nobody answers.
    pub stale_if_error: i64,
}

const PUBLIC: &str = "public";
const USER: &str = "user";

impl CachePolicy {
    /// Under this key the API takes and shows it.
    pub const KEY: &'static str = "cache";
    /// Under this one it lies among the stored options, where the reference ignores it.
    pub const STORED_KEY: &'static str = "pandoCache";

    /// Whether answers that are the same for everybody may be everybody's, rather than of one caller each.
    pub fn is_public(&self) -> bool {
        self.scope == PUBLIC
    }

    /// Null unsets it, what is not named stays.
    pub(super) fn patch(reader: Reader<'_>, policy: &mut Option<CachePolicy>) -> Result<(), Malformed> {
        match reader.get(CachePolicy::KEY) {
            None => Ok(()),
            Some(Json::Null) => {
                *policy = None;
                Ok(())
            }
            Some(value) => {
                let reader = Reader::of(value)?;
                let policy = policy.get_or_insert_default();
                reader.int("ttl", &mut policy.ttl)?;
                reader.text("scope", &mut policy.scope)?;
                reader.int("staleWhileRevalidate", &mut policy.stale_while_revalidate)?;
                reader.int("staleIfError", &mut policy.stale_if_error)
            }
        }
    }

    pub(super) fn write(&self, key: &str, out: &mut Map<String, Json>) {
        let value = json!({
            "ttl": self.ttl,
            "scope": self.scope,
            "staleWhileRevalidate": self.stale_while_revalidate,
            "staleIfError": self.stale_if_error,
        });
        out.insert(key.into(), value);
    }

    pub(super) fn check(&self) -> Violations {
        let mut found = Violations::default();
        let mut put = |key: &str, violation: Option<Violation>| {
            if let Some(violation) = violation {
                found.add(key, violation);
            }
        };
        put(
            "ttl",
            if self.ttl == 0 {
                Some(Violation::required())
            } else {
                within(self.ttl, 1, ANSWER_TTL_SECONDS_MAX)
            },
        );
        put(
            "scope",
            match self.scope.as_str() {
                "" => Some(Violation::required()),
                PUBLIC | USER => None,
                _ => Some(Violation::unknown_choice()),
            },
        );
        put("staleWhileRevalidate", within(self.stale_while_revalidate, 0, ANSWER_STALE_SECONDS_MAX));
        put("staleIfError", within(self.stale_if_error, 0, ANSWER_STALE_SECONDS_MAX));
        found
    }
}

fn within(value: i64, min: i64, max: i64) -> Option<Violation> {
    if value < min {
        Some(Violation::at_least(min))
    } else if value > max {
        Some(Violation::at_most(max))
    } else {
        None
    }
}
