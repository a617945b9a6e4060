//! Time as the API shows it, and the clock that is handed in.

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::date;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A point in time in milliseconds since the Unix epoch, written `2006-01-02 15:04:05.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Length of a written timestamp.
pub const TIMESTAMP_LEN: usize = 24;

impl Timestamp {
    /// The first moment of year 1, which the reference takes for no date.
    pub const NONE: Timestamp = Timestamp(-62_135_596_800_000);

    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The civil time in UTC; the epoch for what lies outside of years -9999 to 9999.
    pub fn civil(self) -> DateTime {
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(EPOCH)
    }

    pub fn from_civil(civil: DateTime) -> Option<Self> {
        i64::try_from(civil.duration_since(EPOCH).as_millis()).ok().map(Timestamp)
    }

    /// Reads a date in any of the forms that the reference takes, see the module `date`. `None` when the text is none
    /// of them.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_civil(parse_plain(text).or_else(|| date::parse(text))?)
    }
}

/// The fixed-width form with a literal `Z`, by far the most frequent input.
fn parse_plain(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    if bytes.len() != TIMESTAMP_LEN || bytes[TIMESTAMP_LEN - 1] != b'Z' {
        return None;
    }
    let digits = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0i32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i32::from(byte - b'0')))
    };
    if bytes[4] != b'-'
        || bytes[7] != b'-'
        || !matches!(bytes[10], b' ' | b'T')
        || bytes[13] != b':'
        || bytes[16] != b':'
        || bytes[19] != b'.'
    {
        return None;
    }
    DateTime::new(
        digits(0, 4)? as i16,
        digits(5, 7)? as i8,
        digits(8, 10)? as i8,
        digits(11, 13)? as i8,
        digits(14, 16)? as i8,
        digits(17, 19)? as i8,
        digits(20, 23)? * 1_000_000,
    )
    .ok()
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let civil = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}Z",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            civil.subsec_nanosecond() / 1_000_000
        )
    }
}

/// Where the time comes from. Handed in, so that tests can move it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The system's wall clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["2026-11-21 07:59:21.081Z", "0001-01-01 00:00:00.000Z", "9999-12-31 23:59:59.999Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
    }
}
