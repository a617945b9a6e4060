//! Several nodes through random histories: messages that are late, lost or doubled, nodes that freeze, die, leave and join,
//! clocks that differ. Whatever happens, a cache must never show what an acknowledged write has replaced.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// A small generator, so that a history is told by its seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Mostly short, sometimes very long.
    fn delay(&mut self) -> u64 {
        match self.below(40) {
            0 => self.below(400 * MS),
            1..4 => self.below(30 * MS),
            _ => 100 + self.below(2 * MS),
        }
    }
}

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Writers are answered at once.
    NoWait,
    /// Writers wait for those they know, and not until they are known.
    NoStanding,
    /// What was missed is not forgotten.
    NoForgetting,
    /// Caches are used whatever the proofs say.
    NoProofs,
}

#[derive(Clone, Debug)]
enum Told {
    Change(Name, u64),
    Beacon(Beacon),
    Goodbye(Name, u64),
}

#[derive(Clone, Debug)]
enum Event {
    Beacon,
    Hear(Told),
    BeatBegins,
    BeatDone {
        began: Moment,
    },
    LookBegins,
    LookDone {
        began: Moment,
        members: Vec<Name>,
    },
    WriteBegins,
    Committed {
        version: u64,
    },
    Poll {
        number: u64,
        version: u64,
    },
    Read,
    Loaded {
        version: u64,
        since: u64,
        keeps: bool,
    },
    Leave,
    Left,
    /// What the database does goes on without the node that asked for it.
    Stored(Store),
}

#[derive(Clone, Debug)]
enum Store {
    Beat { began: Moment },
    Look { began: Moment },
    Commit,
    Load { since: u64, keeps: bool },
    Remove,
}

struct Node {
    life: Name,
    coherence: Coherence,
    /// Local time runs at so many millionths of the real one.
    rate: u64,
    offset: u64,
    alive: bool,
    leaves: bool,
    frozen_until: u64,
    cut_until: u64,
    /// The cached version and when it was read, by the node's own count of changes.
    cached: Option<(u64, u64)>,
    count: u64,
    stamp: u64,
    until: Moment,
    /// When the last message to each node arrives: those of one node keep their order.
    arrivals: Vec<u64>,
}

struct World {
    chance: Chance,
    fault: Fault,
    now: u64,
    nodes: Vec<Node>,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    pending: FxHashMap<u64, Event>,
    serial: u64,
    /// What the database has.
    version: u64,
    members: Vec<(Name, u64)>,
    acknowledged: u64,
    hits: u64,
    answered: u64,
}

impl World {
    fn new(seed: u64, fault: Fault) -> World {
        let mut world = World {
            chance: Chance(seed),
            fault,
            now: 10_000_000,
            nodes: Vec::new(),
            events: BinaryHeap::new(),
            pending: FxHashMap::default(),
            serial: 0,
            version: 0,
            members: Vec::new(),
            acknowledged: 0,
            hits: 0,
            answered: 0,
        };
        for _ in 0..2 + world.chance.below(3) {
            world.join();
        }
        world
    }

    fn join(&mut self) {
        let life: Name = format!("n{}", self.nodes.len()).into();
        let node = Node {
            coherence: Coherence::new(life.clone()),
            life,
            rate: 996_000 + self.chance.below(8_000),
            offset: self.chance.below(1_000_000_000),
            alive: true,
            leaves: false,
            frozen_until: 0,
            cut_until: 0,
            cached: None,
            count: 0,
            stamp: 0,
            until: 0,
            arrivals: Vec::new(),
        };
        let index = self.nodes.len();
        self.nodes.push(node);
        for event in [Event::Beacon, Event::BeatBegins, Event::LookBegins, Event::WriteBegins, Event::Read] {
            let delay = self.chance.delay();
            self.at(delay, index, event);
        }
    }

    fn at(&mut self, delay: u64, node: usize, event: Event) {
        self.serial += 1;
        self.pending.insert(self.serial, event);
        self.events.push(Reverse((self.now + delay, self.serial, node)));
    }

    fn local(&self, node: usize) -> Moment {
        let node = &self.nodes[node];
        node.offset + (self.now as u128 * node.rate as u128 / 1_000_000) as u64
    }

    /// The first breach, if there is one within so many simulated seconds.
    fn run(&mut self, seconds: u64) -> Result<(), String> {
        let end = self.now + seconds * 1_000_000;
        while let Some(Reverse((at, serial, index))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = at;
            let Some(event) = self.pending.remove(&serial) else { continue };
            self.mishap();
            if let Event::Stored(done) = event {
                self.store(index, done);
                continue;
            }
            let node = &self.nodes[index];
            if !node.alive {
                continue;
            }
            if node.frozen_until > self.now {
                let rest = node.frozen_until - self.now + self.chance.below(3 * MS);
                // Its messages are still heard in their order.
                let rest = if matches!(event, Event::Hear(_)) { node.frozen_until - self.now } else { rest };
                self.at(rest, index, event);
                continue;
            }
            self.handle(index, event)?;
        }
        Ok(())
    }

