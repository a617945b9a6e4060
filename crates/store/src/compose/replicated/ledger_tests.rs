//! The decisions with made-up clocks and positions: single ones by hand, and whole histories by chance, in which several
//! processes write and read while hosts lag, crash, are cut off and are promoted.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::ledger::{Ledger, Moment, Terms};
use crate::engine::postgres::{Agreed, Quorum, Role, Sight};

const TERMS: Terms = Terms {
    lease: 100,
    margin: 10,
    lag_max: 1_000,
    join: 250,
    join_max: 4_000,
    forgiven: 100_000,
    look: 500,
};

fn agreed(id: usize, is_in: bool, generation: u64) -> Agreed {
    Agreed { id: id.to_string(), is_in, generation, strikes: 0, age_ms: 1_000_000 }
}

fn primary(flushed: u64, timeline: u64, replicas: Vec<Agreed>) -> Sight {
    let quorum = Quorum { confirming: 1, listed: 0 };
    Sight { role: Role::Primary { flushed, timeline, quorum, replicas }, timeline, schema: 1, quorum }
}

fn standby(replayed: u64, received: Option<u64>, timeline: u64) -> Sight {
    let quorum = Quorum { confirming: 1, listed: 0 };
    Sight { role: Role::Standby { replayed, received }, timeline, schema: 1, quorum }
}

fn ledger() -> Ledger {
    Ledger::new(TERMS, (0..3).map(|host| host.to_string()), 1)
}

/// Both replicas have been in for a while, and have everything up to position 50, sampled at 1000.
fn settled() -> Ledger {
    let mut ledger = ledger();
    let rows = || vec![agreed(1, true, 1), agreed(2, true, 1)];
    ledger.heard(0, 800, 801, primary(50, 1, rows()));
    ledger.heard(0, 1_000, 1_001, primary(50, 1, rows()));
    ledger.heard(1, 1_000, 1_001, standby(50, Some(50), 1));
    ledger.heard(2, 1_000, 1_001, standby(50, Some(50), 1));
    ledger
}

#[test]
fn a_replica_is_read_within_its_lease() {
    let mut ledger = settled();
    assert_eq!(ledger.primary(), Some((0, 1)));
    assert_eq!(ledger.readable_until(1), Some(1_100));
    assert_eq!(ledger.everywhere(1_002), 1_000);
    // It lags: the proof stays the old one, and writers wait.
    ledger.heard(0, 1_050, 1_051, primary(60, 1, vec![agreed(1, true, 1), agreed(2, true, 1)]));
    ledger.heard(2, 1_052, 1_053, standby(60, Some(60), 1));
    assert_eq!((ledger.readable_until(1), ledger.readable_until(2)), (Some(1_100), Some(1_150)));
    assert_eq!(ledger.everywhere(1_060), 1_000);
    assert_eq!(ledger.lag(1, 1_080), Some(30));
}

#[test]
fn a_server_that_came_back_proves_itself_anew() {
    let mut ledger = settled();
    ledger.connected(1, 1_020);
    assert_eq!(ledger.readable_until(1), None);
    // What it has replayed now was proven by an older sample, taken while it may have been further.
    ledger.heard(1, 1_021, 1_022, standby(50, None, 1));
    assert_eq!(ledger.readable_until(1), None);
    ledger.heard(0, 1_030, 1_031, primary(50, 1, vec![agreed(1, true, 1), agreed(2, true, 1)]));
    assert_eq!(ledger.readable_until(1), Some(1_130));
}

#[test]
fn who_is_put_out_is_waited_for_as_long_as_others_may_read_it() {
    let mut ledger = settled();
    ledger.heard(0, 1_050, 1_051, primary(60, 1, vec![agreed(1, false, 2), agreed(2, true, 1)]));
    ledger.heard(2, 1_052, 1_053, standby(60, Some(60), 1));
    assert_eq!(ledger.readable_until(1), None);
    assert_eq!(ledger.everywhere(1_053 + 50), 1_000);
    assert_eq!(ledger.everywhere(1_051 + TERMS.outlasting()), 1_050);
}

#[test]
fn who_is_let_in_is_read_once_all_writers_wait_for_it() {
    let mut ledger = settled();
    // Out and in again between two looks: another process may have stopped waiting for it in between.
    ledger.heard(0, 1_050, 1_051, primary(50, 1, vec![agreed(1, true, 3), agreed(2, true, 1)]));
    assert_eq!((ledger.readable_until(1), ledger.readable_until(2)), (None, Some(1_150)));
    let sent = 1_060;
    ledger.heard(0, sent, sent + 1, primary(50, 1, vec![agreed(1, true, 3), agreed(2, true, 1)]));
    assert_eq!(ledger.readable_until(1), Some(sent + TERMS.lease));
}

