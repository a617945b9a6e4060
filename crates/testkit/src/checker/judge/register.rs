//! What a read of a record may see, kept up to date while requests run instead of in a history: for runs so long that
//! nobody could keep theirs. The rules are those of records with one writer.

use std::sync::atomic::{AtomicU32, Ordering};

use super::Kind;
use crate::checker::history::Seen;

#[derive(Debug, Default)]
pub struct Register {
    acknowledged: AtomicU32,
    sent: AtomicU32,
}

impl Register {
    /// Before the first byte of a write of this version is sent.
    pub fn send(&self, version: u32) {
        self.sent.fetch_max(version, Ordering::SeqCst);
    }

    /// After the last byte of its answer was read.
    pub fn acknowledge(&self, version: u32) {
        self.acknowledged.fetch_max(version, Ordering::SeqCst);
    }

    /// Before a read is sent: the version that it has to see, or a later one.
    pub fn bound(&self) -> u32 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// After a read was answered: what it broke.
    pub fn judge(&self, bound: u32, seen: &Seen, is_own: bool) -> Option<Kind> {
        let version = match seen {
            Seen::Absent => 0,
            Seen::Version(version) => *version,
            Seen::Alien(_) => return Some(Kind::Phantom),
        };
        match version {
            version if version > self.sent.load(Ordering::SeqCst) => Some(Kind::Phantom),
            version if version < bound && is_own => Some(Kind::StaleOwn),
            version if version < bound => Some(Kind::Stale),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_lies_between_what_was_acknowledged_and_what_was_sent() {
        let register = Register::default();
        register.send(1);
        register.acknowledge(1);
        let bound = register.bound();
        register.send(2);
        let judge = |seen: Seen, is_own: bool| register.judge(bound, &seen, is_own);
        assert_eq!(judge(Seen::Version(1), true), None);
        assert_eq!(judge(Seen::Version(2), false), None);
        assert_eq!(judge(Seen::Absent, true), Some(Kind::StaleOwn));
        assert_eq!(judge(Seen::Version(3), false), Some(Kind::Phantom));
        assert_eq!(judge(Seen::Alien("x".into()), false), Some(Kind::Phantom));
        // Whoever began before the acknowledgement may see either, whoever begins after it may not.
        register.acknowledge(2);
        assert_eq!(judge(Seen::Version(1), false), None);
        assert_eq!(register.judge(register.bound(), &Seen::Version(1), false), Some(Kind::Stale));
    }
}
