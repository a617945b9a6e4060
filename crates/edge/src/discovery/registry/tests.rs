//! The registry as what it is: what is said and what time passes go in, and what follows comes out.

use super::*;

const SILENT: Duration = Duration::from_millis(FRONT_NODE_SILENT_MS);
const NEITHER: Follows = Follows { missed: false, gap: false, changed: false };

fn said(life: &str, address: &str, sequence: u64) -> Announcement {
    let (life, address) = (life.to_owned(), address.to_owned());
    Announcement { name: life.clone(), life, address, sequence, ..Announcement::default() }
}

fn usable(registry: &Registry) -> Vec<String> {
    let usable = registry.members().into_iter().filter(|member| !member.leaving && !member.drained);
    usable.map(|member| member.address).collect()
}

#[test]
fn numbers_tell_what_was_missed() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    let mut hear = |sequence| registry.hear(now, &said("a", "h:1", sequence)).unwrap();
    assert_eq!(hear(1), Follows { changed: true, ..NEITHER });
    assert_eq!(hear(2), NEITHER);
    assert_eq!(hear(2), NEITHER, "it is told again what nobody confirmed");
    assert_eq!(hear(4), Follows { gap: true, ..NEITHER });
    assert_eq!(hear(5), NEITHER);
    // One that has long been there, and another way of the first.
    assert!(registry.hear(now, &said("b", "h:2", 7)).unwrap().gap);
    let way = Announcement { way: "other".into(), ..said("a", "h:1", 1) };
    assert_eq!(registry.hear(now, &way).unwrap(), Follows { changed: true, ..NEITHER });
}

#[test]
fn silence_takes_a_node_out_unless_it_is_well_or_all_are_silent() {
    let (mut registry, start) = (Registry::default(), Instant::now());
    for (life, address) in [("a", "h:1"), ("b", "h:2")] {
        registry.hear(start, &said(life, address, 1)).unwrap();
    }
    let later = start + SILENT;
    registry.hear(later, &said("a", "h:1", 2)).unwrap();
    let well = registry.tick(later, |_| true);
    assert_eq!(well, Follows { missed: true, changed: true, ..NEITHER });
    assert_eq!(usable(&registry), ["h:1", "h:2"]);
    assert!(registry.tick(later, |_| true).missed, "it works, and cannot be heard");
    assert!(!registry.tick(later, |_| true).missed, "for a moment nothing more is missed");
    registry.tick(later, |_| false);
    assert_eq!(usable(&registry), ["h:1"]);
    // The last one falls silent, too: rather it than nobody.
    let much_later = later + 9 * SILENT;
    assert!(registry.tick(much_later, |_| false).missed);
    assert!(!registry.tick(much_later, |_| false).missed);
    assert_eq!(usable(&registry), ["h:1"]);
    registry.hear(much_later, &said("c", "h:3", 1)).unwrap();
    registry.tick(much_later, |_| false);
    assert_eq!(usable(&registry), ["h:3"]);
}

#[test]
fn who_leaves_gets_nothing_new_and_is_not_missed() {
    let (mut registry, now) = (Registry::new(vec!["h:1".into()]), Instant::now());
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    let leaving = Announcement { leaving: true, ..said("a", "h:1", 2) };
    assert_eq!(registry.hear(now, &leaving).unwrap(), Follows { changed: true, ..NEITHER });
    assert!(usable(&registry).is_empty(), "though it is on the list");
    // Its successor is there before it has gone.
    registry.hear(now, &said("b", "h:1", 1)).unwrap();
    assert_eq!(usable(&registry), ["h:1"]);
    assert_eq!(registry.members()[0].life, "b");
    let goodbye = Announcement { goodbye: true, ..said("a", "h:1", 3) };
    registry.hear(now, &goodbye).unwrap();
    registry.hear(now + SILENT, &said("b", "h:1", 2)).unwrap();
    assert_eq!(registry.tick(now + SILENT, |_| false), NEITHER);
    let forgotten = now + Duration::from_millis(FRONT_LIFE_KEPT_MS);
    registry.tick(forgotten, |_| false);
    assert_eq!(registry.lives().count(), 1);
    assert_eq!(usable(&registry), ["h:1"]);
}

