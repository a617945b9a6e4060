//! Collections that edges keep, under the checker: writers at the nodes and readers at the edges, and the wires between
//! them cut in between. A read may be older than a write only for as long as is documented.

mod judge;
mod load;
mod site;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::link::Cut;
use load::{Load, Read};
use site::Site;

/// How long a phase may take until enough was read.
const PHASE_MAX: Duration = Duration::from_secs(60);
/// Answers out of the cache of each edge that make it as quick as before.
const HITS: usize = 20;

/// What is documented: a node that cannot be heard is missed after 2.5 s, and silence is looked for four times a second. The
/// rest is for machines that are busy with other things.
pub const LATE_MAX: Duration = Duration::from_secs(5);

/// What happens to the first of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    Nothing,
    /// Between it and both edges, as far as it tells them of itself.
    Announcements(Cut),
    /// As far as they ask it.
    Requests(Cut),
    Both(Cut),
    Kill,
    Freeze,
}

const HAPPENINGS: [(Happening, &str); 12] = [
    (Happening::Nothing, "nothing"),
    (Happening::Announcements(Cut::Broken), "announcements/broken"),
    (Happening::Announcements(Cut::Silent), "announcements/silent"),
    (Happening::Announcements(Cut::Unanswered), "announcements/unanswered"),
    (Happening::Requests(Cut::Broken), "requests/broken"),
    (Happening::Requests(Cut::Silent), "requests/silent"),
    (Happening::Requests(Cut::Unanswered), "requests/unanswered"),
    (Happening::Both(Cut::Broken), "both/broken"),
    (Happening::Both(Cut::Silent), "both/silent"),
    (Happening::Both(Cut::Unanswered), "both/unanswered"),
    (Happening::Kill, "node/kill"),
    (Happening::Freeze, "node/freeze"),
];

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub pando: String,
    pub happenings: Vec<Happening>,
    /// How long each of them lasts.
    pub lasts: Duration,
    pub writers: usize,
    /// Of each edge.
    pub readers: usize,
    /// Nothing that nodes write arrives at the edges, which must be found.
    pub deaf: bool,
    pub late_max: Duration,
    pub seed: u64,
}

impl Plan {
    pub fn of(pando: &str, happenings: Vec<Happening>, lasts: Duration) -> Plan {
        let pando = pando.to_owned();
        Plan { pando, happenings, lasts, writers: 2, readers: 2, deaf: false, late_max: LATE_MAX, seed: 1 }
    }
}

/// What readers noticed of one happening.
pub struct Row {
    pub happening: Happening,
    fault: Instant,
    mended: Instant,
    end: Instant,
    pub reads: Vec<Read>,
    /// How long after it was mended all edges answered out of their caches again; none when they did not.
    pub recovered: Option<Duration>,
}

pub struct Findings {
    pub rows: Vec<Row>,
    /// Before the first and after the last.
    pub quiet: Vec<Read>,
    pub writes: usize,
    readers: usize,
    late_max: Duration,
}

pub fn run(plan: &Plan) -> Result<Findings> {
    let mut site = Site::start(&plan.pando, plan.deaf)?;
    let result = run_on(plan, &mut site);
    if !result.as_ref().is_ok_and(|findings| findings.check().is_ok()) {
        eprintln!("{}", site.logs());
    }
    if let Some(dir) = std::env::var_os("PANDO_FAULTS_LOGS") {
        site.keep_logs(dir.as_ref())?;
    }
    result
}

fn run_on(plan: &Plan, site: &mut Site) -> Result<Findings> {
    let load = Load::start(plan, site)?;
    let mut rows = Vec::new();
    if load.hits(HITS, PHASE_MAX).is_none() {
        bail!("the edges keep nothing");
    }
    for happening in &plan.happenings {
        let row = happen(plan, site, &load, *happening).with_context(|| happening.to_string())?;
        eprintln!("{happening}: {:.1} s", (row.end - row.fault).as_secs_f64());
        rows.push(row);
    }
    let (mut reads, writes) = load.stop();
    for row in &mut rows {
        let within = |read: &Read| (row.fault..row.end).contains(&read.at);
        (row.reads, reads) = reads.into_iter().partition(within);
    }
    let readers = plan.readers * site.edges().len();
    Ok(Findings { rows, quiet: reads, writes, readers, late_max: plan.late_max })
}

