//! Subscribers: each acknowledged write that concerns one is heard of, or the subscriber is told to start anew after the
//! write began, which its connection's end says as well. What the rule forbids is never shown. An event shows the record
//! as it is when the event is made, so that one of a later version tells of the earlier ones too.

use std::collections::{HashMap, HashSet};

use super::{Found, Kind, by};
use crate::checker::history::{Action, Audience, Event, Heard, History, Name, Seen, Stream, Told};

struct Write<'a> {
    event: &'a Event,
    version: u32,
    audience: Audience,
    is_delete: bool,
}

type Lives<'a> = HashMap<&'a Name, Vec<Write<'a>>>;

fn lives(history: &History) -> Lives<'_> {
    let mut lives = Lives::new();
    for event in &history.events {
        let (record, version, audience, is_delete) = match &event.action {
            Action::Put { record, version, audience, .. } => (record, *version, *audience, false),
            Action::Delete { record, version, audience, .. } => (record, *version, *audience, true),
            _ => continue,
        };
        lives.entry(record).or_default().push(Write { event, version, audience, is_delete });
    }
    lives.values_mut().for_each(|life| life.sort_by_key(|write| write.version));
    lives
}

pub fn judge(history: &History, found: &mut Found) {
    let lives = lives(history);
    for stream in &history.streams {
        shown(stream, &lives, found);
        for (record, write, fate) in fates(stream, &lives) {
            match fate {
                Fate::Heard => {
                    found.proven.events += 1;
                    found.proven.events_across_nodes += usize::from(write.event.node != stream.node);
                }
                Fate::Excused => found.proven.events_excused += 1,
                Fate::Missed => {
                    let of = format!("{record} at {}", of(stream));
                    found.breach(Kind::LostEvent, &of, write.event.end, || {
                        let verb = if write.is_delete { "delete" } else { "write" };
                        format!(
                            "nothing was heard of the {verb} of version {} by {}",
                            write.version,
                            by(write.event)
                        )
                    });
                }
            }
        }
    }
}

pub fn awaited(history: &History) -> usize {
    let lives = lives(history);
    let missed = |stream: &Stream| fates(stream, &lives).filter(|(_, _, fate)| *fate == Fate::Missed).count();
    history.streams.iter().map(missed).sum()
}

fn of(stream: &Stream) -> String {
    format!("subscriber {} of node {}", stream.subscriber, stream.node)
}

#[derive(PartialEq)]
enum Fate {
    Heard,
    Excused,
    Missed,
}

/// What became of each acknowledged write that concerns the subscriber.
fn fates<'a>(
    stream: &'a Stream,
    lives: &'a Lives<'a>,
) -> impl Iterator<Item = (&'a Name, &'a Write<'a>, Fate)> {
    let mut newest: HashMap<&Name, u32> = HashMap::new();
    for heard in &stream.heard {
        let version = match &heard.told {
            Told::Seen(Seen::Version(version)) => *version,
            Told::Gone(_) => u32::MAX,
            Told::Seen(_) => continue,
        };
        let known = newest.entry(&heard.record).or_default();
        *known = version.max(*known);
    }
    let anew = stream.resyncs.iter().chain(&stream.until).max().copied();
    let fate = move |record: &Name, write: &Write| {
        // What comes after it and may not be shown takes its place.
        let is_hidden = |other: &Write| {
            other.version > write.version && other.audience != Audience::Everybody && other.event.may_be()
        };
        if newest.get(record).is_some_and(|version| *version >= write.version) {
            Fate::Heard
        } else if anew.is_some_and(|at| at >= write.event.start) || lives[record].iter().any(is_hidden) {
            Fate::Excused
        } else {
            Fate::Missed
        }
    };
    let concerns = |write: &&Write| {
        let is_within = stream.until.is_none_or(|until| write.event.start < until);
        is_within
            && write.audience == Audience::Everybody
            && write.event.is_done()
            && write.event.start >= stream.from
    };
    let concerning = lives
        .iter()
        .flat_map(move |(record, life)| life.iter().filter(concerns).map(move |write| (*record, write)));
    concerning.map(move |(record, write)| (record, write, fate(record, write)))
}

/// Holds what a subscriber was shown against what was written, and what may be shown.
fn shown(stream: &Stream, lives: &Lives, found: &mut Found) {
    let mut before: HashSet<(&Name, u32, bool)> = HashSet::new();
    let mut newest: HashMap<&Name, u32> = HashMap::new();
    for Heard { at, record, told } in &stream.heard {
        let (seen, is_gone) = match told {
            Told::Seen(seen) => (seen, false),
            Told::Gone(seen) => (seen, true),
        };
        let life = lives.get(record).map(Vec::as_slice).unwrap_or_default();
        let write = match seen {
            Seen::Version(version) if is_gone => life.iter().find(|w| w.is_delete && w.version > *version),
            Seen::Version(version) => life.iter().find(|w| !w.is_delete && w.version == *version),
            _ => None,
        };
        let Some(write) = write.filter(|write| write.event.may_be() && write.event.start <= *at) else {
            let what = || format!("{} was told of what nobody wrote before: {told:?}", of(stream));
            found.breach(Kind::Phantom, record, *at, what);
            continue;
        };
        if write.audience != Audience::Everybody {
            let what = || format!("{} was shown version {}, which is not for it", of(stream), write.version);
            found.breach(Kind::Forbidden, record, *at, what);
        }
        if !before.insert((record, write.version, is_gone)) {
            found.proven.events_repeated += 1;
        }
        let known = newest.entry(record).or_default();
        found.proven.events_disordered += usize::from(write.version < *known);
        *known = write.version.max(*known);
    }
}