#[test]
fn a_successor_without_a_goodbye_tells_that_something_may_be_missed() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    let joined = registry.hear(now, &said("b", "h:1", 1)).unwrap();
    assert_eq!(joined, Follows { missed: true, changed: true, ..NEITHER });
    assert_eq!(registry.members().len(), 1);
    // Both are there.
    registry.hear(now, &said("a", "h:1", 2)).unwrap();
    registry.hear(now + SILENT, &said("a", "h:1", 3)).unwrap();
    registry.tick(now + SILENT, |_| false);
    assert_eq!(usable(&registry), ["h:1"]);
}

#[test]
fn who_is_only_heard_is_not_asked() {
    let (mut registry, now) = (Registry::new(vec!["h:9".into()]), Instant::now());
    registry.only_hear();
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    registry.hear(now, &said("b", "h:2", 1)).unwrap();
    assert_eq!(usable(&registry), ["h:9"]);
    let later = now + SILENT;
    registry.hear(later, &said("a", "h:1", 2)).unwrap();
    assert!(registry.tick(later, |_| false).missed);
    assert!(registry.tick(later, |_| false).missed, "nobody knows whether it still writes");
    registry.hear(later, &said("c", "h:2", 1)).unwrap();
    let much_later = later + Duration::from_millis(FRONT_DOUBT_MS);
    assert!(!registry.tick(much_later, |_| false).missed, "another one is in its place");
}

#[test]
fn an_operator_takes_nodes_out() {
    let (mut registry, now) = (Registry::new(vec!["h:9".into()]), Instant::now());
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    assert!(registry.drain("a", true) && registry.drain("h:9", true));
    assert!(!registry.drain("nobody", true));
    assert!(usable(&registry).is_empty());
    assert!(registry.drain("a", false) && registry.drain("h:9", false));
    assert_eq!(usable(&registry).len(), 2);
    assert!(!registry.drain("nobody", false));
}

#[test]
fn what_is_announced_is_checked_and_bounded() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    for address in ["h", ":1", "h:0", "h:1/x", "h h:1", "h\r\n:1", "h:99999", &"x".repeat(9999)] {
        assert!(registry.hear(now, &said("a", address, 1)).is_err(), "{address}");
    }
    assert!(registry.hear(now, &said("", "h:1", 1)).is_err());
    assert!(registry.hear(now, &said("a", "h:1", 0)).is_err());
    for n in 0..FRONT_LIVES_MAX {
        registry.hear(now, &said(&n.to_string(), "", 1)).unwrap();
    }
    assert!(registry.hear(now, &said("one more", "", 1)).is_err());
    let bye = Announcement { goodbye: true, ..said("0", "", 2) };
    registry.hear(now, &bye).unwrap();
    registry.hear(now, &said("one more", "", u64::MAX)).unwrap();
    registry.hear(now, &said("one more", "", u64::MAX)).unwrap();
}

const MISSED: Follows = Follows { missed: true, changed: true, ..NEITHER };

/// Of a process that knows who is on its database.
fn among(life: &str, address: &str, sequence: u64, members: &[&str]) -> Announcement {
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    Announcement { members, ..said(life, address, sequence) }
}

#[test]
fn a_connection_that_ends_without_a_goodbye_is_noticed_at_once() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    registry.hear(now, &said("b", "h:2", 1)).unwrap();
    assert_eq!(registry.lose("a", ""), MISSED);
    assert_eq!(registry.lose("a", ""), NEITHER, "it ends once");
    assert_eq!(registry.lose("nobody", ""), NEITHER);
    // Whether requests go to it is for its checks to say.
    assert_eq!(usable(&registry), ["h:1", "h:2"]);
    // It had only lost its connection, and speaks on another one.
    assert_eq!(registry.hear(now, &said("a", "h:1", 2)).unwrap(), Follows { changed: true, ..NEITHER });
    assert_eq!(registry.tick(now, |_| true), NEITHER);

    // It has died: what its database did afterwards of what it had sent is doubted once more.
    assert!(registry.lose("a", "").missed);
    let later = now + SILENT;
    registry.hear(later, &said("b", "h:2", 2)).unwrap();
    assert_eq!(registry.tick(later, |_| false), MISSED);
    assert_eq!(usable(&registry), ["h:2"]);
    assert_eq!(registry.tick(later + SILENT / 2, |_| false), NEITHER);
}

