//! Histories made by hand: each breach is found by its name, and what is allowed is allowed.

use super::{Kind, judge};
use crate::checker::history::{Action, Event, History, Instant, Name, Outcome, Seen};

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
    Action::Put { shelf: "s".into(), record: "r".into(), version }
}

fn delete(version: u32) -> Action {
    Action::Delete { shelf: "s".into(), record: "r".into(), version }
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
    History { balances: vec![("a".into(), 10), ("b".into(), 10)], events, settled: Some(1000), lease: 0 }
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
