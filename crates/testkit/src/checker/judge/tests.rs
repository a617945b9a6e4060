//! Histories made by hand: each breach is found by its name, and what is allowed is allowed.

use super::{Kind, awaited, judge};
use crate::checker::history::{
    Action, Audience, Effect, Event, Heard, History, Instant, Name, Outcome, Seen, Stream, Told,
};

/// An event of caller 0 on node 0 from `start` to `end`.
fn done(start: Instant, end: Instant, action: Action) -> Event {
    Event { caller: 0, node: 0, asked: start, start, end, retries: 0, action, outcome: Outcome::Done }
}

fn unknown(start: Instant, end: Instant, action: Action) -> Event {
    Event { outcome: Outcome::Unknown("broken".into()), ..done(start, end, action) }
}

fn refused(start: Instant, end: Instant, action: Action) -> Event {
    Event { outcome: Outcome::Refused(400), ..done(start, end, action) }
}

fn by(caller: usize, event: Event) -> Event {
    Event { caller, node: caller, ..event }
}

fn put(version: u32) -> Action {
    Action::Put { shelf: "s".into(), record: "r".into(), version, audience: Audience::Everybody }
}

fn delete(version: u32) -> Action {
    Action::Delete { shelf: "s".into(), record: "r".into(), version, audience: Audience::Everybody }
}

fn view(seen: Seen) -> Action {
    Action::View { record: "r".into(), seen }
}

fn version(version: u32) -> Action {
    view(Seen::Version(version))
}

fn insert(element: &str) -> Action {
    Action::Insert { set: "s".into(), element: element.into() }
}

fn elements(seen: &[&str]) -> Action {
    Action::Elements { set: "s".into(), seen: names(seen) }
}

fn claim(element: &str) -> Action {
    Action::Claim { name: "n".into(), element: element.into() }
}

fn holders(seen: &[&str]) -> Action {
    Action::Holders { name: "n".into(), seen: names(seen) }
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| Name::from(*text)).collect()
}

fn add() -> Action {
    Action::Add { counter: "c".into() }
}

fn count(value: i64) -> Action {
    Action::Count { counter: "c".into(), value }
}

fn transfer(element: &str) -> Action {
    Action::Transfer { from: "a".into(), to: "b".into(), amount: 5, set: "s".into(), element: element.into() }
}

fn balances(a: i64, b: i64) -> Action {
    Action::Balances { seen: vec![("a".into(), a), ("b".into(), b)] }
}

fn history(events: Vec<Event>) -> History {
    let balances = vec![("a".into(), 10), ("b".into(), 10)];
    History { balances, events, settled: Some(1000), ..History::default() }
}

#[track_caller]
fn check(events: Vec<Event>, kinds: &[Kind]) {
    let verdict = judge(&history(events));
    assert_eq!(verdict.kinds(), kinds, "{verdict}");
}

#[test]
fn what_overlaps_may_be_seen_or_not() {
    let writes = || vec![done(0, 10, put(1)), done(20, 40, put(2)), done(50, 60, delete(3))];
    let with = |more: Vec<Event>| writes().into_iter().chain(more).collect();
    check(with(vec![done(5, 6, view(Seen::Absent)), done(30, 31, version(2))]), &[]);
    check(with(vec![done(30, 31, version(1)), done(32, 45, version(2))]), &[]);
    // Reads that overlap each other may see them in either order.
    check(with(vec![done(25, 35, version(2)), done(30, 31, version(1))]), &[]);
    check(with(vec![done(55, 56, version(2)), done(57, 70, view(Seen::Absent))]), &[]);
    check(with(vec![done(70, 80, view(Seen::Absent)), done(1000, 1001, view(Seen::Absent))]), &[]);
}

#[test]
fn a_write_of_unknown_outcome_is_there_or_not() {
    let start = || vec![done(0, 10, put(1)), unknown(20, 30, put(2))];
    let with = |more: Vec<Event>| start().into_iter().chain(more).collect();
    check(with(vec![done(100, 101, version(1)), done(1000, 1001, version(1))]), &[]);
    check(with(vec![done(100, 101, version(1)), done(1000, 1001, version(2))]), &[]);
    check(with(vec![done(100, 101, version(2)), done(1000, 1001, version(1))]), &[Kind::WentBack]);
    check(vec![unknown(0, 5, insert("e")), done(10, 11, elements(&[])), done(20, 21, elements(&["e"]))], &[]);
    check(vec![unknown(0, 5, insert("e")), done(10, 11, elements(&["e", "e"]))], &[Kind::Doubled]);
    check(vec![unknown(0, 5, add()), done(10, 11, count(0)), done(1000, 1001, count(1))], &[]);
    check(vec![unknown(0, 5, add()), done(1000, 1001, count(2))], &[Kind::Doubled]);
    let half = vec![
        unknown(0, 5, transfer("t")),
        done(1000, 1001, elements(&[])),
        done(1002, 1003, balances(5, 15)),
    ];
    check(half, &[Kind::Torn]);
}

