//! Counters that many add one to. A read lies between what was acknowledged before it began and what was sent before
//! it ended, and never below an earlier one.

use std::collections::HashMap;

use super::{Found, Kind, by};
use crate::checker::history::{Action, Event, History, Name, Outcome};

#[derive(Default)]
struct Counter<'a> {
    adds: Vec<&'a Event>,
    reads: Vec<(&'a Event, i64)>,
}

pub fn judge(history: &History, found: &mut Found) {
    let mut counters: HashMap<&Name, Counter> = HashMap::new();
    for event in &history.events {
        match &event.action {
            Action::Add { counter } => counters.entry(counter).or_default().adds.push(event),
            Action::Count { counter, value } if event.is_done() => {
                counters.entry(counter).or_default().reads.push((event, *value));
            }
            _ => {}
        }
    }
    let mut counters: Vec<_> = counters.into_iter().collect();
    counters.sort_by_key(|(name, _)| *name);
    for (name, counter) in counters {
        one(name, counter, found);
    }
}

fn one(name: &Name, counter: Counter, found: &mut Found) {
    let Counter { adds, mut reads } = counter;
    for add in &adds {
        if let Outcome::Refused(status) = add.outcome {
            let what = || format!("one more was refused with {status}, by {}", by(add));
            found.breach(Kind::Unexplained, name, add.start, what);
        }
    }
    reads.sort_by_key(|(read, _)| read.start);
    let mut ends: Vec<&Event> = adds.iter().copied().filter(|add| add.is_done()).collect();
    ends.sort_by_key(|add| add.end);
    let mut starts: Vec<u64> = adds.iter().filter(|add| add.may_be()).map(|add| add.start).collect();
    starts.sort();
    let is_lost = reads.iter().any(|(read, value)| found.is_settled(read) && *value < ends.len() as i64);
    let mut ended: Vec<(u64, i64)> = Vec::new();
    let mut seen = 0;
    for (read, value) in &reads {
        let done = ends.partition_point(|add| add.end < read.start);
        let sent = starts.partition_point(|start| *start < read.end) as i64;
        if let Some(last) = done.checked_sub(1) {
            found.bound(read, ends[last]);
        }
        ended.retain(|(end, value)| {
            if *end + found.lease < read.start {
                seen = seen.max(*value);
            }
            *end + found.lease >= read.start
        });
        if *value > sent {
            let what = || format!("{} saw {value}, and {sent} had been sent", by(read));
            found.breach(Kind::Doubled, name, read.start, what);
        } else if *value < done as i64 {
            // The newest of the acknowledged may be anybody's: which one is missing, a sum does not tell.
            let kind = if is_lost { Kind::LostUpdate } else { Kind::Stale };
            let what = || format!("{} saw {value}, and {done} had been acknowledged", by(read));
            found.breach(kind, name, read.start, what);
        } else if *value < seen {
            let what = || format!("{} saw {value}, and {seen} had been seen", by(read));
            found.breach(Kind::WentBack, name, read.start, what);
        }
        ended.push((read.end, *value));
    }
}
