//! What clients noticed of an event, as a row of the table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::{Asked, Event, Findings, Load, Plan};

/// How long a phase may take until its requests have ended.
const PHASE_MAX: Duration = Duration::from_secs(60);

/// An event, with its marks in time and the requests between them.
#[derive(Clone, Debug)]
pub struct Row {
    pub event: Event,
    pub nodes: String,
    /// How many they are.
    pub struck: usize,
    pub start: Instant,
    pub fault: Instant,
    pub mended: Instant,
    pub end: Instant,
    pub asked: Vec<Asked>,
    /// When too few requests ended.
    pub stalled: Vec<&'static str>,
}

impl Row {
    pub(super) fn new(event: Event, names: &[&str]) -> Row {
        let (nodes, struck) = (names.join(", "), names.len());
        let now = Instant::now();
        let (asked, stalled) = (Vec::new(), Vec::new());
        Row { event, nodes, struck, start: now, fault: now, mended: now, end: now, asked, stalled }
    }

    /// Waits until enough requests have ended, and notes it when they do not.
    pub(super) fn wait(&mut self, load: &Load, plan: &Plan, when: &'static str) {
        if !load.more(plan.requests, PHASE_MAX) {
            self.stalled.push(when);
        }
    }

    pub fn count(&self) -> usize {
        self.asked.len()
    }

    /// Requests that were not answered as they should be, at the first try.
    pub fn failed(&self) -> usize {
        self.asked.iter().filter(|asked| asked.failure.is_some()).count()
    }

    /// Those that failed once more when they were tried again.
    pub fn failed_again(&self) -> usize {
        self.asked.iter().filter(|asked| asked.again.is_some()).count()
    }

    /// Requests for which an address was passed over that took no connection.
    pub fn bypassed(&self) -> usize {
        self.asked.iter().filter(|asked| asked.bypassed > 0).count()
    }

    /// How often each kind of failure was met.
    pub fn why(&self) -> String {
        let mut all: BTreeMap<&str, usize> = BTreeMap::new();
        for why in self.asked.iter().filter_map(|asked| asked.failure.as_deref()) {
            *all.entry(why).or_default() += 1;
        }
        all.iter().map(|(why, count)| format!("{why}: {count}")).collect::<Vec<_>>().join(", ")
    }

    /// The slowest answer from the event on.
    fn slowest(&self) -> Duration {
        let since = self.asked.iter().filter(|asked| asked.at + asked.took >= self.fault);
        since.map(|asked| asked.took).max().unwrap_or_default()
    }

    /// Requests before, during and after.
    fn counts(&self) -> String {
        let within = |from: Instant, to: Instant| {
            self.asked.iter().filter(|asked| (from..to).contains(&asked.at)).count()
        };
        format!(
            "{} / {} / {}",
            within(self.start, self.fault),
            within(self.fault, self.mended),
            within(self.mended, self.end)
        )
    }
}

/// The table as Markdown.
pub fn table(findings: &Findings) -> String {
    let mut out = String::from(
        "| event | node | planned | requests before / during / after | failed | failed with one retry | why | \
         other address | slowest ms |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in &findings.rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.event,
            row.nodes,
            if row.event.is_planned() { "yes" } else { "no" },
            row.counts(),
            row.failed(),
            row.failed_again(),
            row.why(),
            row.bypassed(),
            row.slowest().as_millis()
        );
    }
    let _ = writeln!(
        out,
        "\nbeside these {} requests while nothing happened\n{}",
        findings.quiet.len(),
        findings.verdict
    );
    out
}
