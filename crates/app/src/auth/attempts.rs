//! What is remembered of attempts, so that neither mailboxes are flooded nor codes guessed. Kept in memory by each
//! process, and bounded: the longest untouched are forgotten first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base::Timestamp;
use base::limits::{MAIL_RESEND_MS, MAIL_RESENDS_KEPT_MAX, OTP_ATTEMPTS_KEPT_MAX, OTP_ATTEMPTS_MAX};
use parking_lot::Mutex;
use quick_cache::sync::Cache;

pub struct Attempts {
    sent: Mutex<quick_cache::unsync::Cache<String, Timestamp>>,
    codes: Cache<String, Arc<AtomicU32>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts {
            sent: Mutex::new(quick_cache::unsync::Cache::new(MAIL_RESENDS_KEPT_MAX)),
            codes: Cache::new(OTP_ATTEMPTS_KEPT_MAX),
        }
    }
}

impl Attempts {
    /// Whether a mail of that kind may go to that address now; if so, no other may for a while.
    pub fn may_send(&self, kind: &str, collection: &str, email: &str, now: Timestamp) -> bool {
        let key = format!("{kind} {collection} {email}");
        let mut sent = self.sent.lock();
        // A time that lies ahead is that of a clock which was set back since.
        let recent = |at: &Timestamp| (0..MAIL_RESEND_MS).contains(&(now.0 - at.0));
        if sent.get(&key).is_some_and(recent) {
            return false;
        }
        sent.insert(key, now);
        true
    }

    /// Counts one more code tried against a one-time password. `false` when there were too many before.
    pub fn may_try(&self, otp: &str) -> bool {
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(count) = self.codes.get_or_insert_with(otp, fresh);
        // Counted before the code is looked at, so that many at once are many.
        count.fetch_add(1, Ordering::AcqRel) < OTP_ATTEMPTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_sent_once_in_a_while() {
        let attempts = Attempts::default();
        let may = |kind: &str, email: &str, at: i64| attempts.may_send(kind, "users", email, Timestamp(at));
        assert!(may("reset", "a@x.io", 0));
        assert!(!may("reset", "a@x.io", MAIL_RESEND_MS - 1));
        assert!(may("verify", "a@x.io", 1) && may("reset", "b@x.io", 1));
        assert!(may("reset", "a@x.io", MAIL_RESEND_MS));
    }

    #[test]
    fn codes_are_tried_a_few_times() {
        let attempts = Attempts::default();
        for _ in 0..OTP_ATTEMPTS_MAX {
            assert!(attempts.may_try("one"));
        }
        assert!(!attempts.may_try("one"));
        assert!(attempts.may_try("two"));
    }
}