#[test]
fn the_highest_timeline_is_the_only_one() {
    let mut ledger = settled();
    ledger.silent(0, 1_100);
    assert_eq!(ledger.primary(), None);
    ledger.heard(1, 1_200, 1_201, primary(70, 2, vec![]));
    assert_eq!(ledger.primary(), Some((1, 2)));
    // Neither who writes the old one nor who follows it.
    ledger.heard(0, 1_210, 1_211, primary(90, 1, vec![agreed(2, true, 1)]));
    ledger.heard(2, 1_210, 1_211, standby(90, Some(90), 1));
    assert!(ledger.is_fenced(0));
    assert_eq!((ledger.primary(), ledger.readable_until(2)), (Some((1, 2)), None));
    ledger.silent(1, 1_220);
    assert_eq!(ledger.primary(), None);
    // A standby tells of a timeline whose primary was never seen.
    ledger.heard(2, 1_230, 1_231, standby(95, Some(95), 3));
    ledger.heard(1, 1_230, 1_231, primary(70, 2, vec![]));
    assert_eq!(ledger.primary(), None);
}

#[test]
fn without_a_primary_enough_must_answer() {
    let mut ledger = settled();
    ledger.silent(0, 1_100);
    ledger.heard(1, 1_200, 1_201, standby(60, Some(70), 1));
    // The other may have what this one has not.
    assert_eq!(ledger.elsewhere(1_150), None);
    ledger.heard(2, 1_200, 1_201, standby(65, Some(65), 1));
    // One has received more than any has replayed.
    assert_eq!(ledger.elsewhere(1_150), None);
    ledger.heard(1, 1_210, 1_211, standby(70, Some(70), 1));
    assert_eq!(ledger.elsewhere(1_150), Some(1));
    // What was asked before the read began says nothing of what was confirmed since.
    assert_eq!(ledger.elsewhere(1_205), None);
    // One that has just started does not know what it has.
    ledger.heard(2, 1_220, 1_221, standby(65, None, 1));
    assert_eq!(ledger.elsewhere(1_150), None);
}

#[test]
fn who_does_not_keep_up_is_put_out_and_let_in_later() {
    let mut ledger = settled();
    let rows = |row: Agreed| vec![row, agreed(2, true, 1)];
    let mut now = 1_100;
    while now < 2_500 {
        ledger.heard(0, now, now + 1, primary(now, 1, rows(agreed(1, true, 1))));
        ledger.heard(2, now + 1, now + 2, standby(now, Some(now), 1));
        let decisions = ledger.decisions(now + 2);
        assert_eq!(decisions.is_empty(), now + 2 - 1_001 <= TERMS.lag_max, "{now}: {decisions:?}");
        now += 50;
    }
    let decision = &ledger.decisions(now)[0];
    assert_eq!((&*decision.id, decision.is_in, decision.strikes), ("1", false, 1));
    let out = || Agreed { strikes: 1, ..agreed(1, false, 2) };
    let back = now;
    loop {
        ledger.heard(0, now, now + 1, primary(now, 1, rows(out())));
        ledger.heard(1, now + 1, now + 2, standby(now, Some(now), 1));
        ledger.heard(2, now + 1, now + 2, standby(now, Some(now), 1));
        now += 50;
        if !ledger.decisions(now).is_empty() {
            break;
        }
    }
    // Twice as long as the first time.
    assert!(now - back >= 2 * TERMS.join && ledger.decisions(now)[0].is_in);
}

/// One host of the made-up world. Positions count commits; timelines are told apart by what was committed on them.
#[derive(Clone, Default)]
struct Server {
    alive: bool,
    frozen: bool,
    leads: bool,
    timeline: u64,
    /// The commits that it has, in order, and how many of them it shows.
    log: Vec<u32>,
    replayed: usize,
    life: u64,
}

/// A position says how much of the log there is: each commit is 10 long.
fn position(count: usize) -> u64 {
    count as u64 * 10
}

struct World {
    now: Moment,
    servers: Vec<Server>,
    nodes: Vec<Node>,
    rows: Vec<Agreed>,
    next: u32,
    acknowledged: Vec<u32>,
}

