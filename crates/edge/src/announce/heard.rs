//! How far this process has heard what others purged.
//!
//! Every life counts its purges. A *position* says that all purges of a life up to that number have reached what is kept here.
//! A purge and its position are taken together, under one lock: whoever reads the purge clock of the cache and then the
//! positions finds every purge that the clock has counted among them.
//!
//! What nobody counts is counted here, as purges of a life of this process's own whose name begins with [`UNTOLD`]: that a
//! process fell silent, that one does not number its purges, that a life was forgotten. Nobody will ever be told of those,
//! so who does not know their number has no reason to wait for it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{
    EDGE_HEARD_KEPT_MAX, EDGE_HEARD_LIFE_BYTES_MAX, EDGE_HEARD_LIVES_MAX, EDGE_HEARD_WAIT_MS,
    FRONT_LIFE_KEPT_MS,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Purge, Purges};

/// Begins the name of a life whose purges are never announced.
const UNTOLD: char = '~';

/// The front door's memory of positions, and the only way by which purges reach what it keeps.
pub struct Heard {
    purges: Arc<dyn Purges>,
    /// This process's own life, new at every start.
    own: String,
    untold: String,
    lives: Mutex<Lives>,
    /// Some position is another one.
    changed: Notify,
}

#[derive(Default)]
struct Lives {
    known: HashMap<String, Known>,
    /// All positions in one text, until one of them changes. None when there are too many.
    told: Option<Option<Arc<str>>>,
}

#[derive(Clone, Copy)]
struct Known {
    position: u64,
    /// When it was heard of last.
    heard: Instant,
}

/// A purge's life and number, for those to whom it is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub life: String,
    pub position: u64,
}

/// How somebody else's positions compare with those here, in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// All of it had been heard.
    Up,
    /// It was heard a moment later.
    Waited,
    /// It was not heard in time: everything that is kept is doubted.
    Behind,
}

impl Heard {
    pub fn new(purges: Arc<dyn Purges>) -> Self {
        let own = base::id::record();
        let untold = format!("{UNTOLD}{own}");
        Heard { purges, own, untold, lives: Mutex::default(), changed: Notify::new() }
    }

    /// The life of this process.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// What a life purged. `gap` if earlier purges of it were not heard: then nothing that is kept is trusted before it is
    /// confirmed, and so the position holds all the same.
    pub fn hear(&self, life: &str, position: Option<u64>, purge: &Purge, gap: bool) {
        let mut lives = self.lives.lock();
        if !purge.is_empty() {
            self.purges.purge(purge);
        }
        if gap {
            self.purges.purge(&Purge::anything());
        }
        match position.filter(|_| is_life(life)) {
            Some(position) => self.reach(&mut lives, life, position),
            None if gap || !purge.is_empty() => self.count(&mut lives, &self.untold),
            None => {}
        }
        drop(lives);
        self.changed.notify_waiters();
    }

    /// A purge that another front door passes on, with its number there. Nobody repeats one that was lost, so one that is
    /// missing between shows only now.
    pub fn passed(&self, mark: Option<&Mark>, purge: &Purge) {
        let Some(Mark { life, position }) = mark else { return self.hear("", None, purge, false) };
        let known = self.lives.lock().known.get(life).map_or(0, |known| known.position);
        self.hear(life, Some(*position), purge, *position > known.saturating_add(1));
    }

    /// Something was purged, and nobody will ever say what.
    pub fn doubt(&self) {
        let mut lives = self.lives.lock();
        self.purges.purge(&Purge::anything());
        self.count(&mut lives, &self.untold);
    }

    /// Purges for somebody who asked this front door to.
    pub fn purge(&self, purge: &Purge) -> Mark {
        let mut lives = self.lives.lock();
        self.purges.purge(purge);
        self.count(&mut lives, &self.own);
        let position = lives.known.get(&self.own).map_or(0, |known| known.position);
        Mark { life: self.own.clone(), position }
    }

    /// All positions, as a question tells them; None when there are too many. To be asked for after the purge clock was read.
    pub fn told(&self) -> Option<Arc<str>> {
        let mut lives = self.lives.lock();
        if let Some(told) = &lives.told {
            return told.clone();
        }
        self.shorten(&mut lives);
        let told = (lives.known.len() <= EDGE_HEARD_LIVES_MAX).then(|| {
            let mut text = String::with_capacity(lives.known.len() * 24);
            for (life, known) in &lives.known {
                let comma = if text.is_empty() { "" } else { "," };
                let _ = write!(text, "{comma}{life}={}", known.position);
            }
            Arc::from(text)
        });
        lives.told = Some(told.clone());
        told
    }

    /// For whoever looks after it.
    pub fn positions(&self) -> HashMap<String, u64> {
        self.lives.lock().known.iter().map(|(life, known)| (life.clone(), known.position)).collect()
    }

