//! Who is behind the front door, by what is heard: a state machine without clocks, connections or tasks of its own.
//!
//! Nodes' clocks are never compared: times are when this process heard something.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use base::limits::{
    ANNOUNCE_MEMBERS_MAX, FRONT_ANNOUNCED_BYTES_MAX, FRONT_DOUBT_MS, FRONT_INHERITED_MS, FRONT_LIFE_KEPT_MS,
    FRONT_LIVES_MAX, FRONT_NODE_SILENT_MS, FRONT_NODE_UNHEARD_MS,
};

use super::roster::{self, Word};
use crate::announce::Announcement;

/// What is known of the nodes.
#[derive(Default)]
pub struct Registry {
    /// By life and way: each way has numbers of its own.
    lives: HashMap<(String, String), Life>,
    /// Of the configuration.
    fixed: Vec<String>,
    /// Those that announce themselves are heard and not asked: others stand between them and this front door.
    only_hears: bool,
    /// Found by names.
    found: BTreeSet<String>,
    /// Whom the process before this one asked, until they announce themselves here or until then.
    inherited: BTreeSet<String>,
    inherited_until: Option<Instant>,
    /// What an operator has taken out, by name or address.
    drained: BTreeSet<String>,
    /// When what is kept was doubted last because somebody works who cannot be heard.
    doubted: Option<Instant>,
}

/// One process, as far as it can be heard on one way.
#[derive(Clone, Debug)]
pub struct Life {
    pub name: String,
    pub address: String,
    pub zone: String,
    pub region: String,
    pub state: State,
    pub sequence: u64,
    pub heard: Instant,
    /// When it was known last to be there: it was heard, or another one said so.
    known: Instant,
    /// Who works on its database, as it said when it last knew.
    members: Vec<String>,
    /// Whether its last message said so, too.
    knows_members: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Here,
    /// The connection on which it spoke has ended, and it has not said goodbye.
    Lost,
    /// Not heard of for a while, though it has not said goodbye.
    Silent,
    Leaving,
    /// Has said goodbye.
    Gone,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Here => "here",
            State::Lost => "lost",
            State::Silent => "silent",
            State::Leaving => "leaving",
            State::Gone => "gone",
        }
    }
}

/// What follows from a message, or from time that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follows {
    /// Something that nodes wrote may not have been heard: what is kept must be confirmed before it is used.
    pub missed: bool,
    /// The same, and the message tells how much it was: all purges of its life up to the position in it.
    pub gap: bool,
    /// The list of nodes may be another one.
    pub changed: bool,
}

/// A node that requests may go to, or that still has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub address: String,
    pub zone: String,
    pub region: String,
    /// The process that answers there, where it announces itself: another one is another node.
    pub life: String,
    /// Gets nothing new.
    pub leaving: bool,
    /// By an operator.
    pub drained: bool,
}

impl Registry {
    pub fn new(fixed: Vec<String>) -> Self {
        Registry { fixed, ..Registry::default() }
    }

    /// Nodes of the process before this one, which may not have announced themselves here yet.
    pub fn inherit(&mut self, now: Instant, addresses: &[String]) {
        self.inherited = addresses.iter().cloned().collect();
        self.inherited_until = Some(now + Duration::from_millis(FRONT_INHERITED_MS));
    }

    /// From now on nobody is asked for having announced itself.
    pub fn only_hear(&mut self) {
        self.only_hears = true;
    }