struct Node {
    ledger: Ledger,
    /// The life that each host is connected in.
    lives: Vec<Option<u64>>,
    cut: Vec<bool>,
    /// Commits that the primary has confirmed, and when that was heard.
    waiting: Vec<(u32, Moment)>,
}

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Poll(usize, usize),
    /// One process asks all hosts.
    Round(usize),
    Write(usize),
    /// A read that has to look for a host first.
    Search(usize, usize),
    Stream(usize),
    Replay(usize),
    Crash(usize),
    /// It is back at once, so many commits behind what it showed.
    Restart(usize, usize),
    Freeze(usize),
    Cut(usize, usize),
    /// Somebody puts a replica in or out: what for is nobody's safety.
    Toggle(usize),
    Promote,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1u64..40).prop_map(Event::Pass),
        12 => (0usize..3, 0usize..3).prop_map(|(node, host)| Event::Poll(node, host)),
        24 => (0usize..3).prop_map(Event::Round),
        16 => (0usize..3).prop_map(Event::Write),
        2 => (0usize..3, 0usize..8).prop_map(|(node, asked)| Event::Search(node, asked)),
        10 => (0usize..3).prop_map(Event::Stream),
        14 => (0usize..3).prop_map(Event::Replay),
        1 => (0usize..3).prop_map(Event::Crash),
        4 => (0usize..3, 0usize..4).prop_map(|(host, behind)| Event::Restart(host, behind)),
        1 => (0usize..3).prop_map(Event::Freeze),
        1 => (0usize..3, 0usize..3).prop_map(|(node, host)| Event::Cut(node, host)),
        4 => (0usize..3).prop_map(Event::Toggle),
        1 => Just(Event::Promote),
    ]
}

impl World {
    fn new() -> World {
        let server =
            |host| Server { alive: true, leads: host == 0, timeline: 1, life: 1, ..Server::default() };
        let node =
            |_| Node { ledger: ledger(), lives: vec![None; 3], cut: vec![false; 3], waiting: Vec::new() };
        World {
            now: 1,
            servers: (0..3).map(server).collect(),
            nodes: (0..3).map(node).collect(),
            rows: vec![agreed(1, true, 1), agreed(2, true, 1)],
            next: 0,
            acknowledged: Vec::new(),
        }
    }

    fn leader(&self) -> Option<usize> {
        let leads = |host: &usize| self.servers[*host].leads && self.servers[*host].alive;
        (0..3).filter(leads).max_by_key(|host| self.servers[*host].timeline)
    }