    /// Until everything that an asker has heard was heard here. What does not come in time is taken for lost: what is kept is
    /// doubted, and then the asker's positions hold here too.
    pub async fn catch_up(&self, asker: &Positions) -> Caught {
        let until = tokio::time::Instant::now() + Duration::from_millis(EDGE_HEARD_WAIT_MS);
        let mut caught = Caught::Up;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is overlooked.
            changed.as_mut().enable();
            match self.behind(asker) {
                Behind::Not => return caught,
                Behind::ForEver => break,
                Behind::ForNow => caught = Caught::Waited,
            }
            if tokio::time::timeout_at(until, changed).await.is_err() {
                break;
            }
        }
        let mut lives = self.lives.lock();
        // Somebody else may have seen to it meanwhile.
        if lives.behind(asker) == Behind::Not {
            return Caught::Waited;
        }
        self.purges.purge(&Purge::anything());
        for (life, position) in &asker.0 {
            self.reach(&mut lives, life, *position);
        }
        drop(lives);
        self.changed.notify_waiters();
        Caught::Behind
    }

    fn behind(&self, asker: &Positions) -> Behind {
        self.lives.lock().behind(asker)
    }

    fn count(&self, lives: &mut Lives, life: &str) {
        let next = lives.known.get(life).map_or(1, |known| known.position + 1);
        self.reach(lives, life, next);
    }

    fn reach(&self, lives: &mut Lives, life: &str, position: u64) {
        let heard = Instant::now();
        match lives.known.get_mut(life) {
            Some(known) => {
                known.heard = heard;
                if known.position >= position {
                    return;
                }
                known.position = position;
            }
            // Who has purged nothing is of no interest.
            None if position == 0 => return,
            None => {
                if lives.known.len() >= EDGE_HEARD_KEPT_MAX {
                    self.forget(lives, EDGE_HEARD_KEPT_MAX / 2, Duration::ZERO);
                }
                lives.known.insert(life.to_owned(), Known { position, heard });
            }
        }
        lives.told = None;
    }

    /// So few that a question can tell them, if those that are over make room enough.
    fn shorten(&self, lives: &mut Lives) {
        if lives.known.len() > EDGE_HEARD_LIVES_MAX {
            self.forget(lives, EDGE_HEARD_LIVES_MAX / 2, Duration::from_millis(FRONT_LIFE_KEPT_MS));
        }
    }

    /// Leaves that many, if so many others have been silent for that long. Whoever is asked cannot be told any more how far
    /// they had come, and so must doubt all it has.
    fn forget(&self, lives: &mut Lives, left: usize, silent: Duration) {
        let now = Instant::now();
        let is_over = |life: &str, known: &Known| {
            life != self.own && life != self.untold && now.saturating_duration_since(known.heard) >= silent
        };
        let over = lives.known.iter().filter(|(life, known)| is_over(life, known));
        let mut over: Vec<(Instant, String)> =
            over.map(|(life, known)| (known.heard, life.clone())).collect();
        over.sort_unstable();
        over.truncate(lives.known.len().saturating_sub(left));
        if over.is_empty() {
            return;
        }
        for (_, life) in &over {
            lives.known.remove(life);
        }
        self.count(lives, &self.untold);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Not,
    /// What is missing may be on its way.
    ForNow,
    /// What is missing is told to nobody.
    ForEver,
}

impl Lives {
    fn behind(&self, asker: &Positions) -> Behind {
        let mut behind = Behind::Not;
        for (life, position) in &asker.0 {
            if self.known.get(life).is_some_and(|known| known.position >= *position) {
                continue;
            }
            if life.starts_with(UNTOLD) {
                return Behind::ForEver;
            }
            behind = Behind::ForNow;
        }
        behind
    }
}

/// What an asker has heard, as its question tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(Vec<(String, u64)>);

impl Positions {
    /// `LIFE=N,LIFE=N`. None for anything else, and for too many.
    pub fn read(text: &str) -> Option<Positions> {
        if text.is_empty() {
            return Some(Positions::default());
        }
        if text.len() > EDGE_HEARD_LIVES_MAX * (EDGE_HEARD_LIFE_BYTES_MAX + 22) {
            return None;
        }
        let mut lives = Vec::new();
        for one in text.split(',') {
            let (life, position) = one.split_once('=')?;
            let is_number = !position.is_empty() && position.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number || !is_life(life.strip_prefix(UNTOLD).unwrap_or(life)) {
                return None;
            }
            if lives.len() == EDGE_HEARD_LIVES_MAX {
                return None;
            }
            lives.push((life.to_owned(), position.parse().ok()?));
        }
        Some(Positions(lives))
    }
}

/// Whether a life's name can be told in a question.
fn is_life(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=EDGE_HEARD_LIFE_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests;
