//! What the cache counts.

use metrics::{Counter, counter};

use super::outcome::Outcome;
use super::policy::Refusal;
use crate::announce::heard::Caught;

/// Handles are asked for once: a hit must not look for them.
pub struct Meter {
    outcomes: [(Outcome, Counter); 8],
    refusals: [(Refusal, Counter); 9],
    bytes: Counter,
    waited: Counter,
    behind: Counter,
}

impl Default for Meter {
    fn default() -> Self {
        let outcomes = [
            Outcome::Hit,
            Outcome::Stale,
            Outcome::Revalidated,
            Outcome::Expired,
            Outcome::Missing,
            Outcome::Variant,
            Outcome::Bypass,
            Outcome::Method,
        ];
        let refusals = [
            Refusal::Method,
            Refusal::Status,
            Refusal::NoStore,
            Refusal::Private,
            Refusal::Authorization,
            Refusal::SetCookie,
            Refusal::Vary,
            Refusal::Unknown,
            Refusal::Size,
        ];
        Meter {
            outcomes: outcomes
                .map(|which| (which, counter!("pando_edge_requests_total", "cache" => which.name()))),
            refusals: refusals
                .map(|which| (which, counter!("pando_edge_not_kept_total", "reason" => which.name()))),
            bytes: counter!("pando_edge_kept_bytes_total"),
            waited: counter!("pando_edge_shield_waited_total"),
            behind: counter!("pando_edge_shield_behind_total"),
        }
    }
}

impl Meter {
    /// An answer of so many bytes, if that is known.
    pub fn count(&self, outcome: Outcome, bytes: Option<u64>) {
        if let (Outcome::Hit | Outcome::Stale | Outcome::Revalidated, Some(bytes)) = (outcome, bytes) {
            self.bytes.increment(bytes);
        }
        if let Some((_, counter)) = self.outcomes.iter().find(|(which, _)| *which == outcome) {
            counter.increment(1);
        }
    }

    /// What an edge that asked had heard, beside what was heard here.
    pub fn catch_up(&self, caught: Caught) {
        match caught {
            Caught::Up => {}
            Caught::Waited => self.waited.increment(1),
            Caught::Behind => {
                tracing::debug!("an edge had heard what was not heard here: all that is kept is doubted");
                self.behind.increment(1);
            }
        }
    }

    pub fn refuse(&self, why: Refusal) {
        if let Some((_, counter)) = self.refusals.iter().find(|(which, _)| *which == why) {
            counter.increment(1);
        }
    }
}