    fn reaches(&self, node: usize, host: usize) -> bool {
        let server = &self.servers[host];
        server.alive && !server.frozen && !self.nodes[node].cut[host]
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Pass(time) => self.now += time,
            Event::Poll(node, host) => self.poll(node, host),
            Event::Round(node) => (0..3).for_each(|host| self.poll(node, host)),
            Event::Write(node) => self.write(node),
            Event::Search(node, asked) => self.search(node, asked),
            Event::Stream(host) => self.stream(host),
            Event::Replay(host) => {
                let server = &mut self.servers[host];
                if server.alive && !server.frozen {
                    server.replayed = (server.replayed + 3).min(server.log.len());
                }
            }
            Event::Crash(host) => match self.servers[host].alive {
                true => self.servers[host].alive = false,
                false => self.restart(host, 0),
            },
            Event::Restart(host, behind) => self.restart(host, behind),
            Event::Freeze(host) => self.servers[host].frozen ^= self.servers[host].alive,
            Event::Cut(node, host) => self.nodes[node].cut[host] ^= true,
            Event::Toggle(host) => self.toggle(host),
            Event::Promote => self.promote(),
        }
        // Whoever can go on does, at once, and whoever can read may.
        (0..3).for_each(|node| self.acknowledge(node));
        (0..3).for_each(|node| self.read(node));
    }

    /// A standby shows less than it did, and has lost nothing.
    fn restart(&mut self, host: usize, behind: usize) {
        let server = &mut self.servers[host];
        server.life += 1;
        (server.alive, server.frozen) = (true, false);
        if !server.leads {
            server.replayed = server.replayed.saturating_sub(behind);
        }
    }

    fn poll(&mut self, node: usize, host: usize) {
        let sent = self.now;
        if !self.reaches(node, host) {
            self.now += 1;
            self.nodes[node].ledger.silent(host, self.now);
            let dead =
                !self.servers[host].alive || self.nodes[node].lives[host] != Some(self.servers[host].life);
            if dead {
                self.nodes[node].lives[host] = None;
            }
            return;
        }
        let server = &self.servers[host];
        if self.nodes[node].lives[host] != Some(server.life) {
            self.nodes[node].lives[host] = Some(server.life);
            self.nodes[node].ledger.connected(host, sent);
        }
        let sight = match server.leads {
            true => primary(position(server.log.len()), server.timeline, self.rows.clone()),
            false => standby(position(server.replayed), Some(position(server.log.len())), server.timeline),
        };
        self.now += 1;
        self.nodes[node].ledger.heard(host, sent, self.now, sight);
    }

    /// Confirmed once another server has it.
    fn write(&mut self, node: usize) {
        let Some((host, timeline)) = self.nodes[node].ledger.primary() else { return };
        let same = self.nodes[node].lives[host] == Some(self.servers[host].life);
        if !self.reaches(node, host) || !self.servers[host].leads || !same {
            return;
        }
        let follower = (0..3).find(|other| {
            *other != host
                && self.servers[*other].alive
                && !self.servers[*other].frozen
                && !self.servers[*other].leads
                && self.servers[*other].timeline == timeline
        });
        self.servers[host].log.push(self.next);
        self.servers[host].replayed = self.servers[host].log.len();
        if let Some(other) = follower {
            self.servers[other].log = self.servers[host].log.clone();
            self.now += 1;
            self.nodes[node].waiting.push((self.next, self.now));
        }
        self.next += 1;
    }

    fn acknowledge(&mut self, node: usize) {
        let (now, node) = (self.now, &mut self.nodes[node]);
        let covered = node.ledger.everywhere(now);
        let acknowledged = &mut self.acknowledged;
        node.waiting.retain(|(commit, done)| {
            if covered >= *done || now >= done + TERMS.outlasting() {
                acknowledged.push(*commit);
                return false;
            }
            true
        });
    }

    fn check(&self, host: usize, node: usize, why: &str) {
        let shown = &self.servers[host].log[..self.servers[host].replayed];
        for commit in &self.acknowledged {
            let there = shown.binary_search(commit).is_ok();
            assert!(there, "{commit} is not on {host}, read by {node} at {} as {why}", self.now);
        }
    }

    /// Whatever may be read must show everything that was acknowledged before.
    fn read(&self, node: usize) {
        for host in 0..3 {
            let readable = self.nodes[node].ledger.readable_until(host).is_some_and(|until| until > self.now);
            let connected = self.nodes[node].lives[host] == Some(self.servers[host].life);
            if readable && connected && self.reaches(node, host) {
                self.check(host, node, "a replica");
            }
        }
    }

    /// As a read does that finds no primary: it goes by what is asked after it began. Not all have answered yet.
    fn search(&mut self, node: usize, answered: usize) {
        self.now += 1;
        let asked = self.now;
        (0..3).filter(|host| answered >> host & 1 == 1).for_each(|host| self.poll(node, host));
        let ledger = &self.nodes[node].ledger;
        if ledger.primary().is_none()
            && let Some(host) = ledger.elsewhere(asked)
        {
            self.check(host, node, "the furthest");
        }
    }

    /// Everything that the leader of its timeline has comes over, and nothing is undone.
    fn stream(&mut self, host: usize) {
        let Some(leader) = self.leader().filter(|leader| *leader != host) else { return };
        let source = self.servers[leader].clone();
        let server = &mut self.servers[host];
        let running = server.alive && !server.frozen && !source.frozen;
        if running && !server.leads && source.log.starts_with(&server.log) {
            server.log = source.log;
            server.timeline = source.timeline;
        }
    }

    fn toggle(&mut self, host: usize) {
        if self.leader().is_none() {
            return;
        }
        match self.rows.iter_mut().find(|row| row.id == host.to_string()) {
            Some(row) => (row.is_in, row.generation) = (!row.is_in, row.generation + 1),
            None => self.rows.push(agreed(host, true, 0)),
        }
    }

    /// The old primary is stopped; the standby that has the most becomes the new one. Two are left, or there is none.
    fn promote(&mut self) {
        let Some(old) = self.leader() else { return };
        let timeline = self.servers[old].timeline;
        let able = |host: &usize| {
            let server = &self.servers[*host];
            *host != old && server.alive && !server.frozen && !server.leads && server.timeline == timeline
        };
        if (0..3).filter(able).count() < 2 {
            return;
        }
        let Some(new) = (0..3).filter(able).max_by_key(|host| self.servers[*host].log.len()) else { return };
        self.servers[old].alive = false;
        self.servers[old].leads = true;
        let server = &mut self.servers[new];
        (server.leads, server.timeline, server.replayed) = (true, timeline + 1, server.log.len());
        // The old one comes back as a standby, which cannot follow if it has what nobody confirmed.
        let log = self.servers[new].log.clone();
        let old = &mut self.servers[old];
        old.leads = false;
        if log.starts_with(&old.log) {
            (old.replayed, old.log, old.timeline) = (log.len(), log, timeline + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_reads_less_than_was_acknowledged(events in proptest::collection::vec(events(), 1..800)) {
        let mut world = World::new();
        for event in events {
            world.step(event);
        }
    }
}

/// The histories do get somewhere: replicas are read, and replicas that lag hold writes up for a lease and not longer.
#[test]
fn histories_reach_reads_of_replicas() {
    let mut world = World::new();
    for _ in 0..200 {
        world.step(Event::Write(0));
        for host in [1, 2] {
            world.step(Event::Stream(host));
            world.step(Event::Replay(host));
        }
        (0..3).for_each(|node| world.step(Event::Round(node)));
    }
    assert!(world.acknowledged.len() > 150);
    let until = world.nodes[1].ledger.readable_until(1);
    assert!(until.is_some_and(|until| until > world.now));
}
