//! What callers noticed of a fault, as a row of the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Findings, Step};
use crate::checker::history::{History, Instant, Outcome};
use crate::checker::judge::{Breach, Kind, Verdict};
use crate::checker::report::{Share, share};

/// A fault, with its marks in time and what fell between them.
#[derive(Clone, Debug)]
pub struct Row {
    pub step: Step,
    pub node: String,
    pub start: Instant,
    pub fault: Instant,
    pub healed: Instant,
    pub end: Instant,
    /// Whether nobody was left who could be read from.
    pub is_alone: bool,
    /// Before, during and after the fault.
    pub reads: [Share; 3],
    pub writes: [Share; 3],
    /// From the fault to the end of the row.
    pub read_gap_ms: f64,
    pub write_gap_ms: f64,
}

impl Row {
    pub fn new(step: Step, node: &str, [start, fault, healed, end]: [Instant; 4]) -> Row {
        Row {
            step,
            node: node.into(),
            start,
            fault,
            healed,
            end,
            is_alone: false,
            reads: Default::default(),
            writes: Default::default(),
            read_gap_ms: 0.0,
            write_gap_ms: 0.0,
        }
    }

    pub fn fill(&mut self, history: &History) {
        let spans = [self.start..self.fault, self.fault..self.healed, self.healed..self.end];
        self.reads = spans.clone().map(|span| share(history, false, span));
        self.writes = spans.map(|span| share(history, true, span));
        self.read_gap_ms = share(history, false, self.fault..self.end).gap_ms;
        self.write_gap_ms = share(history, true, self.fault..self.end).gap_ms;
    }

    pub fn read_failures(&self) -> usize {
        self.reads.iter().map(Share::failures).sum()
    }

    pub fn reads_done(&self) -> usize {
        self.reads.iter().map(|share| share.done).sum()
    }
}

/// Three counts, with those that failed behind a minus.
fn counts(shares: &[Share; 3]) -> String {
    let one = |share: &Share| match share.failures() {
        0 => share.done.to_string(),
        failed => format!("{} −{failed}", share.done),
    };
    shares.iter().map(one).collect::<Vec<_>>().join(" / ")
}

fn failures(row: &Row) -> String {
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for (what, shares) in [("read", &row.reads), ("write", &row.writes)] {
        for (why, count) in shares.iter().flat_map(|share| &share.failed) {
            // Of an answer the status is enough here.
            let first = why.split(' ').next().unwrap_or_default();
            let why = if first.parse::<u16>().is_ok() { first } else { why };
            *all.entry(format!("{what} {why}")).or_default() += count;
        }
    }
    all.iter().map(|(why, count)| format!("{why}: {count}")).collect::<Vec<_>>().join(", ")
}

/// Reads that missed what was acknowledged, or what had been seen before.
fn stale(row: &Row, verdict: &Verdict) -> usize {
    let is_stale = |breach: &&Breach| {
        matches!(breach.kind, Kind::Stale | Kind::StaleOwn | Kind::WentBack)
            && (row.start..row.end).contains(&breach.at)
    };
    verdict.breaches.iter().filter(is_stale).map(|breach| breach.times).sum()
}

fn latency(shares: &[Share; 3]) -> String {
    let one = |share: &Share| format!("{:.0}/{:.0}", share.p50_ms, share.p99_ms);
    shares.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// What failed requests were told, and how often.
fn said(history: &History) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for event in &history.events {
        if let Outcome::Unknown(why) = &event.outcome {
            let kind = format!("{:?}", event.action);
            let kind = kind.split_whitespace().next().unwrap_or_default();
            *all.entry(format!("{kind}: {why}")).or_default() += 1;
        }
    }
    all
}

/// The table as Markdown.
pub fn table(findings: &Findings) -> String {
    let mut out = String::from(
        "| fault | node | reads before / during / after | writes | errors | reads too old | \
         no read for (usually) | no write for (usually) | retries | reads p50/p99 ms | writes p50/p99 ms |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in &findings.rows {
        let retries: usize = row.reads.iter().chain(&row.writes).map(|share| share.retries).sum();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {:.0} ms ({:.0}) | {:.0} ms ({:.0}) | {retries} | {} | {} |",
            row.step,
            row.node,
            counts(&row.reads),
            counts(&row.writes),
            failures(row),
            stale(row, &findings.verdict),
            row.read_gap_ms,
            row.reads[0].gap_ms,
            row.write_gap_ms,
            row.writes[0].gap_ms,
            latency(&row.reads),
            latency(&row.writes),
        );
    }
    let _ = writeln!(out, "\n{}", findings.verdict);
    for (why, count) in said(&findings.history) {
        let _ = writeln!(out, "{count} × {why}");
    }
    out
}
