//! What operators did at this front door, so that whoever looks after the system can write it down. A door keeps nothing:
//! what nobody asked about before it ended is only in its log.

use std::collections::VecDeque;
use std::time::SystemTime;

use base::Timestamp;
use base::limits::{FRONT_DEED_NAME_CHARS_MAX, FRONT_DEED_NAMES_MAX, FRONT_DEEDS_MAX};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use crate::announce::Purge;

/// The last ones, the oldest first.
#[derive(Default)]
pub struct Deeds(Mutex<VecDeque<Json>>);

impl Deeds {
    pub fn purged(&self, purge: &Purge, missing: &[&str]) {
        let named: Vec<&String> =
            purge.tags.iter().chain(&purge.urls).chain(&purge.prefixes).take(FRONT_DEED_NAMES_MAX).collect();
        let named: Vec<String> =
            named.iter().map(|name| name.chars().take(FRONT_DEED_NAME_CHARS_MAX).collect()).collect();
        let detail = json!({
            "all": purge.all,
            "soft": purge.soft,
            "count": purge.tags.len() + purge.urls.len() + purge.prefixes.len(),
            "named": named,
            "missing": missing,
        });
        self.note("edge.purged", detail);
    }

    pub fn drained(&self, node: &str, drained: bool) {
        self.note(if drained { "node.drained" } else { "node.undrained" }, json!({ "name": node }));
    }

    pub fn all(&self) -> Vec<Json> {
        self.0.lock().iter().cloned().collect()
    }

    fn note(&self, kind: &str, detail: Json) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let id = base::id::ordered(Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)));
        let mut deeds = self.0.lock();
        if deeds.len() >= FRONT_DEEDS_MAX {
            deeds.pop_front();
        }
        deeds.push_back(json!({"id": id, "kind": kind, "detail": detail}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_are_kept_and_only_some_names() {
        let deeds = Deeds::default();
        let urls = (0..100).map(|n| format!("/{n}/{}", "x".repeat(1_000))).collect();
        deeds.purged(&Purge { urls, ..Purge::default() }, &["b"]);
        let told = &deeds.all()[0];
        assert_eq!((&told["kind"], &told["detail"]["count"]), (&json!("edge.purged"), &json!(100)));
        assert_eq!(told["detail"]["named"].as_array().unwrap().len(), FRONT_DEED_NAMES_MAX);
        assert!(told.to_string().len() < 2 * FRONT_DEED_NAMES_MAX * FRONT_DEED_NAME_CHARS_MAX);
        for _ in 0..FRONT_DEEDS_MAX {
            deeds.drained("a", true);
        }
        assert_eq!(deeds.all().len(), FRONT_DEEDS_MAX);
        assert!(deeds.all().iter().all(|deed| deed["kind"] == "node.drained"));
    }
}