#[test]
fn who_has_said_goodbye_may_close_its_connection() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    registry.hear(now, &Announcement { leaving: true, ..said("a", "h:1", 2) }).unwrap();
    assert_eq!(registry.lose("a", ""), Follows { missed: true, ..NEITHER }, "it was not done");
    registry.hear(now, &Announcement { goodbye: true, ..said("a", "h:1", 3) }).unwrap();
    assert_eq!(registry.lose("a", ""), NEITHER);
}

#[test]
fn others_on_its_database_know_whether_a_silent_node_has_ended() {
    // Balancers are asked, and the nodes behind them are only heard: no check of this front door's tells anything of them.
    let (mut registry, start) = (Registry::new(vec!["h:9".into()]), Instant::now());
    registry.only_hear();
    for (life, address) in [("a", "h:1"), ("b", "h:2"), ("w", "")] {
        registry.hear(start, &among(life, address, 1, &["a", "b", "w"])).unwrap();
    }
    let is_known = |registry: &Registry, id: &str| registry.lives().any(|(life, _)| life == id);
    let doubt = Duration::from_millis(FRONT_DOUBT_MS);
    let unheard = Duration::from_millis(FRONT_NODE_UNHEARD_MS);
    let (mut now, mut sequence) = (start + SILENT, 2);
    let mut beat = |registry: &mut Registry, now: Instant, members: &[&str]| {
        registry.hear(now, &among("b", "h:2", sequence, members)).unwrap();
        sequence += 1;
        registry.tick(now, |_| false)
    };
    assert_eq!(beat(&mut registry, now, &["a", "b", "w"]), MISSED);
    // Cut off from here and working, they write without being heard: that is doubted for as long as it is so.
    let long = now + 2 * unheard;
    while now < long {
        now += doubt;
        assert!(beat(&mut registry, now, &["a", "b", "w"]).missed);
    }
    assert!(is_known(&registry, "a") && is_known(&registry, "w"), "also a worker, whom nobody could ask");
    // For a moment its database tells nothing.
    now += doubt;
    assert!(beat(&mut registry, now, &[]).missed);
    assert!(is_known(&registry, "a") && is_known(&registry, "w"));
    now += doubt;
    assert!(beat(&mut registry, now, &["a", "b"]).missed);
    assert!(is_known(&registry, "a") && !is_known(&registry, "w"), "the worker has ended");
    // The database has not heard of it for a while.
    now += doubt;
    assert_eq!(beat(&mut registry, now, &["b"]), Follows { changed: true, ..NEITHER });
    assert!(!is_known(&registry, "a"));
    now += doubt;
    assert_eq!(beat(&mut registry, now, &["b"]), NEITHER);
    assert_eq!(usable(&registry), ["h:9"]);
}

#[test]
fn a_node_that_died_and_was_started_again_is_doubted_no_more() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    registry.hear(now, &said("a", "h:1", 1)).unwrap();
    assert!(registry.lose("a", "").missed);
    assert!(registry.hear(now, &said("b", "h:1", 1)).unwrap().missed);
    let later = now + SILENT;
    registry.hear(later, &said("b", "h:1", 2)).unwrap();
    assert_eq!(registry.tick(later, |_| true), Follows { changed: true, ..NEITHER });
    assert_eq!(registry.lives().count(), 1, "the one who answers is the new one");
}

#[test]
fn members_are_checked_and_bounded() {
    let (mut registry, now) = (Registry::default(), Instant::now());
    let many = vec!["x"; ANNOUNCE_MEMBERS_MAX + 1];
    assert!(registry.hear(now, &among("a", "h:1", 1, &many)).is_err());
    assert!(registry.hear(now, &among("a", "h:1", 1, &["x\ny"])).is_err());
    registry.hear(now, &among("a", "h:1", 1, &many[1..])).unwrap();
}

#[test]
fn a_node_that_answers_no_checks_may_still_write() {
    let (mut registry, start) = (Registry::default(), Instant::now());
    for (life, address) in [("a", "h:1"), ("b", "h:2")] {
        registry.hear(start, &among(life, address, 1, &["a", "b"])).unwrap();
    }
    // All that lies between it and this front door is cut, and its database has it among its members.
    for n in 0..90 {
        let now = start + SILENT + n * Duration::from_millis(FRONT_DOUBT_MS);
        registry.hear(now, &among("b", "h:2", 2 + u64::from(n), &["a", "b"])).unwrap();
        assert!(registry.tick(now, |_| false).missed, "{n}");
    }
}