    /// A message of a process.
    pub fn hear(&mut self, now: Instant, said: &Announcement) -> Result<Follows, &'static str> {
        check(said)?;
        let key = (said.life.clone(), said.way.clone());
        if !self.lives.contains_key(&key) {
            // A process that is heard on another way from now on.
            let is_over = |life: &Life| matches!(life.state, State::Lost | State::Silent);
            self.lives.retain(|(life, _), other| *life != said.life || !is_over(other));
            self.make_room(now)?;
        }
        let known = self.lives.get(&key);
        let before = known.map(|life| (life.state, life.address.clone()));
        let gap = match known {
            Some(life) => said.sequence > life.sequence.saturating_add(1),
            // It began without this front door.
            None => said.sequence > 1,
        };
        let missed = before.is_none() && !said.address.is_empty() && self.supersede(said);
        let state = match (said.goodbye, said.leaving) {
            (true, _) => State::Gone,
            (_, true) => State::Leaving,
            _ => State::Here,
        };
        self.inherited.remove(&said.address);
        let sequence = said.sequence.max(known_sequence(&self.lives, &key));
        let knows_members = !said.members.is_empty();
        let members = match self.lives.remove(&key) {
            Some(life) if !knows_members => life.members,
            _ => said.members.clone(),
        };
        let life = Life {
            name: said.name.clone(),
            address: said.address.clone(),
            zone: said.zone.clone(),
            region: said.region.clone(),
            state,
            sequence,
            heard: now,
            known: now,
            members,
            knows_members,
        };
        self.lives.insert(key, life);
        let changed = before.is_none_or(|before| before != (state, said.address.clone()));
        Ok(Follows { missed, gap, changed })
    }

    /// The connection on which a process spoke has ended. It may have died with something unsaid, so that is taken for
    /// missed at once; if it lives it speaks on another connection, and the numbers tell that nothing was.
    pub fn lose(&mut self, life: &str, way: &str) -> Follows {
        let Some(known) = self.lives.get_mut(&(life.to_owned(), way.to_owned())) else {
            return Follows::default();
        };
        match known.state {
            State::Here => {
                known.state = State::Lost;
                Follows { missed: true, changed: true, ..Follows::default() }
            }
            State::Leaving => Follows { missed: true, ..Follows::default() },
            State::Lost | State::Silent | State::Gone => Follows::default(),
        }
    }

    /// A process that was here has not left, and another one answers at its address: it has ended without a word. Should
    /// both be there after all, it is heard again.
    fn supersede(&mut self, said: &Announcement) -> bool {
        let mut superseded = false;
        for ((life, _), other) in &mut self.lives {
            let was_here = matches!(other.state, State::Here | State::Lost);
            if *life != said.life && other.address == said.address && was_here {
                other.state = State::Silent;
                superseded = true;
            }
        }
        superseded
    }

    fn make_room(&mut self, now: Instant) -> Result<(), &'static str> {
        if self.lives.len() < FRONT_LIVES_MAX {
            return Ok(());
        }
        let over = self.lives.iter().filter(|(_, life)| matches!(life.state, State::Silent | State::Gone));
        let oldest = over.max_by_key(|(_, life)| now.saturating_duration_since(life.heard));
        let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
            return Err("too many processes announce themselves");
        };
        self.lives.remove(&oldest);
        Ok(())
    }

    /// Time has passed. `is_well` says whether the node at an address answers its health checks.
    pub fn tick(&mut self, now: Instant, is_well: impl Fn(&str) -> bool) -> Follows {
        let mut follows = Follows::default();
        let mut doubtful = false;
        let silent = Duration::from_millis(FRONT_NODE_SILENT_MS);
        let kept = Duration::from_millis(FRONT_LIFE_KEPT_MS);
        let unheard = Duration::from_millis(FRONT_NODE_UNHEARD_MS);
        let speaks = |life: &Life| !life.address.is_empty() && life.state == State::Here;
        let heard = |life: &&Life| speaks(life) && now.saturating_duration_since(life.heard) < silent;
        let spoken: BTreeSet<String> =
            self.lives.values().filter(heard).map(|life| life.address.clone()).collect();
        let words = self.words(now);
        let word = |life: &str| words.get(life).copied().unwrap_or_default();
        let only_hears = self.only_hears;
        // Those on its database know best. Where they say nothing, another process in its place tells that it has ended;
        // else a node that is asked shows it, and of others nobody knows.
        let works = |id: &str, life: &Life| match word(id) {
            Word::Works => true,
            Word::Ended => false,
            Word::Unknown if life.address.is_empty() => true,
            Word::Unknown => !spoken.contains(&life.address) && (only_hears || is_well(&life.address)),
        };
        for ((id, _), life) in &mut self.lives {
            let since = now.saturating_duration_since(life.heard);
            if since < silent {
                continue;
            }
            match life.state {
                // What it had sent to its database when it was lost has happened by now, or is doubted below.
                State::Here | State::Lost => {
                    life.state = State::Silent;
                    (follows.missed, follows.changed) = (true, true);
                }
                // It works, so it may write, and nothing is heard of that: nothing that is kept can be trusted for long.
                State::Silent => {
                    if word(id) == Word::Works {
                        life.known = now;
                    }
                    doubtful |= works(id, life);
                }
                // It may have written until it ended.
                State::Leaving => {
                    life.state = State::Gone;
                    follows.missed = true;
                }
                _ => {}
            }
        }
        let since = self.doubted.map(|at| now.saturating_duration_since(at));
        if doubtful && since.is_none_or(|since| since >= Duration::from_millis(FRONT_DOUBT_MS)) {
            self.doubted = Some(now);
            follows.missed = true;
        }
        let anyone = self.lives.values().any(speaks);
        let count = self.lives.len();
        self.lives.retain(|(id, _), life| {
            let since = |at: Instant| now.saturating_duration_since(at);
            match life.state {
                State::Gone => since(life.heard) < kept,
                // When nobody is heard, it is the way to here that is cut: those who were there last stay.
                State::Silent if !anyone && !life.address.is_empty() => true,
                State::Silent => works(id, life) && since(life.known) < unheard,
                _ => true,
            }
        });
        follows.changed |= self.lives.len() != count;
        if self.inherited_until.is_some_and(|until| now >= until) {
            self.inherited_until = None;
            follows.changed |= !self.inherited.is_empty();
            self.inherited.clear();
        }
        follows
    }

    /// What those who are heard say of those who are not.
    fn words(&self, now: Instant) -> HashMap<String, Word> {
        let silent = Duration::from_millis(FRONT_NODE_SILENT_MS);
        let is_silent = |life: &Life| now.saturating_duration_since(life.heard) >= silent;
        let is_heard = |life: &Life| life.state == State::Here && life.knows_members && !is_silent(life);
        let of = |(id, life): (&str, &Life)| {
            let heard = self.lives().filter(|(_, other)| is_heard(other));
            let says = heard.map(|(speaker, other)| (speaker, other.members.as_slice()));
            (id.to_owned(), roster::word(id, &life.members, says))
        };
        self.lives().filter(|(_, life)| is_silent(life)).map(of).collect()
    }

    /// What names lead to by now.
    pub fn found(&mut self, addresses: BTreeSet<String>) -> Follows {
        let changed = self.found != addresses;
        self.found = addresses;
        Follows { changed, ..Follows::default() }
    }

    /// Takes a node out, or lets it in again, by its name or address. Whether there is such a one.
    pub fn drain(&mut self, node: &str, out: bool) -> bool {
        if !out {
            let addresses: Vec<_> = self.members().into_iter().filter(|member| member.is(node)).collect();
            let mut was = self.drained.remove(node);
            for member in addresses {
                was |= self.drained.remove(&member.address) | self.drained.remove(&member.name);
            }
            return was || self.members().iter().any(|member| member.is(node));
        }
        let known: Vec<_> = self.members().into_iter().filter(|member| member.is(node)).collect();
        self.drained.extend(known.iter().map(|member| member.address.clone()));
        !known.is_empty()
    }

    /// All nodes, by address. A process that is there counts more than one that is about to go at the same address.
    pub fn members(&self) -> Vec<Member> {
        let mut members = BTreeMap::new();
        for address in self.fixed.iter().chain(&self.found).chain(&self.inherited) {
            members.insert(address.as_str(), (0, Member::of(address)));
        }
        let asked = |life: &Life| !self.only_hears && !life.address.is_empty();
        for ((id, _), life) in self.lives.iter().filter(|(_, life)| asked(life)) {
            let rank = match life.state {
                State::Here => 4,
                State::Leaving => 3,
                State::Gone => 2,
                State::Lost | State::Silent => 1,
            };
            let (leaving, drained) = (matches!(life.state, State::Leaving | State::Gone), false);
            let Life { name, address, zone, region, .. } = life.clone();
            let member = Member { name, address, zone, region, life: id.clone(), leaving, drained };
            match members.get(life.address.as_str()) {
                Some((other, before)) if (*other, &before.life) >= (rank, id) => {}
                _ => {
                    members.insert(&life.address, (rank, member));
                }
            }
        }
        let all = members.into_values().map(|(_, member)| member);
        all.map(|member| Member { drained: self.drained.contains(&member.address), ..member }).collect()
    }

    pub fn lives(&self) -> impl Iterator<Item = (&str, &Life)> {
        self.lives.iter().map(|((life, _), known)| (life.as_str(), known))
    }
}