#[test]
fn records() {
    let life = || vec![done(0, 10, put(1)), done(20, 30, put(2))];
    let with = |more: Vec<Event>| life().into_iter().chain(more).collect();
    check(with(vec![done(40, 41, version(1)), done(1000, 1001, version(2))]), &[Kind::StaleOwn]);
    check(with(vec![by(1, done(40, 41, version(1))), done(1000, 1001, version(2))]), &[Kind::Stale]);
    check(with(vec![done(40, 41, version(1)), done(1000, 1001, version(1))]), &[Kind::Lost]);
    check(with(vec![done(1000, 1001, view(Seen::Absent))]), &[Kind::Lost]);
    check(with(vec![done(40, 41, version(3))]), &[Kind::Phantom]);
    check(with(vec![done(40, 41, view(Seen::Alien("torn".into())))]), &[Kind::Phantom]);
    check(with(vec![refused(50, 55, put(3)), done(60, 61, version(3))]), &[Kind::Phantom, Kind::Unexplained]);
    check(vec![done(20, 30, put(1)), done(10, 15, version(1))], &[Kind::Phantom]);
    // Both reads overlap the write, and the second began after the first had seen it.
    check(
        vec![done(0, 10, put(1)), done(20, 60, put(2)), done(30, 31, version(2)), done(40, 41, version(1))],
        &[Kind::WentBack],
    );
}

#[test]
fn deleted_records() {
    let life = || vec![done(0, 10, put(1)), done(20, 30, delete(2))];
    let with = |more: Vec<Event>| life().into_iter().chain(more).collect();
    check(with(vec![done(40, 41, version(1)), done(1000, 1001, view(Seen::Absent))]), &[Kind::Resurrected]);
    check(with(vec![done(1000, 1001, version(1))]), &[Kind::Resurrected]);
    let maybe = vec![done(0, 10, put(1)), unknown(20, 30, delete(2))];
    check(
        [maybe, vec![done(40, 41, view(Seen::Absent)), done(50, 51, version(1))]].concat(),
        &[Kind::WentBack],
    );
}

#[test]
fn lists_are_reads_of_what_they_do_not_hold() {
    let shelf = |seen: Vec<(Name, Seen)>| Action::Shelf { shelf: "s".into(), seen };
    let start = || vec![done(0, 10, put(1))];
    check([start(), vec![done(1000, 1001, shelf(vec![("r".into(), Seen::Version(1))]))]].concat(), &[]);
    check([start(), vec![done(1000, 1001, shelf(Vec::new()))]].concat(), &[Kind::Lost]);
    check([start(), vec![done(5, 6, shelf(Vec::new()))]].concat(), &[]);
}

#[test]
fn sets() {
    let start = || vec![done(0, 10, insert("e")), done(20, 30, insert("f"))];
    let with = |more: Vec<Event>| start().into_iter().chain(more).collect();
    check(with(vec![done(25, 26, elements(&["e"])), done(1000, 1001, elements(&["e", "f"]))]), &[]);
    check(
        with(vec![done(40, 41, elements(&["e"])), done(1000, 1001, elements(&["e", "f"]))]),
        &[Kind::StaleOwn],
    );
    check(
        with(vec![by(1, done(40, 41, elements(&["e"]))), done(1000, 1001, elements(&["e", "f"]))]),
        &[Kind::Stale],
    );
    check(with(vec![done(1000, 1001, elements(&["f"]))]), &[Kind::Lost]);
    check(with(vec![done(1000, 1001, elements(&["e", "f", "f"]))]), &[Kind::Doubled]);
    check(with(vec![done(1000, 1001, elements(&["e", "f", "g"]))]), &[Kind::Phantom]);
    check(with(vec![done(22, 23, elements(&["e", "f"])), done(24, 25, elements(&["e"]))]), &[Kind::WentBack]);
}

