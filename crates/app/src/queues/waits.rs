//! Who waits for messages in this process. They are woken when this process publishes, or another one that tells of it on
//! the bus; the rest they find by looking, one of those who wait for the same in the name of all.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::limits::{QUEUE_POLL_MS, QUEUE_WAITS_MAX};
use base::{Kind, Name};
use parking_lot::Mutex;
use query::{Change, ChangeKind};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::table::MESSAGES;
use crate::error::{Error, Result};

#[derive(Default)]
pub struct Waits {
    lines: Mutex<FxHashMap<Name, Arc<Line>>>,
    count: AtomicUsize,
    /// Whether nobody may wait any longer.
    closed: watch::Sender<bool>,
    /// For those who push messages to event streams: something was published, or somebody subscribed.
    pub(crate) pushes: Notify,
}

/// Those who wait for one stream.
#[derive(Default)]
pub struct Line {
    /// Grows with each publish that is heard of.
    news: watch::Sender<u64>,
    /// The last number that was given, as far as somebody has looked.
    head: watch::Sender<u64>,
    /// By what is looked for: only who has the turn looks.
    turns: Mutex<FxHashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A place among those who wait.
pub struct Place(Arc<Waits>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Waits {
    pub(super) fn enter(self: &Arc<Self>) -> Result<Place> {
        let place = Place(self.clone());
        match self.count.fetch_add(1, Ordering::Relaxed) < QUEUE_WAITS_MAX {
            true => Ok(place),
            false => {
                Err(Error::new(Kind::Unavailable, "Too many requests wait for messages. Try again later."))
            }
        }
    }

    pub(super) fn line(&self, stream: &str) -> Arc<Line> {
        self.lines.lock().entry(stream.into()).or_default().clone()
    }

    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.lines.lock().retain(|id, _| known(id));
    }

    /// To be told of every commit of this process, and of those of others as far as they tell.
    pub fn follow(&self, change: &Change) {
        let wakes = |item: &&query::ChangeItem| &*item.table == MESSAGES && item.kind == ChangeKind::Insert;
        let mut last = "";
        for item in change.items.iter().filter(wakes) {
            let stream =
                item.id.as_deref().and_then(|id| id.split_once('.')).map_or("", |(stream, _)| stream);
            if stream != last {
                last = stream;
                self.wake(stream);
            }
        }
        if !last.is_empty() {
            self.pushes.notify_one();
        }
    }

    /// Those who wait for the stream look again.
    pub(super) fn wake(&self, stream: &str) {
        if let Some(line) = self.lines.lock().get(stream) {
            line.news.send_modify(|news| *news += 1);
        }
    }

    /// What was published elsewhere was missed.
    pub fn wake_all(&self) {
        for line in self.lines.lock().values() {
            line.news.send_modify(|news| *news += 1);
        }
        self.pushes.notify_one();
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Completes when nobody may wait any longer.
    pub(crate) async fn closed(&self) {
        // A sender that is gone means the same.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Calls `look` until it finds something: at once when something is published, and every now and then. `None` when
    /// it is too late.
    pub(super) async fn until<T, L: Future<Output = Result<Option<T>>>>(
        self: &Arc<Self>,
        stream: &str,
        what: &str,
        deadline: Instant,
        look: impl Fn() -> L,
    ) -> Result<Option<T>> {
        let _place = self.enter()?;
        let line = self.line(stream);
        let turn = line.turns.lock().entry(what.into()).or_default().clone();
        let mut news = line.news.subscribe();
        let Some(_turn) = self.before(deadline, turn.lock()).await else { return Ok(None) };
        loop {
            news.mark_unchanged();
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            let pause = tokio::time::sleep(Duration::from_millis(QUEUE_POLL_MS));
            let woken = async {
                tokio::select! {
                    () = pause => {}
                    changed = news.changed() => if changed.is_err() { std::future::pending().await },
                }
            };
            if self.before(deadline, woken).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// The same for those who wait for a stream to grow beyond a number: one looks, and tells the others.
    pub(super) async fn grown<L: Future<Output = Result<u64>>>(
        self: &Arc<Self>,
        stream: &str,
        beyond: u64,
        deadline: Instant,
        look: impl Fn() -> L,
    ) -> Result<Option<u64>> {
        let line = self.line(stream);
        let mut head = line.head.subscribe();
        let told = async {
            let told = head.wait_for(|head| *head > beyond).await.ok().map(|head| *head);
            match told {
                Some(head) => head,
                None => std::future::pending().await,
            }
        };
        let (line, look) = (&line, &look);
        let looked = self.until(stream, "", deadline, || async move {
            let found = look().await?;
            line.head.send_if_modified(|head| {
                let grew = found > *head;
                *head = found.max(*head);
                grew
            });
            Ok((found > beyond).then_some(found))
        });
        tokio::select! {
            told = told => Ok(Some(told)),
            looked = looked => looked,
        }
    }

    async fn before<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.closed() => None,
            () = tokio::time::sleep_until(deadline) => None,
        }
    }
}
