//! When a node may use its caches, and when a writer may be answered. Data in, decisions out: no clock and no network.
//!
//! The promise: *an acknowledged write is seen by every later read, on every node.* Nobody trusts that a message arrives;
//! messages only make it fast. What holds is held by durations on own clocks:
//!
//! - Each node numbers the changes that it publishes, and sends *beacons*: how many changes it has published, and for each
//!   other node the last beacon heard of it and how many of its changes are applied. A beacon of W that says "I heard your
//!   beacon k, and I have published p" is a *proof* for N, once N has applied p changes of W. It ends [`PROOF`] after N
//!   sent beacon k. N uses its caches only while its proofs about every other writer are good.
//! - W waits, after it has published change s, for each node N until N has applied s, or [`PROOF`] and a margin have passed
//!   since W heard N's last beacon before s. A beacon that N sent later is echoed only by beacons of W that say "published
//!   s", which are a proof only to who has applied s. One that N sent earlier was sent before W heard it. So whoever still
//!   uses a cache by then has applied s.
//! - What was missed is known by its number. Then everything cached is forgotten, which is as good as having applied it: it
//!   is committed, so that whatever is read from now on has it.
//! - Who may write is who beats in the members' table. N uses caches only for [`VIEW`] after it began to look there, by a
//!   look that began after its own beat was done, and for [`BEAT`] after its last beat began. W answers nobody before every
//!   member it then saw has shown that it knows W, or [`VIEW`] and a margin have passed since W's beat was done: by then
//!   whoever uses caches has looked and found W. And W answers nobody later than [`BEAT`] after its last beat began, which
//!   is before anybody can find it silent.
//! - A node that is found silent, or leaves without saying up to which number, may have written what nobody was told of:
//!   everything cached is forgotten.
//!
//! A moment is a number of microseconds on the node's own clock. Clocks may differ in what they say and, by less than the
//! margin, in how fast they run; a clock must not stand still while its process does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::Name;
use base::limits::{
    BUS_MARGIN_MS, BUS_PROOF_MS, NODE_BEAT_AGE_MS_MAX, NODE_GONE_MS, NODE_SILENT_MS, NODE_VIEW_MS,
};
use rustc_hash::{FxHashMap, FxHashSet};

pub type Moment = u64;

const MS: Moment = 1_000;
const PROOF: Moment = BUS_PROOF_MS * MS;
const MARGIN: Moment = BUS_MARGIN_MS * MS;
const VIEW: Moment = NODE_VIEW_MS * MS;
const BEAT: Moment = NODE_BEAT_AGE_MS_MAX * MS;
const SILENT: Moment = NODE_SILENT_MS * MS;
const GONE: Moment = NODE_GONE_MS * MS;
/// Caches that were not used for so long begin anew: others may have been shown what these do not hold.
const LAPSE: Moment = NODE_VIEW_MS * MS;
/// Own beacons whose times are remembered; a proof by an older one has ended.
const SENT_MAX: usize = 256;
/// Stands for every table.
pub const ALL: &str = "*";
/// What nobody declares.
const UNKNOWN: &str = "\0";

/// What a node tells all others now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct Beacon {
    pub life: Name,
    pub number: u64,
    /// How many changes it has published.
    pub published: u64,
    pub heard: Vec<Echo>,
    pub said: Arc<Said>,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// What others only compare.
    pub declared: Name,
    /// The tables whose deletes somebody there follows.
    pub follows: Arc<[Name]>,
}

impl Said {
    /// Of a node whose words were missed.
    fn unknown() -> Arc<Said> {
        Arc::new(Said { declared: UNKNOWN.into(), follows: [ALL.into()].into() })
    }
}

/// What is known of another node.
#[derive(Clone, Debug, PartialEq)]
pub struct Echo {
    pub life: Name,
    /// The last beacon heard of it.
    pub beacon: u64,
    /// How many of its changes are applied.
    pub applied: u64,
}

