//! Changing what every node holds a copy of, the collections and the settings: one at a time in this process, begun anew
//! when another node was faster, and done when every node goes by it.

use std::time::Duration;

use base::Kind;
use base::limits::CHANGE_TRIES_MAX;
use tokio::sync::MutexGuard;

use crate::error::{Error, Result};
use crate::nodes;
use crate::parts::Parts;

const OVERTAKEN: &str = "Others are changing collections or settings at the same time. Try again.";

/// A turn to change something.
pub struct Changing<'a> {
    parts: &'a Parts,
    tries: u32,
    turn: MutexGuard<'a, ()>,
}

impl<'a> Changing<'a> {
    pub async fn begin(parts: &'a Parts) -> Self {
        Changing { parts, tries: 0, turn: parts.catalog.changing.lock().await }
    }

    /// Whether what was tried must be tried anew, on what another node made of it meanwhile.
    pub async fn again<T>(&mut self, tried: &Result<T>) -> bool {
        let is_overtaken = tried.as_ref().is_err_and(is_overtaken);
        self.tries += 1;
        if !is_overtaken || self.tries >= CHANGE_TRIES_MAX {
            return false;
        }
        // Those who were in each other's way are not to meet again.
        let rest = Duration::from_millis(rand::random_range(0..=u64::from(self.tries) * 10));
        tokio::time::sleep(rest).await;
        self.parts.catalog.reload(&self.parts.store).await.is_ok()
    }

    /// Returns what came of it, once every node goes by it.
    pub async fn end<T>(self, tried: Result<T>) -> Result<T> {
        drop(self.turn);
        if tried.is_ok() {
            nodes::caught_up(self.parts).await;
        }
        tried
    }
}

/// What a commit says whose [`query::Guard::Version`] did not hold.
pub fn overtaken() -> Error {
    Error::new(Kind::Conflict, OVERTAKEN)
}

/// What was sent takes the place of what its sender cannot have seen.
pub fn outdated() -> Error {
    Error::new(
        Kind::Conflict,
        "The collection was changed by somebody else at the same time. Read it again and try again.",
    )
}

pub fn is_overtaken(error: &Error) -> bool {
    error.kind == Kind::Conflict && error.message == OVERTAKEN
}
