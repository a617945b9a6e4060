//! Sets that only grow, and names that one may have. A set holds every element that was acknowledged before the read
//! began, once; none that was not sent before it ended; and whatever an earlier read saw.

use std::collections::{HashMap, HashSet};

use super::{Found, Kind, by};
use crate::checker::history::{Action, Event, History, Name, Outcome};

#[derive(Default)]
struct Set<'a> {
    inserts: HashMap<&'a Name, &'a Event>,
    reads: Vec<(&'a Event, &'a [Name])>,
}

pub fn judge(history: &History, found: &mut Found) {
    let mut sets: HashMap<&Name, Set> = HashMap::new();
    let mut claims: HashMap<&Name, Set> = HashMap::new();
    for event in &history.events {
        match &event.action {
            Action::Insert { set, element } | Action::Transfer { set, element, .. } => {
                sets.entry(set).or_default().inserts.insert(element, event);
            }
            Action::Claim { name, element } => {
                claims.entry(name).or_default().inserts.insert(element, event);
            }
            Action::Elements { set, seen } if event.is_done() => {
                sets.entry(set).or_default().reads.push((event, seen));
            }
            Action::Holders { name, seen } if event.is_done() => {
                claims.entry(name).or_default().reads.push((event, seen));
            }
            _ => {}
        }
    }
    for (name, mut set) in sorted(sets) {
        for (element, event) in &set.inserts {
            if let (Outcome::Refused(status), Action::Insert { .. }) = (&event.outcome, &event.action) {
                let what = || format!("{element} was refused with {status}, by {}", by(event));
                found.breach(Kind::Unexplained, name, event.start, what);
            }
        }
        grows(name, &mut set, found);
    }
    for (name, mut set) in sorted(claims) {
        grows(name, &mut set, found);
        one_has_it(name, &set, found);
    }
}

fn sorted<'a>(sets: HashMap<&'a Name, Set<'a>>) -> Vec<(&'a Name, Set<'a>)> {
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort_by_key(|(name, _)| *name);
    sets
}

fn grows(name: &Name, set: &mut Set, found: &mut Found) {
    set.reads.sort_by_key(|(read, _)| read.start);
    let at_last = set.reads.iter().filter(|(read, _)| found.is_settled(read));
    let at_last: Vec<&[Name]> = at_last.map(|(_, seen)| *seen).collect();
    let mut seen_first: HashMap<&Name, &Event> = HashMap::new();
    for (read, seen) in &set.reads {
        let mut here: HashSet<&Name> = HashSet::new();
        for element in *seen {
            if !here.insert(element) {
                let what = || format!("{element} is there more than once, seen by {}", by(read));
                found.breach(Kind::Doubled, name, read.start, what);
            }
            let sent = set.inserts.get(element);
            if !sent.is_some_and(|insert| insert.start <= read.end && insert.may_be()) {
                let what = || match sent.map(|insert| &insert.outcome) {
                    Some(Outcome::Refused(status)) => {
                        format!("{element} had been refused with {status}, seen by {}", by(read))
                    }
                    _ => format!("{element} was never sent before, seen by {}", by(read)),
                };
                found.breach(Kind::Phantom, name, read.start, what);
            }
        }
        for (element, insert) in &set.inserts {
            let must_be = insert.is_done() && insert.end < read.start;
            if must_be {
                found.bound(read, insert);
            }
            if here.contains(element) {
                continue;
            }
            if must_be {
                let is_gone = !at_last.is_empty() && at_last.iter().all(|seen| !seen.contains(*element));
                let kind = found.missed(read, insert.caller, is_gone);
                found.breach(kind, name, read.start, || {
                    let ago = (read.start - insert.end) as f64 / 1e6;
                    format!(
                        "{} misses {element}, acknowledged {ago:.3} ms before to {}",
                        by(read),
                        by(insert)
                    )
                });
            } else if seen_first.get(element).is_some_and(|earlier| earlier.end + found.lease < read.start) {
                let what = || format!("{} misses {element}, which had been seen before", by(read));
                found.breach(Kind::WentBack, name, read.start, what);
            }
        }
        for element in here {
            let first = seen_first.entry(element).or_insert(read);
            if read.end < first.end {
                *first = read;
            }
        }
    }
}

fn one_has_it(name: &Name, set: &Set, found: &mut Found) {
    let mut done: Vec<&&Event> = set.inserts.values().filter(|event| event.is_done()).collect();
    done.sort_by_key(|event| event.end);
    if let [first, second, ..] = done[..] {
        let what = || format!("given to {} and to {}", by(first), by(second));
        found.breach(Kind::NotUnique, name, second.start, what);
    }
    for (read, seen) in &set.reads {
        let holders: HashSet<&Name> = seen.iter().collect();
        if holders.len() > 1 {
            let what = || format!("{} have it, seen by {}", holders.len(), by(read));
            found.breach(Kind::NotUnique, name, read.start, what);
        }
    }
    let may_have =
        |refused: &Event| set.inserts.values().any(|other| other.may_be() && other.start < refused.end);
    for event in set.inserts.values() {
        if !event.may_be() && !may_have(event) {
            let what = || format!("refused to {} and nobody else has it", by(event));
            found.breach(Kind::Unexplained, name, event.start, what);
        }
    }
}
