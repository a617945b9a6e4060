//! Rate limits: which rule a request falls under, and whether its client may ask once more.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use app::settings::{RateLimit, RateLimits};
use backing::counters::{Counters, Key, Limit};
use base::Timestamp;
use ipnet::IpNet;
use model::{Record, Schema};
use rustc_hash::FxBuildHasher;

use super::label::Asked;
use super::{contains, label};

pub struct Limits {
    rules: Vec<RateLimit>,
    excluded: Vec<IpNet>,
    counters: Counters,
}

impl Limits {
    pub fn new(settings: &RateLimits, excluded: Vec<IpNet>, counters: Counters) -> Self {
        Limits { rules: settings.rules.clone(), excluded, counters }
    }

    /// Counts a request. `Some` when it is one too many, with the time until the next is not.
    pub async fn count(
        &self,
        schema: &Schema,
        asked: &Asked<'_>,
        caller: Option<&Record>,
        address: IpAddr,
        now: Timestamp,
    ) -> Option<Duration> {
        if caller.is_some_and(|record| record.collection.is_superusers()) || contains(&self.excluded, address)
        {
            return None;
        }
        let names = label::names(schema, asked)?;
        let index = find(&self.rules, &names.labels, caller.is_some())?;
        let rule = &self.rules[index];
        let mut scope = FxBuildHasher.build_hasher();
        match &names.tagged {
            // One count for each thing that can be done to a collection, whichever rule limits it; batches have theirs.
            Some((collection, tag)) => {
                (collection.id.as_bytes(), tag, &rule.audience, asked.in_batch).hash(&mut scope);
            }
            None => index.hash(&mut scope),
        }
        let key = Key { scope: scope.finish(), address };
        let limit = Limit { most: rule.max_requests, seconds: rule.duration };
        self.counters.add(key, limit, now).await
    }
}

/// The rule of the most telling name that there is one for: its own first, then that of a path above it.
fn find(rules: &[RateLimit], labels: &[String], is_known: bool) -> Option<usize> {
    let concerns = |rule: &RateLimit| match rule.audience.as_str() {
        "" => true,
        audience => (audience == "@auth") == is_known,
    };
    labels.iter().find_map(|label| {
        let own = |rule: &RateLimit| rule.label == *label;
        let above = |rule: &RateLimit| match rule.label.strip_suffix('/') {
            Some(parent) => {
                label.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            None => false,
        };
        let position = |matches: &dyn Fn(&RateLimit) -> bool| {
            rules.iter().position(|rule| matches(rule) && concerns(rule))
        };
        position(&own).or_else(|| position(&above))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rules: &[(&str, &str)], labels: &[&str], is_known: bool) -> Option<usize> {
        let rule = |(label, audience): &(&str, &str)| RateLimit {
            label: label.to_string(),
            audience: audience.to_string(),
            duration: 1,
            max_requests: 1,
        };
        let rules: Vec<RateLimit> = rules.iter().map(rule).collect();
        let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
        super::find(&rules, &labels, is_known)
    }

    #[test]
    fn the_most_telling_name_wins() {
        let health = &["GET /api/health", "/api/health"];
        for (rules, expected) in [
            (&[("/api/", ""), ("/api/health", "")][..], Some(1)),
            (&[("/api/health", ""), ("/api/", "")], Some(0)),
            (&[("/api/health", ""), ("GET /api/", "")], Some(1)),
            (&[("/", ""), ("/api/", "")], Some(0)),
            (&[("/api", "")], None),
            (&[("/api/health/", "")], Some(0)),
            (&[("get /api/health", ""), ("health", "")], None),
            (&[("/api/health", "@auth"), ("/api/", "")], Some(1)),
            (&[("/api/health", "@guest"), ("/api/", "")], Some(0)),
        ] {
            assert_eq!(found(rules, health, false), expected, "{rules:?}");
        }
        assert_eq!(found(&[("/api/health", "@auth")], health, true), Some(0));
    }
}