impl Member {
    fn of(address: &str) -> Member {
        let (name, address) = (address.to_owned(), address.to_owned());
        let nothing = String::new;
        Member {
            name,
            address,
            zone: nothing(),
            region: nothing(),
            life: nothing(),
            leaving: false,
            drained: false,
        }
    }

    fn is(&self, node: &str) -> bool {
        self.name == node || self.address == node
    }
}

fn known_sequence(lives: &HashMap<(String, String), Life>, key: &(String, String)) -> u64 {
    lives.get(key).map_or(0, |life| life.sequence)
}

/// It names an address that connections will be made to, and what people will read.
fn check(said: &Announcement) -> Result<(), &'static str> {
    let is_word = |text: &str| text.len() <= FRONT_ANNOUNCED_BYTES_MAX && !text.chars().any(char::is_control);
    if said.life.is_empty() || said.sequence == 0 {
        return Err("an announcement has a life and a sequence");
    }
    if ![&said.life, &said.way, &said.name, &said.zone, &said.region].into_iter().all(|text| is_word(text)) {
        return Err("a text of the announcement is too long, or not printable");
    }
    if said.members.len() > ANNOUNCE_MEMBERS_MAX || !said.members.iter().all(|member| is_word(member)) {
        return Err("there are too many members, or their names are no ids");
    }
    let is_place = |address: &str| {
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]%".contains(letter);
        !host.is_empty() && host.chars().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    let is_told = !said.address.is_empty();
    if is_told && !(is_word(&said.address) && is_place(&said.address)) {
        return Err("address is HOST:PORT");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