/// What to do with what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one.
    Apply,
    /// It is known already.
    Old,
    /// Something before it was missed: all that is cached must be forgotten before anything else is done.
    Missed,
    /// Nobody missed anything that is told, but what is cached must be forgotten.
    Forget,
}

/// Whether a writer may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Now,
    /// At that moment at the latest, and as soon as all others have applied it.
    At(Moment),
    /// Not before those who use caches must know that this node writes.
    Unknown,
}

#[derive(Debug, Default)]
struct Peer {
    /// Whether anything was heard of it.
    is_heard: bool,
    heard_at: Moment,
    /// Its last beacon.
    beacon: u64,
    /// How many of its changes are applied here.
    applied: u64,
    /// Until when the proof about it holds.
    proof: Moment,
    /// How many of this node's changes it has applied.
    acknowledged: u64,
    /// The newest beacon of this node that it is known to have heard.
    echoed: u64,
    /// Whether the members' table had it at the last look.
    is_member: bool,
    said: Arc<Said>,
}

#[derive(Debug, Default)]
struct Beaten {
    /// When the first beat of those was done of which nobody can have missed one.
    since: Moment,
    /// The last beacon that was sent before.
    beacon: u64,
    /// When the last one began.
    last: Moment,
}

#[derive(Debug)]
pub struct Coherence {
    me: Name,
    said: Arc<Said>,
    published: u64,
    beacon: u64,
    sent: VecDeque<(u64, Moment)>,
    peers: FxHashMap<Name, Peer>,
    /// Those that said goodbye and are still in the members' table.
    departed: FxHashSet<Name>,
    /// For each change that is not settled those it waits for, and until when.
    waiting: BTreeMap<u64, Vec<(Name, Moment)>>,
    beaten: Option<Beaten>,
    /// When the last look at the members' table began.
    looked: Option<Moment>,
    /// Until when caches were known to be usable, the last time this was asked.
    usable: Moment,
}

impl Coherence {
    pub fn new(me: Name) -> Self {
        Coherence {
            me,
            said: Arc::default(),
            published: 0,
            beacon: 0,
            sent: VecDeque::new(),
            peers: FxHashMap::default(),
            departed: FxHashSet::default(),
            waiting: BTreeMap::new(),
            beaten: None,
            looked: None,
            usable: 0,
        }
    }

    pub fn published(&self) -> u64 {
        self.published
    }

    pub fn said(&self) -> &Arc<Said> {
        &self.said
    }

    pub fn say(&mut self, said: Arc<Said>) {
        self.said = said;
    }

    /// The number of the next change, whose message goes out before every later beacon's.
    pub fn publish(&mut self, now: Moment) -> u64 {
        self.published += 1;
        // What nobody asked about any more.
        while let Some(first) = self.waiting.first_entry()
            && first.get().iter().all(|(_, until)| *until <= now)
        {
            first.remove();
        }
        let holds = |peer: &Peer| peer.is_heard && peer.heard_at + PROOF + MARGIN > now;
        let waits = self.peers.iter().filter(|(_, peer)| holds(peer));
        let waits: Vec<_> =
            waits.map(|(life, peer)| (life.clone(), peer.heard_at + PROOF + MARGIN)).collect();
        if !waits.is_empty() {
            self.waiting.insert(self.published, waits);
        }
        self.published
    }

    /// Whether nobody who has not applied the change can go by a proof any more. Nothing is remembered of it then.
    fn settled(&mut self, number: u64, now: Moment) -> Answer {
        let until = self.waiting.get(&number).and_then(|waits| waits.iter().map(|(_, until)| *until).max());
        match until {
            Some(until) if until > now => Answer::At(until),
            _ => {
                self.waiting.remove(&number);
                Answer::Now
            }
        }
    }

    /// Whether the writer of this change may be answered.
    pub fn answer(&mut self, number: u64, now: Moment) -> Answer {
        match self.settled(number, now) {
            Answer::Now => self.standing(now),
            other => other,
        }
    }

