//! What was declared out of date, and when.
//!
//! Nothing is looked for when something is purged. Every purge gets the next number, and each tag and address remembers the
//! number of its last purge. A fetch notes the current number before it asks the origin, and what it brings is kept with
//! that number: it stands as long as nothing about it was purged later. So a purge costs the same however much it concerns,
//! it reaches what lies on disk, and one that races with a fetch wins.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::limits::{EDGE_PURGE_PREFIXES_MAX, EDGE_PURGE_SLOTS};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHasher;

use super::object::{Object, Tag};
use crate::announce::Purge;

/// A reading of the purge clock, which counts purges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub(super) u64);

impl Moment {
    /// Before every purge of this process.
    pub(super) const FIRST: Moment = Moment(1);
}

/// What purges leave of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No purge concerns it: its own age decides.
    #[default]
    Good,
    /// Not to be used before the origin was asked, unless the origin cannot answer.
    Soft,
    /// Not to be used before the origin was asked, whatever happens.
    Hard,
}

/// The numbers of one strength.
#[derive(Default)]
struct Stamps {
    slots: Box<[AtomicU64]>,
    /// The last purge of everything.
    all: AtomicU64,
    /// The last purge by prefix.
    by_prefix: AtomicU64,
    prefixes: RwLock<Vec<Prefix>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix {
    /// Empty for all hosts.
    host: String,
    path: String,
    number: u64,
}

pub struct Purges {
    last: AtomicU64,
    soft: Stamps,
    hard: Stamps,
    any_hard: AtomicBool,
    /// Held while a purge is noted, so that its number is seen only once all of it is.
    noting: Mutex<()>,
}

impl Default for Purges {
    fn default() -> Self {
        Purges {
            last: AtomicU64::new(Moment::FIRST.0),
            soft: Stamps::empty(),
            hard: Stamps::empty(),
            any_hard: AtomicBool::new(false),
            noting: Mutex::default(),
        }
    }
}

impl Purges {
    /// To be noted before the origin is asked.
    pub fn moment(&self) -> Moment {
        Moment(self.last.load(Ordering::Acquire))
    }

    pub fn apply(&self, purge: &Purge) {
        let _noting = self.noting.lock();
        let number = self.last.load(Ordering::Acquire) + 1;
        self.any_hard.fetch_or(!purge.soft, Ordering::AcqRel);
        let stamps = if purge.soft { &self.soft } else { &self.hard };
        stamps.apply(purge, number);
        self.last.store(number, Ordering::Release);
    }

    /// What is left of an answer. It remembers the outcome until the next purge.
    pub fn standing(&self, object: &Object) -> Standing {
        let last = self.last.load(Ordering::Acquire);
        let known = object.mark.known.load(Ordering::Relaxed);
        if known >> 2 == last {
            return match known & 3 {
                0 => Standing::Good,
                1 => Standing::Soft,
                _ => Standing::Hard,
            };
        }
        let standing = self.judge(object);
        object.mark.known.store(last << 2 | standing as u64, Ordering::Relaxed);
        standing
    }

    fn judge(&self, object: &Object) -> Standing {
        let since = object.mark.moment.0;
        if self.hard.concern(object, since) {
            Standing::Hard
        } else if self.soft.concern(object, since) {
            object.mark.at_best.max(Standing::Soft)
        } else {
            object.mark.at_best
        }
    }

    /// Whether anything was ever purged that must not be used even if the origin is away.
    pub(super) fn any_hard(&self) -> bool {
        self.any_hard.load(Ordering::Acquire)
    }
}

impl Stamps {
    fn empty() -> Self {
        let slots = (0..EDGE_PURGE_SLOTS).map(|_| AtomicU64::new(0)).collect();
        Stamps { slots, ..Stamps::default() }
    }

    fn apply(&self, purge: &Purge, number: u64) {
        let stamp = |slot: usize| self.slots[slot].fetch_max(number, Ordering::AcqRel);
        for tag in &purge.tags {
            stamp(tag_slot(tag));
        }
        for url in &purge.urls {
            let (host, target) = split(url);
            stamp(address_slot(&host, target));
        }
        if !purge.prefixes.is_empty() {
            let mut prefixes = self.prefixes.write();
            for prefix in &purge.prefixes {
                let (host, path) = split(prefix);
                prefixes.retain(|known| known.host != host || !known.path.starts_with(path));
                prefixes.push(Prefix { host, path: path.to_owned(), number });
            }
            // The oldest come first. What they concern is forgotten with all else that is as old.
            let too_many = prefixes.len().saturating_sub(EDGE_PURGE_PREFIXES_MAX);
            for forgotten in prefixes.drain(..too_many) {
                self.all.fetch_max(forgotten.number, Ordering::AcqRel);
            }
            self.by_prefix.fetch_max(number, Ordering::AcqRel);
        }
        if purge.all {
            self.all.fetch_max(number, Ordering::AcqRel);
        }
    }

    /// Whether something about it was purged after that moment.
    fn concern(&self, object: &Object, since: u64) -> bool {
        let later = |slot: usize| self.slots[slot].load(Ordering::Acquire) > since;
        self.all.load(Ordering::Acquire) > since
            || object.tags.iter().any(|tag: &Tag| later(tag_slot(tag)))
            || later(address_slot("", &object.target))
            || later(address_slot(&object.host, &object.target))
            || self.by_prefix.load(Ordering::Acquire) > since
                && self.prefixes.read().iter().any(|prefix| prefix.number > since && prefix.concerns(object))
            // Prefixes are folded into it while they are looked through.
            || self.all.load(Ordering::Acquire) > since
    }
}

impl Prefix {
    fn concerns(&self, object: &Object) -> bool {
        object.target.starts_with(&self.path)
            && (self.host.is_empty() || self.host.eq_ignore_ascii_case(&object.host))
    }
}

/// Host in small letters, and what follows it. A path alone has no host.
fn split(url: &str) -> (String, &str) {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return (String::new(), url);
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    (host.to_ascii_lowercase(), if target.is_empty() { "/" } else { target })
}

fn tag_slot(tag: &str) -> usize {
    slot(&(0_u8, tag))
}

fn address_slot(host: &str, target: &str) -> usize {
    slot(&(1_u8, host, target))
}

fn slot(named: &impl Hash) -> usize {
    let mut hasher = FxHasher::default();
    named.hash(&mut hasher);
    // The high bits of this hash are the well mixed ones.
    (hasher.finish() >> 40) as usize & (EDGE_PURGE_SLOTS - 1)
}

#[cfg(test)]
mod tests;
