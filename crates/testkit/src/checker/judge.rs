//! Says what a history does not allow. Pure functions, linear but for sorting: every kind of request is such that its
//! model needs no search. A record has one writer, so its versions are a line; sets and counters only grow; accounts
//! are judged by their sum and by their ledger.

mod bank;
mod counters;
mod jobs;
mod records;
mod register;
mod sets;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use register::Register;

use super::history::{Action, Event, History, Instant, Outcome};

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An acknowledged write is gone for good.
    Lost,
    /// A read did not see what its own caller had been told was written.
    StaleOwn,
    /// A read did not see what somebody had been told was written before it began.
    Stale,
    /// A read saw less than an earlier read had seen.
    WentBack,
    /// A deleted record was seen again.
    Resurrected,
    /// Something was seen that nobody had written, or that had been refused.
    Phantom,
    /// A write took effect more than once.
    Doubled,
    /// Two have what one may have.
    NotUnique,
    /// A part of a batch was seen without the rest.
    Torn,
    /// A counter or an account misses a change that was acknowledged.
    LostUpdate,
    /// A request was refused and nothing explains why.
    Unexplained,
    /// A job of an acknowledged write was never done.
    LostJob,
    /// A subscriber heard nothing of an acknowledged write, and was not told to start anew either.
    LostEvent,
    /// A subscriber was shown what the rule forbids.
    Forbidden,
}

/// One kind of breach of one thing, with the first place where it shows.
#[derive(Clone, Debug)]
pub struct Breach {
    pub kind: Kind,
    /// The record, set, counter or account.
    pub of: String,
    pub what: String,
    pub at: Instant,
    pub times: usize,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let seconds = self.at as f64 / 1e9;
        write!(f, "{:?}: {}: {} (at {seconds:.3} s, {} times)", self.kind, self.of, self.what, self.times)
    }
}

/// How much the verdict stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    pub acknowledged: usize,
    pub refused: usize,
    pub unknown: usize,
    pub reads: usize,
    /// Comparisons of what a read saw with an acknowledged write that it had to see.
    pub bound: usize,
    /// Of those: the write was another caller's.
    pub by_others: usize,
    /// Of those: the write was acknowledged by another node.
    pub across_nodes: usize,
    /// Of those across nodes: the read began within `CLOSE` of the acknowledgement.
    pub close: usize,
    /// Jobs that had to be done, and were.
    pub jobs: usize,
    /// How often one was done once more.
    pub jobs_repeated: usize,
    /// Writes that a subscriber had to hear of, and did.
    pub events: usize,
    /// Of those: written through another node than the subscriber's.
    pub events_across_nodes: usize,
    /// Those that it did not hear of, as it was told to start anew or its connection ended later.
    pub events_excused: usize,
    /// Events that told a subscriber what it had heard.
    pub events_repeated: usize,
    /// Events that showed an older version than one before.
    pub events_disordered: usize,
}

/// Where a replica's delay would show.
const CLOSE: Instant = 20_000_000;

#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub breaches: Vec<Breach>,
    pub proven: Proven,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.breaches.is_empty()
    }

    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.breaches.iter().map(|b| b.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let p = &self.proven;
        writeln!(
            f,
            "{} writes acknowledged, {} refused, {} of unknown outcome, {} reads",
            p.acknowledged, p.refused, p.unknown, p.reads
        )?;
        writeln!(
            f,
            "{} times a read had to see a write: {} of another caller, {} acknowledged by another node, {} of \
             these within {} ms before",
            p.bound,
            p.by_others,
            p.across_nodes,
            p.close,
            CLOSE / 1_000_000
        )?;
        if p.jobs > 0 {
            writeln!(f, "{} jobs were done, {} times one of them once more", p.jobs, p.jobs_repeated)?;
        }
        if p.events + p.events_excused > 0 {
            writeln!(
                f,
                "{} times a subscriber heard of a write, {} of them through another node; {} times it was told to \
                 start anew instead; {} events were repeated, {} came after a newer one",
                p.events, p.events_across_nodes, p.events_excused, p.events_repeated, p.events_disordered
            )?;
        }
        match self.breaches.len() {
            0 => write!(f, "nothing lost, nothing doubled, nothing stale"),
            n => {
                write!(f, "{n} breaches")?;
                self.breaches.iter().take(40).try_for_each(|breach| write!(f, "\n  {breach}"))
            }
        }
    }
}

pub fn judge(history: &History) -> Verdict {
    let mut found = Found { settled: history.settled, lease: history.lease, ..Found::default() };
    for event in &history.events {
        let count = match (event.action.is_write(), &event.outcome) {
            (true, Outcome::Done) => &mut found.proven.acknowledged,
            (true, Outcome::Refused(_)) => &mut found.proven.refused,
            (true, Outcome::Unknown(_)) => &mut found.proven.unknown,
            (false, Outcome::Done) => &mut found.proven.reads,
            (false, _) => continue,
        };
        *count += 1;
    }
    for event in &history.events {
        if let (Action::Unread, Outcome::Refused(status)) = (&event.action, &event.outcome) {
            let what = || format!("a read was refused with {status}, by {}", by(event));
            found.breach(Kind::Unexplained, "reads", event.start, what);
        }
    }
    records::judge(history, &mut found);
    sets::judge(history, &mut found);
    counters::judge(history, &mut found);
    bank::judge(history, &mut found);
    jobs::judge(history, &mut found);
    streams::judge(history, &mut found);
    Verdict { breaches: found.breaches.into_values().collect(), proven: found.proven }
}

/// How many acknowledged writes still lack the effect of their job, or a subscriber who heard of them. These come after
/// the answer, so an observer waits for them.
pub fn awaited(history: &History) -> usize {
    jobs::awaited(history) + streams::awaited(history)
}

/// Breaches by kind and thing, and the counts of what was compared.
#[derive(Default)]
struct Found {
    breaches: BTreeMap<(Kind, String), Breach>,
    proven: Proven,
    settled: Option<Instant>,
    lease: Instant,
}

impl Found {
    fn breach(&mut self, kind: Kind, of: &str, at: Instant, what: impl FnOnce() -> String) {
        let known = self.breaches.entry((kind, of.to_owned()));
        let known = known.or_insert_with(|| Breach { kind, of: of.to_owned(), what: what(), at, times: 0 });
        known.times += 1;
    }

    /// Counts that `read` was held against `write`, which it had to see.
    fn bound(&mut self, read: &Event, write: &Event) {
        self.proven.bound += 1;
        self.proven.by_others += usize::from(read.caller != write.caller);
        if read.node != write.node {
            self.proven.across_nodes += 1;
            self.proven.close += usize::from(read.start - write.end < CLOSE);
        }
    }

    fn is_settled(&self, read: &Event) -> bool {
        self.settled.is_some_and(|at| read.start >= at)
    }

    /// What a write that `read` misses is called: gone, if it is still missing at the end.
    fn missed(&self, read: &Event, writer: usize, is_gone: bool) -> Kind {
        match (is_gone, read.caller == writer) {
            (true, _) => Kind::Lost,
            (false, true) => Kind::StaleOwn,
            (false, false) => Kind::Stale,
        }
    }
}

/// A clue to who saw what: caller and node.
fn by(event: &Event) -> String {
    format!("caller {} on node {}", event.caller, event.node)
}
