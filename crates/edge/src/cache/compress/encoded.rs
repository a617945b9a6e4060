//! What was made of one answer's body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use super::codings::Coding;

/// An answer's body in other codings. Beside the answer, so it lives, weighs and goes with it.
#[derive(Debug, Default)]
pub struct Encoded {
    bodies: [Option<Bytes>; Coding::ALL.len()],
    /// Shared by all that have the same body: what is tried for one of them is tried for all.
    tries: Arc<Tries>,
    /// Whether the answer's head allows it, once that was looked at.
    allowed: AtomicU8,
}

/// One bit for each coding.
#[derive(Debug, Default)]
struct Tries {
    under_way: AtomicU8,
    refused: AtomicU8,
    made: AtomicU8,
}

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

impl Clone for Encoded {
    /// Of the same body. The copy may have another head, so that is looked at anew.
    fn clone(&self) -> Self {
        Encoded { bodies: self.bodies.clone(), tries: self.tries.clone(), allowed: AtomicU8::new(UNKNOWN) }
    }
}

impl Encoded {
    pub fn get(&self, coding: Coding) -> Option<&Bytes> {
        self.bodies[coding as usize].as_ref()
    }

    pub fn put(&mut self, coding: Coding, body: Bytes) {
        self.bodies[coding as usize] = Some(body);
    }

    pub fn all(&self) -> impl Iterator<Item = (Coding, &Bytes)> {
        Coding::ALL.into_iter().filter_map(|coding| Some((coding, self.get(coding)?)))
    }

    pub fn is_empty(&self) -> bool {
        self.bodies.iter().all(Option::is_none)
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.all().map(|(_, body)| body.len()).sum()
    }

    /// Whether the answer may be had in other codings; asked once for each head.
    pub(super) fn is_allowed(&self, look: impl FnOnce() -> bool) -> bool {
        match self.allowed.load(Ordering::Relaxed) {
            YES => true,
            NO => false,
            _ => {
                let allowed = look();
                self.allowed.store(if allowed { YES } else { NO }, Ordering::Relaxed);
                allowed
            }
        }
    }

    /// False while somebody is at it, or when it was done already: whoever asks may have found the answer before that.
    pub(super) fn begin(&self, coding: Coding) -> bool {
        let bit = 1 << coding as u8;
        (self.tries.refused.load(Ordering::Relaxed) | self.tries.made.load(Ordering::Relaxed)) & bit == 0
            // A look before the write: this is asked at every hit while it is under way.
            && self.tries.under_way.load(Ordering::Relaxed) & bit == 0
            && self.tries.under_way.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    pub(super) fn end(&self, coding: Coding) {
        self.tries.under_way.fetch_and(!(1 << coding as u8), Ordering::Relaxed);
    }

    /// It was made, and lies beside what is kept now.
    pub(super) fn made(&self, coding: Coding) {
        self.tries.made.fetch_or(1 << coding as u8, Ordering::Relaxed);
    }

    /// It is not worth it, and is not tried again.
    pub(super) fn refuse(&self, coding: Coding) {
        self.tries.refused.fetch_or(1 << coding as u8, Ordering::Relaxed);
    }

    pub(super) fn is_refused(&self, coding: Coding) -> bool {
        self.tries.refused.load(Ordering::Relaxed) & (1 << coding as u8) != 0
    }
}