    /// Whether all who use caches know this node as a writer.
    fn standing(&self, now: Moment) -> Answer {
        let Some(beaten) = self.beaten.as_ref().filter(|beaten| now < beaten.last + BEAT) else {
            return Answer::Unknown;
        };
        let by_then = beaten.since + VIEW + MARGIN;
        let is_known = |peer: &Peer| !peer.is_member || peer.echoed > beaten.beacon;
        let looked = self.looked.is_some_and(|looked| looked >= beaten.since);
        match now >= by_then || (looked && self.peers.values().all(is_known)) {
            true => Answer::Now,
            false => Answer::Unknown,
        }
    }

    /// The next beacon, to be sent after all changes that are published.
    pub fn beacon(&mut self, now: Moment) -> Beacon {
        self.beacon += 1;
        self.sent.push_back((self.beacon, now));
        if self.sent.len() > SENT_MAX {
            self.sent.pop_front();
        }
        let heard = self.peers.iter().filter(|(_, peer)| peer.is_heard);
        let echo = |(life, peer): (&Name, &Peer)| Echo {
            life: life.clone(),
            beacon: peer.beacon,
            applied: peer.applied,
        };
        Beacon {
            life: self.me.clone(),
            number: self.beacon,
            published: self.published,
            heard: heard.map(echo).collect(),
            said: self.said.clone(),
        }
    }

    /// A message of another node that says how many changes it has published, this one included if it is one.
    fn heard(&mut self, life: &Name, published: u64, is_change: bool, now: Moment) -> Verdict {
        let peer = self.peers.entry(life.clone()).or_default();
        peer.is_heard = true;
        peer.heard_at = now;
        let next = peer.applied + u64::from(is_change);
        if published <= peer.applied {
            return Verdict::Old;
        }
        peer.applied = published;
        if published == next {
            return Verdict::Apply;
        }
        // It may have said so in what was missed.
        peer.said = Said::unknown();
        Verdict::Missed
    }

    /// Another node's change.
    pub fn heard_change(&mut self, life: &Name, number: u64, now: Moment) -> Verdict {
        self.heard(life, number, true, now)
    }

    /// Another node's change, of what it says of itself.
    pub fn heard_said(&mut self, life: &Name, number: u64, said: &Arc<Said>, now: Moment) -> Verdict {
        let verdict = self.heard(life, number, true, now);
        if verdict != Verdict::Old
            && let Some(peer) = self.peers.get_mut(life)
        {
            peer.said = said.clone();
        }
        verdict
    }

    /// Another node's change that cannot be read.
    pub fn heard_unknown(&mut self, life: &Name, published: u64, now: Moment) -> Verdict {
        let verdict = self.heard(life, published, true, now);
        if let Some(peer) = self.peers.get_mut(life) {
            peer.said = Said::unknown();
        }
        if verdict == Verdict::Old { Verdict::Old } else { Verdict::Missed }
    }

    /// Another node's beacon. What is missed by it must be forgotten before [`Coherence::until`] is asked. Returns also the
    /// changes that need not wait any more.
    pub fn heard_beacon(&mut self, beacon: &Beacon, now: Moment) -> (Verdict, Vec<u64>) {
        let verdict = match self.heard(&beacon.life, beacon.published, false, now) {
            Verdict::Old => Verdict::Apply,
            other => other,
        };
        let echo = beacon.heard.iter().find(|echo| echo.life == self.me);
        let Some(peer) = self.peers.get_mut(&beacon.life).filter(|peer| peer.beacon < beacon.number) else {
            return (verdict, Vec::new());
        };
        peer.beacon = beacon.number;
        peer.said = beacon.said.clone();
        let Some(echo) = echo else { return (verdict, Vec::new()) };
        peer.echoed = peer.echoed.max(echo.beacon);
        if let Some(first) = self.sent.front()
            && let Some(index) = echo.beacon.checked_sub(first.0)
            && let Some((_, sent)) = self.sent.get(index as usize)
        {
            peer.proof = peer.proof.max(sent + PROOF);
        }
        let known = peer.acknowledged;
        peer.acknowledged = known.max(echo.applied);
        let mut settled = Vec::new();
        if echo.applied > known {
            for (number, waits) in self.waiting.range_mut(known + 1..=echo.applied) {
                waits.retain(|(life, _)| *life != beacon.life);
                if waits.is_empty() {
                    settled.push(*number);
                }
            }
        }
        for number in &settled {
            self.waiting.remove(number);
        }
        (verdict, settled)
    }

