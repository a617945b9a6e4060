//! Records with one writer each. What a read may see lies between the newest version that was acknowledged, or seen by
//! a read that had ended a lease, before the read began, and the newest that was sent before it ended.

use std::collections::HashMap;

use super::{Found, Kind, by};
use crate::checker::history::{Action, Event, History, Name, Seen};

#[derive(Default)]
struct Life<'a> {
    /// In the order of versions, as there is one writer.
    writes: Vec<Write<'a>>,
    reads: Vec<(&'a Event, &'a Seen)>,
}

struct Write<'a> {
    event: &'a Event,
    version: u32,
    is_delete: bool,
}

pub fn judge(history: &History, found: &mut Found) {
    let mut lives: HashMap<&Name, Life> = HashMap::new();
    let mut shelves: HashMap<&Name, Vec<&Name>> = HashMap::new();
    for event in &history.events {
        let (shelf, record, version, is_delete) = match &event.action {
            Action::Put { shelf, record, version, .. } => (shelf, record, *version, false),
            Action::Delete { shelf, record, version, .. } => (shelf, record, *version, true),
            _ => continue,
        };
        let life = lives.entry(record).or_default();
        if life.writes.is_empty() {
            shelves.entry(shelf).or_default().push(record);
        }
        life.writes.push(Write { event, version, is_delete });
    }
    for event in history.events.iter().filter(|e| e.is_done()) {
        match &event.action {
            Action::View { record, seen } => lives.entry(record).or_default().reads.push((event, seen)),
            Action::Shelf { shelf, seen } => {
                let known = shelves.get(shelf).map(Vec::as_slice).unwrap_or_default();
                for (record, seen) in seen {
                    lives.entry(record).or_default().reads.push((event, seen));
                }
                let is_seen = |record: &Name| seen.iter().any(|(other, _)| other == record);
                for record in known.iter().filter(|record| !is_seen(record)) {
                    lives.entry(record).or_default().reads.push((event, &Seen::Absent));
                }
            }
            _ => {}
        }
    }
    let mut lives: Vec<_> = lives.into_iter().collect();
    lives.sort_by_key(|(record, _)| *record);
    for (record, life) in &mut lives {
        life.writes.sort_by_key(|write| write.version);
        life.reads.sort_by_key(|(event, _)| event.start);
        one(record, life, found);
    }
}

/// What one record's reads were held against, as they are gone through by their start.
#[derive(Default)]
struct Bounds {
    /// How many of the writes were acknowledged before.
    acknowledged: usize,
    /// Reads by their end, and how many of them had ended before.
    ended: Vec<(u64, u32)>,
    seen: u32,
}

fn one(record: &Name, life: &Life, found: &mut Found) {
    for write in &life.writes {
        if let crate::checker::history::Outcome::Refused(status) = write.event.outcome {
            // Nobody else writes to it, and its rules allow its writer to.
            let what =
                || format!("version {} was refused with {status}, by {}", write.version, by(write.event));
            found.breach(Kind::Unexplained, record, write.event.start, what);
        }
    }
    let done: Vec<&Write> = life.writes.iter().filter(|w| w.event.is_done()).collect();
    // What the last reads of all saw says whether a missing write is gone for good.
    let at_last = life.reads.iter().rev().take_while(|(read, _)| found.is_settled(read));
    let at_last: Vec<&Seen> = at_last.map(|(_, seen)| *seen).collect();
    let mut bounds = Bounds::default();
    for (read, seen) in &life.reads {
        while done.get(bounds.acknowledged).is_some_and(|write| write.event.end < read.start) {
            bounds.acknowledged += 1;
        }
        let acknowledged = bounds.acknowledged.checked_sub(1).map(|at| done[at]);
        if let Some(write) = acknowledged {
            found.bound(read, write.event);
        }
        // Reads are few for one record: what had ended before is looked up each time.
        let earlier = bounds
            .ended
            .iter()
            .filter(|(end, _)| *end + found.lease < read.start)
            .map(|(_, version)| *version);
        bounds.seen = earlier.max().unwrap_or(0).max(bounds.seen);
        bounds.ended.retain(|(end, _)| *end + found.lease >= read.start);
        let low = acknowledged.map_or(0, |write| write.version);
        match version(life, seen, low.max(bounds.seen)) {
            Ok(version) => {
                let sent = life.writes.iter().find(|write| write.version == version);
                if sent.is_some_and(|write| write.event.start > read.end || !write.event.may_be()) {
                    let what = || format!("version {version} was seen by {} and never sent before", by(read));
                    found.breach(Kind::Phantom, record, read.start, what);
                } else if version < low {
                    let write = acknowledged.expect("a bound comes from a write");
                    missed(record, life, (read, version), write, &at_last, found);
                } else if version < bounds.seen {
                    let what =
                        || format!("{} saw version {version} after {} had been seen", by(read), bounds.seen);
                    found.breach(Kind::WentBack, record, read.start, what);
                }
                bounds.ended.push((read.end, version));
            }
            Err(alien) => {
                let what = || format!("{} saw what nobody wrote: {alien}", by(read));
                found.breach(Kind::Phantom, record, read.start, what);
            }
        }
    }
}

/// The version that a read saw. Absent is both what was before the first and what is after a delete: the one that the
/// bound allows counts.
fn version(life: &Life, seen: &Seen, low: u32) -> Result<u32, String> {
    match seen {
        Seen::Alien(text) => Err(text.clone()),
        Seen::Version(version) => {
            let is_known = life.writes.iter().any(|w| w.version == *version && !w.is_delete);
            if is_known { Ok(*version) } else { Err(format!("version {version}")) }
        }
        Seen::Absent if low == 0 => Ok(0),
        Seen::Absent => {
            let delete = life.writes.iter().find(|w| w.is_delete && w.version >= low && w.event.may_be());
            Ok(delete.map_or(0, |write| write.version))
        }
    }
}

fn missed(
    record: &Name,
    life: &Life,
    (read, version): (&Event, u32),
    write: &Write,
    at_last: &[&Seen],
    found: &mut Found,
) {
    let still = |seen: &&Seen| match seen {
        Seen::Absent => version == 0 && !life.writes.iter().any(|w| w.is_delete && w.event.may_be()),
        Seen::Version(last) => *last < write.version,
        Seen::Alien(_) => false,
    };
    let kind = match write.is_delete {
        true => Kind::Resurrected,
        false => {
            let is_gone = !at_last.is_empty() && at_last.iter().all(still);
            found.missed(read, write.event.caller, is_gone)
        }
    };
    let saw = if version == 0 { "nothing".to_owned() } else { format!("version {version}") };
    found.breach(kind, record, read.start, || {
        let ago = (read.start - write.event.end) as f64 / 1e6;
        let verb = if write.is_delete { "deleted" } else { "acknowledged" };
        format!(
            "{} saw {saw}, but version {} was {verb} {ago:.3} ms before to {}",
            by(read),
            write.version,
            by(write.event)
        )
    });
}
