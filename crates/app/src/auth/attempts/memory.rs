//! Attempts in this process's memory, for the one process that a database has. They are bounded: the longest untouched
//! are forgotten first.

use base::Timestamp;
use base::limits::{
    MAIL_RESEND_MS, MAIL_RESENDS_KEPT_MAX, OTP_ATTEMPTS_KEPT_MAX, OTP_ATTEMPTS_MAX, OTP_ATTEMPTS_MS,
    OTPS_OPEN_MAX,
};
use parking_lot::Mutex;
use quick_cache::unsync::Cache;

pub(super) struct Memory {
    sent: Mutex<Cache<String, Timestamp>>,
    codes: Mutex<Codes>,
}

/// One-time passwords by the address that they were asked for.
struct Codes {
    by_address: Cache<String, Asked>,
    /// The address of a one-time password's id.
    addresses: Cache<String, String>,
}

/// What was asked for with one address.
#[derive(Clone, Default)]
struct Asked {
    open: Vec<(String, Timestamp)>,
    tried: u32,
    /// When the first of these was tried.
    since: Option<Timestamp>,
}

impl Default for Memory {
    fn default() -> Self {
        let codes = Codes {
            by_address: Cache::new(OTP_ATTEMPTS_KEPT_MAX),
            addresses: Cache::new(OTP_ATTEMPTS_KEPT_MAX * OTPS_OPEN_MAX),
        };
        Memory { sent: Mutex::new(Cache::new(MAIL_RESENDS_KEPT_MAX)), codes: Mutex::new(codes) }
    }
}

impl Memory {
    /// Whether a mail of that kind may go to that address now; if so, no other may for a while.
    pub(super) fn may_send(&self, kind: &str, collection: &str, email: &str, now: Timestamp) -> bool {
        let key = format!("{kind} {collection} {email}");
        let mut sent = self.sent.lock();
        if sent.get(&key).is_some_and(|at| within(*at, now, MAIL_RESEND_MS)) {
            return false;
        }
        sent.insert(key, now);
        true
    }

    /// A mail that [`Memory::may_send`] let pass was not stored after all.
    pub(super) fn not_sent(&self, kind: &str, collection: &str, email: &str) {
        self.sent.lock().remove(&format!("{kind} {collection} {email}"));
    }

    /// Notes a new one-time password; or tells the id of the newest, when too many are open for the address.
    pub(super) fn open_otp(
        &self,
        collection: &str,
        email: &str,
        otp: &str,
        now: Timestamp,
        lasts_ms: i64,
    ) -> Option<String> {
        let key = format!("{collection} {email}");
        let mut codes = self.codes.lock();
        let mut asked = codes.by_address.get(&key).cloned().unwrap_or_default();
        asked.open.retain(|(_, at)| within(*at, now, lasts_ms));
        if asked.open.len() >= OTPS_OPEN_MAX {
            return asked.open.pop().map(|(id, _)| id);
        }
        asked.open.push((otp.into(), now));
        codes.by_address.insert(key.clone(), asked);
        codes.addresses.insert(otp.into(), key);
        None
    }

    /// Counts one more code tried; `false` when there were too many for the address before.
    pub(super) fn may_try(&self, otp: &str, now: Timestamp) -> bool {
        let mut codes = self.codes.lock();
        // One that this process was not asked for stands for itself.
        let key = codes.addresses.get(otp).cloned().unwrap_or_else(|| otp.to_string());
        let mut asked = codes.by_address.get(&key).cloned().unwrap_or_default();
        if !asked.since.is_some_and(|since| within(since, now, OTP_ATTEMPTS_MS)) {
            (asked.tried, asked.since) = (0, Some(now));
        }
        // Counted before the code is looked at, so that many at once are many.
        let may = asked.tried < OTP_ATTEMPTS_MAX;
        asked.tried = asked.tried.saturating_add(1);
        codes.by_address.insert(key, asked);
        may
    }

    /// The code was right: what was tried before it counts no more.
    pub(super) fn used_otp(&self, otp: &str) {
        self.close_otp(otp, |asked| (asked.tried, asked.since) = (0, None));
    }

    /// The mail with the code was not stored after all. What was tried with others still counts.
    pub(super) fn not_sent_otp(&self, otp: &str) {
        self.close_otp(otp, |_| {});
    }

    fn close_otp(&self, otp: &str, with: impl FnOnce(&mut Asked)) {
        let mut codes = self.codes.lock();
        let Some((_, key)) = codes.addresses.remove(otp) else { return };
        if let Some(mut asked) = codes.by_address.get(&key).cloned() {
            asked.open.retain(|(id, _)| id != otp);
            with(&mut asked);
            codes.by_address.insert(key, asked);
        }
    }
}

/// A time that lies ahead is that of a clock which was set back since, and counts as long ago.
fn within(at: Timestamp, now: Timestamp, ms: i64) -> bool {
    (0..ms).contains(&(now.0 - at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_sent_once_in_a_while() {
        let attempts = Memory::default();
        let may = |kind: &str, email: &str, at: i64| attempts.may_send(kind, "users", email, Timestamp(at));
        assert!(may("reset", "a@x.io", 0));
        assert!(!may("reset", "a@x.io", MAIL_RESEND_MS - 1));
        assert!(may("verify", "a@x.io", 1) && may("reset", "b@x.io", 1));
        assert!(may("reset", "a@x.io", MAIL_RESEND_MS));
    }

    #[test]
    fn codes_are_tried_a_few_times() {
        let attempts = Memory::default();
        let now = Timestamp(0);
        for otp in ["one", "two"] {
            assert_eq!(attempts.open_otp("users", "a@x.io", otp, now, 1000), None);
        }
        for _ in 0..OTP_ATTEMPTS_MAX {
            assert!(attempts.may_try("one", now));
        }
        // A new code is no new chance; that of somebody else, or one that nobody knows, is.
        assert!(!attempts.may_try("one", now) && !attempts.may_try("two", now));
        assert!(attempts.may_try("unknown", now));
        assert!(attempts.may_try("two", Timestamp(OTP_ATTEMPTS_MS)));
    }

    #[test]
    fn a_right_code_ends_the_count() {
        let attempts = Memory::default();
        let now = Timestamp(0);
        attempts.open_otp("users", "a@x.io", "one", now, 1000);
        for _ in 0..OTP_ATTEMPTS_MAX - 1 {
            assert!(attempts.may_try("one", now));
        }
        attempts.used_otp("one");
        attempts.open_otp("users", "a@x.io", "two", now, 1000);
        assert!((0..OTP_ATTEMPTS_MAX).all(|_| attempts.may_try("two", now)));
    }

    #[test]
    fn few_are_open_at_a_time() {
        let attempts = Memory::default();
        for n in 0..OTPS_OPEN_MAX {
            assert_eq!(attempts.open_otp("users", "a@x.io", &n.to_string(), Timestamp(n as i64), 1000), None);
        }
        let newest = Some((OTPS_OPEN_MAX - 1).to_string());
        assert_eq!(attempts.open_otp("users", "a@x.io", "x", Timestamp(999), 1000), newest);
        assert_eq!(attempts.open_otp("users", "a@x.io", "y", Timestamp(1000), 1000), None);
    }
}