    fn mishap(&mut self) {
        if !self.chance.one_in(1_500) {
            return;
        }
        let index = self.chance.below(self.nodes.len() as u64) as usize;
        let lasting = match self.chance.below(4) {
            0 => self.chance.below(8_000 * MS),
            1 => self.chance.below(1_500 * MS),
            _ => self.chance.below(250 * MS),
        };
        let living = self.nodes.iter().filter(|node| node.alive).count();
        match self.chance.below(8) {
            0..3 => self.nodes[index].frozen_until = self.now + lasting,
            3..6 => self.nodes[index].cut_until = self.now + lasting,
            6 if living > 1 => match self.chance.one_in(2) {
                true => self.nodes[index].alive = false,
                false => self.at(0, index, Event::Leave),
            },
            _ if living < 5 => self.join(),
            _ => {}
        }
    }

    fn store(&mut self, index: usize, what: Store) {
        let delay = self.chance.delay();
        let life = self.nodes[index].life.clone();
        match what {
            Store::Beat { began } => {
                // A node that has left beats no more.
                if self.nodes[index].leaves {
                    return;
                }
                self.members.retain(|(known, _)| *known != life);
                self.members.push((life, self.now));
                self.at(delay, index, Event::BeatDone { began });
            }
            Store::Look { began } => {
                let seen = self.members.iter().filter(|(_, seen)| seen + SILENT > self.now);
                let members = seen.map(|(life, _)| life.clone()).collect();
                self.at(delay, index, Event::LookDone { began, members });
            }
            Store::Commit => {
                self.version += 1;
                self.at(delay, index, Event::Committed { version: self.version });
            }
            Store::Load { since, keeps } => {
                self.at(delay, index, Event::Loaded { version: self.version, since, keeps });
            }
            Store::Remove => self.members.retain(|(known, _)| *known != life),
        }
    }

