//! What one front door has still to be told. Never waits and never grows beyond its bounds: what is too much becomes
//! "anything may have changed".

use std::collections::HashSet;

use base::limits::{ANNOUNCE_BYTES_MAX, ANNOUNCE_NAMES_MAX};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Purge;

/// How far a process is, as front doors are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Here,
    Leaving,
    Goodbye,
}

#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
    confirmed: watch::Sender<Stage>,
}

#[derive(Default)]
struct Waiting {
    tags: HashSet<String>,
    urls: HashSet<String>,
    prefixes: HashSet<String>,
    bytes: usize,
    /// Whether all that is named may be kept until it is confirmed.
    soft: bool,
    /// Everything, and whether it may be kept until it is confirmed.
    all: Option<bool>,
    /// The number of the last purge that was added.
    position: u64,
}

/// What goes into one message.
pub struct Taken {
    pub purge: Purge,
    /// The number of the last purge of all, if nothing is left for the next message.
    pub position: Option<u64>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.all.is_none() && self.is_without_names()
    }

    fn is_without_names(&self) -> bool {
        self.tags.is_empty() && self.urls.is_empty() && self.prefixes.is_empty()
    }

    fn add(&mut self, purge: &Purge) {
        if purge.all {
            self.all = Some(self.all.unwrap_or(true) && purge.soft);
        }
        if self.is_without_names() {
            self.soft = true;
        }
        let mut named = false;
        for (names, more) in [
            (&mut self.tags, &purge.tags),
            (&mut self.urls, &purge.urls),
            (&mut self.prefixes, &purge.prefixes),
        ] {
            for name in more {
                named = true;
                if !names.contains(name) {
                    self.bytes += name.len();
                    names.insert(name.clone());
                }
            }
        }
        self.soft &= purge.soft || !named;
        let count = self.tags.len() + self.urls.len() + self.prefixes.len();
        if count > ANNOUNCE_NAMES_MAX || self.bytes > ANNOUNCE_BYTES_MAX {
            // As strict as the strictest of what it stands for.
            let all = Some(self.all.unwrap_or(true) && self.soft);
            *self = Waiting { all, position: self.position, ..Waiting::default() };
        }
    }

    /// Everything first; what is named besides comes with the next.
    fn take(&mut self) -> Purge {
        if let Some(soft) = self.all.take() {
            return Purge { all: true, soft, ..Purge::default() };
        }
        let position = self.position;
        let Waiting { tags, urls, prefixes, soft, .. } =
            std::mem::replace(self, Waiting { position, ..Waiting::default() });
        let list = |names: HashSet<String>| names.into_iter().collect();
        let mut purge =
            Purge { tags: list(tags), urls: list(urls), prefixes: list(prefixes), all: false, soft };
        purge.soft &= !purge.is_empty();
        purge
    }
}

impl Outbox {
    /// The purge of that number, which comes after all that were added before.
    pub fn add(&self, purge: &Purge, position: u64) {
        let mut waiting = self.waiting.lock();
        waiting.add(purge);
        waiting.position = position;
        drop(waiting);
        self.wake.notify_one();
    }

    /// What was taken, and not heard.
    pub fn put_back(&self, purge: &Purge) {
        self.waiting.lock().add(purge);
    }

    /// As much as goes into one message.
    pub fn take(&self) -> Taken {
        let mut waiting = self.waiting.lock();
        let purge = waiting.take();
        let position = waiting.is_empty().then_some(waiting.position);
        Taken { purge, position }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// Something is to be said that is no purge.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The door has heard how far the process is.
    pub fn confirm(&self, stage: Stage) {
        self.confirmed.send_replace(stage);
    }

    /// Until the door has heard at least that.
    pub async fn confirmed(&self, stage: Stage) {
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed >= stage).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags<const N: usize>(tags: [&str; N]) -> Purge {
        Purge { tags: tags.map(str::to_owned).into(), ..Purge::default() }
    }

    #[test]
    fn what_is_named_twice_is_told_once() {
        let outbox = Outbox::default();
        outbox.add(&tags(["a", "b"]), 1);
        outbox.add(&tags(["a"]), 2);
        let mut told = outbox.take();
        told.purge.tags.sort();
        assert_eq!((told.purge, told.position), (tags(["a", "b"]), Some(2)));
        assert!(outbox.is_empty() && outbox.take().purge.is_empty());
        assert_eq!(outbox.take().position, Some(2));
    }

    #[test]
    fn everything_does_not_make_what_is_named_soft() {
        let outbox = Outbox::default();
        outbox.add(&tags(["a"]), 1);
        outbox.add(&Purge::anything(), 2);
        let first = outbox.take();
        assert_eq!((first.purge, first.position), (Purge::anything(), None), "more is to come");
        let second = outbox.take();
        assert_eq!((second.purge, second.position), (tags(["a"]), Some(2)));
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_was_not_heard_is_told_before_its_number_is() {
        let outbox = Outbox::default();
        outbox.add(&tags(["a"]), 1);
        let lost = outbox.take();
        outbox.add(&Purge::anything(), 2);
        outbox.put_back(&lost.purge);
        assert_eq!(outbox.take().position, None);
        let last = outbox.take();
        assert_eq!((last.purge, last.position), (tags(["a"]), Some(2)));
    }

    #[test]
    fn too_much_is_anything() {
        let outbox = Outbox::default();
        let all = 3 * ANNOUNCE_NAMES_MAX;
        for n in 0..all {
            outbox.add(&tags([&n.to_string()]), n as u64 + 1);
        }
        let everything = Purge { soft: false, ..Purge::anything() };
        let first = outbox.take();
        assert_eq!((first.purge, first.position), (everything.clone(), None));
        let second = outbox.take();
        assert!(second.purge.tags.len() <= ANNOUNCE_NAMES_MAX);
        assert_eq!(second.position, Some(all as u64));
        outbox.add(&tags([&"x".repeat(ANNOUNCE_BYTES_MAX + 1)]), all as u64 + 1);
        let last = outbox.take();
        assert_eq!((last.purge, last.position), (everything, Some(all as u64 + 1)));
        assert!(outbox.is_empty());
    }
}