#[test]
fn names_that_one_may_have() {
    check(vec![done(0, 10, claim("x")), refused(5, 15, claim("y")), done(20, 21, holders(&["x"]))], &[]);
    check(vec![unknown(0, 10, claim("x")), refused(5, 15, claim("y")), done(20, 21, holders(&[]))], &[]);
    check(vec![done(0, 10, claim("x")), done(5, 15, claim("y"))], &[Kind::NotUnique]);
    let two =
        vec![unknown(0, 10, claim("x")), unknown(5, 15, claim("y")), done(20, 21, holders(&["x", "y"]))];
    check(two, &[Kind::NotUnique]);
    check(vec![refused(5, 15, claim("y"))], &[Kind::Unexplained]);
}

#[test]
fn counters() {
    let start = || vec![done(0, 10, add()), by(1, done(5, 15, add()))];
    let with = |more: Vec<Event>| start().into_iter().chain(more).collect();
    check(with(vec![done(12, 13, count(1)), done(14, 16, count(2)), done(1000, 1001, count(2))]), &[]);
    check(with(vec![done(20, 21, count(1)), done(1000, 1001, count(2))]), &[Kind::Stale]);
    check(with(vec![done(1000, 1001, count(1))]), &[Kind::LostUpdate]);
    check(with(vec![done(1000, 1001, count(3))]), &[Kind::Doubled]);
    check(
        with(vec![done(8, 9, count(2)), done(11, 12, count(1)), done(1000, 1001, count(2))]),
        &[Kind::WentBack],
    );
}

#[test]
fn accounts() {
    let start = || vec![done(0, 10, transfer("t"))];
    let with = |more: Vec<Event>| start().into_iter().chain(more).collect();
    check(with(vec![done(5, 6, balances(10, 10)), done(7, 8, balances(5, 15))]), &[]);
    check(with(vec![done(5, 6, balances(5, 10))]), &[Kind::Torn]);
    check(with(vec![done(1000, 1001, elements(&["t"])), done(1002, 1003, balances(5, 15))]), &[]);
    check(with(vec![done(1000, 1001, elements(&["t"])), done(1002, 1003, balances(10, 10))]), &[Kind::Torn]);
}

#[test]
fn a_refused_read_is_told() {
    check(vec![refused(0, 1, Action::Unread)], &[Kind::Unexplained]);
    check(vec![unknown(0, 1, Action::Unread)], &[]);
}

/// Replicas come to a write one after another: what one read saw of a write that is not acknowledged, another may miss for
/// as long as a lease, and no longer.
#[test]
fn what_was_seen_binds_after_a_lease() {
    let reads = |later: u64| {
        let seen = vec![done(30, 31, version(2)), done(later, later + 1, version(1))];
        [done(10, 11, put(1)), unknown(20, 900, put(2))].into_iter().chain(seen).collect()
    };
    for (later, kinds) in [(40, &[][..]), (81, &[]), (82, &[Kind::WentBack])] {
        let verdict = judge(&History { lease: 50, ..history(reads(later)) });
        assert_eq!(verdict.kinds(), kinds, "a read at {later}: {verdict}");
    }
}

fn cause(doomed: bool) -> Action {
    Action::Cause { job: "j".into(), doomed }
}

/// The verdict on one job's write and when its effect was seen.
#[track_caller]
fn check_job(cause: Event, effects: &[Instant], kinds: &[Kind]) -> (usize, usize, usize) {
    let effects = effects.iter().map(|at| Effect { job: "j".into(), at: *at }).collect();
    let history = History { effects, ..history(vec![cause]) };
    let verdict = judge(&history);
    assert_eq!(verdict.kinds(), kinds, "{verdict}");
    (verdict.proven.jobs, verdict.proven.jobs_repeated, awaited(&history))
}

#[test]
fn jobs_of_acknowledged_writes_are_done() {
    assert_eq!(check_job(done(0, 10, cause(false)), &[50], &[]), (1, 0, 0));
    // The job may be faster than the answer.
    assert_eq!(check_job(done(0, 10, cause(false)), &[5], &[]), (1, 0, 0));
    assert_eq!(check_job(done(0, 10, cause(false)), &[50, 60], &[]), (1, 1, 0));
    assert_eq!(check_job(done(0, 10, cause(false)), &[], &[Kind::LostJob]), (0, 0, 1));
    check_job(unknown(0, 10, cause(false)), &[], &[]);
    check_job(unknown(0, 10, cause(false)), &[90], &[]);
}