    fn send(&mut self, from: usize, told: Told) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let is_cut = self.nodes[from].cut_until.max(self.nodes[to].cut_until) > self.now;
            if is_cut || self.chance.one_in(60) {
                continue;
            }
            let arrival = self.now + self.chance.delay();
            let arrivals = &mut self.nodes[from].arrivals;
            if arrivals.len() <= to {
                arrivals.resize(to + 1, 0);
            }
            let arrival = arrival.max(arrivals[to] + 1);
            arrivals[to] = arrival;
            self.at(arrival - self.now, to, Event::Hear(told.clone()));
            if self.chance.one_in(50) {
                self.at(arrival - self.now + self.chance.0 % (50 * MS), to, Event::Hear(told.clone()));
            }
        }
    }

    fn forget(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.count += 1;
        node.stamp = node.count;
    }

    fn follow(&mut self, index: usize, verdict: Verdict) {
        let forgets = matches!(verdict, Verdict::Missed | Verdict::Forget);
        if forgets && self.fault != Fault::NoForgetting {
            self.forget(index);
        }
        let now = self.local(index);
        if self.nodes[index].coherence.lapses(now) {
            self.forget(index);
        }
        self.nodes[index].until = self.nodes[index].coherence.until();
    }

    fn may_cache(&self, index: usize) -> bool {
        self.fault == Fault::NoProofs || self.local(index) < self.nodes[index].until
    }

    fn handle(&mut self, index: usize, event: Event) -> Result<(), String> {
        let now = self.local(index);
        let delay = self.chance.delay();
        match event {
            Event::Beacon => {
                self.at(25 * MS + delay, index, Event::Beacon);
                let beacon = self.nodes[index].coherence.beacon(now);
                self.send(index, Told::Beacon(beacon));
            }
            Event::Hear(told) => self.hear(index, told, now),
            Event::BeatBegins => {
                self.at(1_000 * MS, index, Event::BeatBegins);
                if !self.chance.one_in(8) {
                    self.at(delay, index, Event::Stored(Store::Beat { began: now }));
                }
            }
            Event::BeatDone { began } => {
                self.nodes[index].coherence.beaten(began, now);
                self.follow(index, Verdict::Apply);
            }
            Event::LookBegins => {
                self.at(250 * MS, index, Event::LookBegins);
                if !self.chance.one_in(8) {
                    self.at(delay, index, Event::Stored(Store::Look { began: now }));
                }
            }
            Event::LookDone { began, members } => {
                let verdict = self.nodes[index].coherence.looked(began, &members, now);
                self.follow(index, verdict);
            }
            Event::WriteBegins => {
                let pause = 20 * MS + self.chance.below(400 * MS);
                self.at(pause, index, Event::WriteBegins);
                if !self.nodes[index].leaves {
                    self.at(delay, index, Event::Stored(Store::Commit));
                }
            }
            Event::Committed { version } => self.announce(index, version, now),
            Event::Poll { number, version } => self.poll(index, number, version, now),
            Event::Read => {
                let pause = 1 + self.chance.below(10 * MS);
                self.at(pause, index, Event::Read);
                let usable = self.may_cache(index);
                let node = &self.nodes[index];
                match node.cached.filter(|(_, since)| usable && node.stamp <= *since) {
                    Some((version, _)) => {
                        self.hits += 1;
                        if version < self.acknowledged {
                            let (life, least) = (&node.life, self.acknowledged);
                            return Err(format!("{life} shows {version} when {least} was acknowledged"));
                        }
                    }
                    None => {
                        let since = node.count;
                        self.at(delay, index, Event::Stored(Store::Load { since, keeps: usable }));
                    }
                }
            }
            Event::Loaded { version, since, keeps } => {
                if keeps {
                    self.nodes[index].cached = Some((version, since));
                }
            }
            Event::Leave => {
                self.nodes[index].leaves = true;
                // What it has begun to write is answered before it says goodbye.
                self.at(1_500 * MS, index, Event::Left);
            }
            Event::Left => {
                let (life, published) =
                    (self.nodes[index].life.clone(), self.nodes[index].coherence.published());
                self.send(index, Told::Goodbye(life, published));
                self.nodes[index].alive = false;
                self.at(delay, index, Event::Stored(Store::Remove));
            }
            Event::Stored(_) => {}
        }
        Ok(())
    }

    fn hear(&mut self, index: usize, told: Told, now: Moment) {
        let coherence = &mut self.nodes[index].coherence;
        let (verdict, is_change) = match &told {
            Told::Change(life, number) => (coherence.heard_change(life, *number, now), true),
            Told::Beacon(beacon) => (coherence.heard_beacon(beacon, now).0, false),
            Told::Goodbye(life, published) => (coherence.heard_goodbye(life, *published, now), false),
        };
        if is_change && verdict == Verdict::Apply {
            self.forget(index);
        }
        self.follow(index, verdict);
        if is_change {
            let beacon = self.nodes[index].coherence.beacon(now);
            self.send(index, Told::Beacon(beacon));
        }
    }

    fn announce(&mut self, index: usize, version: u64, now: Moment) {
        self.forget(index);
        let life = self.nodes[index].life.clone();
        let number = self.nodes[index].coherence.publish(now);
        self.send(index, Told::Change(life, number));
        self.poll(index, number, version, now);
    }

    fn poll(&mut self, index: usize, number: u64, version: u64, now: Moment) {
        let coherence = &mut self.nodes[index].coherence;
        let answer = match self.fault {
            Fault::NoWait => Answer::Now,
            Fault::NoStanding => coherence.settled(number, now),
            _ => coherence.answer(number, now),
        };
        match answer {
            Answer::Now => {
                self.answered += 1;
                self.acknowledged = self.acknowledged.max(version);
            }
            _ => self.at(2 * MS, index, Event::Poll { number, version }),
        }
    }
}

/// How many histories break the promise, and what was done in all of them.
fn histories(fault: Fault, seeds: std::ops::Range<u64>) -> (Vec<String>, u64, u64) {
    let (mut breaches, mut hits, mut answered) = (Vec::new(), 0, 0);
    for seed in seeds {
        let mut world = World::new(seed, fault);
        if let Err(breach) = world.run(30) {
            breaches.push(format!("history {seed}: {breach}"));
            if fault != Fault::None {
                break;
            }
        }
        hits += world.hits;
        answered += world.answered;
    }
    (breaches, hits, answered)
}

#[test]
fn no_history_shows_what_was_replaced() {
    let (breaches, hits, answered) = histories(Fault::None, 0..32);
    assert!(breaches.is_empty(), "{breaches:#?}");
    // Which says something only if caches were used and writers answered.
    assert!(hits > 5_000 && answered > 5_000, "{hits} {answered}");
}

#[test]
fn what_is_done_wrong_is_found() {
    for fault in [Fault::NoWait, Fault::NoStanding, Fault::NoForgetting, Fault::NoProofs] {
        let (breaches, ..) = histories(fault, 0..120);
        assert!(!breaches.is_empty(), "{fault:?}");
    }
}