fn happen(plan: &Plan, site: &mut Site, load: &Load, happening: Happening) -> Result<Row> {
    let fault = Instant::now();
    site.strike(happening);
    std::thread::sleep(plan.lasts);
    let mended = Instant::now();
    site.mend(happening)?;
    let recovered = load.hits(HITS, PHASE_MAX);
    Ok(Row { happening, fault, mended, end: Instant::now(), reads: Vec::new(), recovered })
}

impl Happening {
    pub fn all() -> Vec<Happening> {
        HAPPENINGS.iter().map(|(happening, _)| *happening).collect()
    }

    /// How many requests of so many readers may fail: each meets what breaks or falls silent, and once more before that is
    /// noticed. What is said beside requests is nothing to them.
    fn failures_max(self, readers: usize) -> usize {
        match self {
            Happening::Nothing | Happening::Announcements(_) => 0,
            Happening::Kill | Happening::Requests(Cut::Broken) | Happening::Both(Cut::Broken) => readers,
            _ => 2 * readers,
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = HAPPENINGS.iter().find(|(happening, _)| happening == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Happening {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Happening> {
        let found = HAPPENINGS.iter().find(|(_, name)| *name == text);
        found.map(|(happening, _)| *happening).with_context(|| format!("nothing that can happen is {text}"))
    }
}

fn late(reads: &[Read]) -> Duration {
    reads.iter().filter_map(|read| read.late).max().unwrap_or_default()
}

impl Row {
    pub fn failed(&self) -> usize {
        self.reads.iter().filter(|read| read.failure.is_some()).count()
    }

    pub fn hits(&self) -> usize {
        self.reads.iter().filter(|read| read.is_hit).count()
    }

    pub fn late(&self) -> Duration {
        late(&self.reads)
    }
}

impl Findings {
    /// Fails when a read was older than is documented, or failed for no reason.
    pub fn check(&self) -> Result<()> {
        let all = self.rows.iter().flat_map(|row| &row.reads).chain(&self.quiet);
        if let Some(phantom) = all.into_iter().find(|read| read.is_phantom) {
            bail!("a read shows what nobody wrote: {phantom:?}");
        }
        let quiet = late(&self.quiet);
        if quiet > self.late_max {
            bail!("nothing happened, and a read was older than a write by {quiet:?}");
        }
        if let Some(failed) = self.quiet.iter().find(|read| read.failure.is_some()) {
            bail!("a request failed while nothing happened: {failed:?}");
        }
        for row in &self.rows {
            let (happening, late, failed) = (row.happening, row.late(), row.failed());
            if late > self.late_max {
                let worst = row.reads.iter().max_by_key(|read| read.late);
                let after = worst.map(|worst| worst.at.saturating_duration_since(row.fault));
                bail!(
                    "{happening}: a read was older than a write by {late:?}, {:?} at most: {after:?} after it began, {worst:?}",
                    self.late_max
                );
            }
            let most = happening.failures_max(self.readers);
            if failed > most {
                let why = row.reads.iter().find_map(|read| read.failure.as_deref());
                bail!("{happening}: {failed} requests failed, {most} at most: {}", why.unwrap_or_default());
            }
            if row.recovered.is_none() {
                bail!("{happening}: the edges do not keep anything again");
            }
        }
        Ok(())
    }
}

/// As Markdown.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "| what happens to one of two nodes | lasted s | reads | of these kept | older than a write | by at most ms | \
             failed | quick again after ms |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for row in &self.rows {
            let older = row.reads.iter().filter(|read| read.late.is_some_and(|late| late > Duration::ZERO));
            writeln!(
                f,
                "| {} | {:.1} | {} | {} | {} | {} | {} | {} |",
                row.happening,
                (row.mended - row.fault).as_secs_f64(),
                row.reads.len(),
                row.hits(),
                older.count(),
                row.late().as_millis(),
                row.failed(),
                row.recovered.map_or("never".into(), |after| after.as_millis().to_string()),
            )?;
        }
        let (reads, late) = (self.quiet.len(), late(&self.quiet).as_millis());
        writeln!(f, "\nbeside these {reads} reads, late by {late} ms at most; {} writes", self.writes)
    }
}