    /// Another node ends and will answer no writer any more.
    pub fn heard_goodbye(&mut self, life: &Name, published: u64, now: Moment) -> Verdict {
        let verdict = self.heard(life, published, false, now);
        self.peers.remove(life);
        self.departed.insert(life.clone());
        if verdict == Verdict::Missed { Verdict::Missed } else { Verdict::Apply }
    }

    /// This node is in the members' table, since `began` at the earliest and `done` at the latest.
    pub fn beaten(&mut self, began: Moment, done: Moment) {
        let is_unbroken = |beaten: &Beaten| done < beaten.last + SILENT - MARGIN;
        match &mut self.beaten {
            Some(beaten) if is_unbroken(beaten) => beaten.last = began.max(beaten.last),
            other => *other = Some(Beaten { since: done, beacon: self.beacon, last: began }),
        }
    }

    /// Who was in the members' table at a moment after `began`.
    pub fn looked(&mut self, began: Moment, members: &[Name], now: Moment) -> Verdict {
        let lapsed = self.looked.is_some_and(|looked| began > looked + VIEW);
        if self.looked.is_some_and(|looked| looked >= began) {
            return Verdict::Old;
        }
        self.looked = Some(began);
        self.peers.values_mut().for_each(|peer| peer.is_member = false);
        self.departed.retain(|life| members.contains(life));
        for life in members.iter().filter(|life| **life != self.me) {
            if !self.departed.contains(life) {
                self.peers.entry(life.clone()).or_default().is_member = true;
            }
        }
        let count = self.peers.len();
        // Who was heard after the look began may have beaten since.
        self.peers.retain(|_, peer| peer.is_member || (peer.is_heard && peer.heard_at + GONE > now));
        match lapsed {
            _ if self.peers.len() < count => Verdict::Missed,
            true => Verdict::Forget,
            false => Verdict::Apply,
        }
    }

    /// Until when caches may be used.
    pub fn until(&self) -> Moment {
        let (Some(beaten), Some(looked)) = (&self.beaten, self.looked) else { return 0 };
        if looked < beaten.since {
            return 0;
        }
        let proofs = self.peers.values().map(|peer| peer.proof).min().unwrap_or(Moment::MAX);
        proofs.min(looked + VIEW).min(beaten.last + BEAT)
    }

    /// Whether caches begin anew because they were not used for long. To be asked with each new [`Coherence::until`].
    pub fn lapses(&mut self, now: Moment) -> bool {
        let until = self.until();
        let lapses = until > now && self.usable > 0 && now > self.usable + LAPSE;
        self.usable = self.usable.max(until);
        lapses
    }

    /// What all nodes declare, if it is the same.
    pub fn agreed(&self) -> Option<Name> {
        let all = self.peers.values().all(|peer| peer.said.declared == self.said.declared);
        all.then(|| self.said.declared.clone())
    }

    /// Whether somebody on another node follows deletes of the table by one of these names.
    pub fn follow(&self, names: &[&str]) -> bool {
        let is_one = |known: &Name| &**known == ALL || names.contains(&&**known);
        self.peers.values().any(|peer| peer.is_heard && peer.said.follows.iter().any(is_one))
    }

    /// How many others were heard.
    pub fn heard_of(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_heard).count()
    }
}

#[cfg(test)]
mod model;