#[test]
fn jobs_of_refused_writes_are_not() {
    check_job(refused(0, 10, cause(true)), &[], &[]);
    check_job(refused(0, 10, cause(true)), &[50], &[Kind::Phantom]);
    check_job(refused(0, 10, cause(false)), &[], &[Kind::Unexplained]);
    check_job(done(0, 10, cause(true)), &[], &[Kind::Unexplained]);
    check_job(done(20, 30, cause(false)), &[10], &[Kind::Phantom]);
    let effects = vec![Effect { job: "nobody's".into(), at: 5 }];
    assert_eq!(judge(&History { effects, ..history(Vec::new()) }).kinds(), [Kind::Phantom]);
}

fn stream(from: Instant, heard: &[(Instant, Told)]) -> Stream {
    let heard = heard.iter().map(|(at, told)| Heard { at: *at, record: "r".into(), told: told.clone() });
    Stream { subscriber: 0, node: 1, from, until: None, resyncs: Vec::new(), heard: heard.collect() }
}

fn shown(version: u32) -> Told {
    Told::Seen(Seen::Version(version))
}

fn gone(version: u32) -> Told {
    Told::Gone(Seen::Version(version))
}

#[track_caller]
fn check_stream(events: &[Event], stream: Stream, kinds: &[Kind]) -> super::Proven {
    let verdict = judge(&History { streams: vec![stream], ..history(events.to_vec()) });
    assert_eq!(verdict.kinds(), kinds, "{verdict}");
    verdict.proven
}

#[test]
fn subscribers_hear_of_every_write() {
    let life = [done(10, 20, put(1)), done(30, 40, put(2)), done(50, 60, delete(3))];
    let all = [(20, shown(1)), (35, shown(2)), (70, gone(2))];
    let proven = check_stream(&life, stream(0, &all), &[]);
    assert_eq!((proven.events, proven.events_across_nodes, proven.events_excused), (3, 3, 0));
    check_stream(&life, stream(0, &all[..2]), &[Kind::LostEvent]);
    check_stream(&life[..2], stream(0, &all[..1]), &[Kind::LostEvent]);
    // The event shows the record as it is by then.
    check_stream(&life[..2], stream(0, &[(45, shown(2))]), &[]);
    // What was sent before it was subscribed need not be heard.
    check_stream(&life[..2], stream(11, &all[1..2]), &[]);
    // What nobody knows may be heard or not.
    let maybe = [done(10, 20, put(1)), unknown(30, 40, put(2))];
    check_stream(&maybe, stream(0, &all[..1]), &[]);
    check_stream(&maybe, stream(0, &all[..2]), &[]);
}

#[test]
fn subscribers_that_start_anew_have_missed_nothing() {
    let life = [done(10, 20, put(1)), done(30, 40, put(2))];
    let first = || stream(0, &[(20, shown(1))]);
    let proven = check_stream(&life, Stream { resyncs: vec![45], ..first() }, &[]);
    assert_eq!((proven.events, proven.events_excused), (1, 1));
    check_stream(&life, Stream { until: Some(45), ..first() }, &[]);
    check_stream(&life, Stream { resyncs: vec![25], ..first() }, &[Kind::LostEvent]);
    // After its end it is another stream that hears, or is subscribed too late and reads.
    check_stream(&life, Stream { until: Some(25), ..first() }, &[]);
}

#[test]
fn subscribers_are_shown_what_is_theirs_and_was_written() {
    let hidden =
        Action::Put { shelf: "s".into(), record: "r".into(), version: 2, audience: Audience::Forbidden };
    let life = [done(10, 20, put(1)), done(30, 40, hidden)];
    check_stream(&life, stream(0, &[(20, shown(1))]), &[]);
    check_stream(&life, stream(0, &[(20, shown(1)), (45, shown(2))]), &[Kind::Forbidden]);
    // The hidden version took its place before the event was made.
    assert_eq!(check_stream(&life, stream(0, &[]), &[]).events_excused, 1);
    check_stream(&life, stream(0, &[(5, shown(1))]), &[Kind::Phantom]);
    check_stream(&life, stream(0, &[(20, shown(1)), (25, gone(1))]), &[Kind::Phantom]);
    check_stream(&life, stream(0, &[(20, Told::Seen(Seen::Alien("x".into())))]), &[Kind::Phantom]);
    let twice = check_stream(&life[..1], stream(0, &[(20, shown(1)), (25, shown(1))]), &[]);
    assert_eq!(twice.events_repeated, 1);
}
