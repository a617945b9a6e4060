//! Time as the API shows it, and the clock that is handed in.

use jiff::SignedDuration;
use jiff::civil::DateTime;

mod http;
mod read;

/// A point in time in milliseconds since the Unix epoch, written `2006-01-02 15:04:05.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Length of a written timestamp.
pub const TIMESTAMP_LEN: usize = 24;

const DAY_MS: i64 = 86_400_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The first moment of year 1, which the reference takes for no date when it is given one.
    pub const NONE: Timestamp = Timestamp(-62_135_596_800_000);

    /// The first and the last with a year of four digits, `0000` and `9999`.
    pub const MIN: Timestamp = Timestamp(-62_167_219_200_000);
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The civil time in UTC; the epoch for what lies outside of years -9999 to 9999.
    pub fn civil(self) -> DateTime {
        // Not by way of `jiff::Timestamp`, which ends a day before the last year does.
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(EPOCH)
    }

    /// The written form. By hand: a page of records holds dozens, and making each by way of civil time and formatting
    /// took most of a page's time.
    pub fn written(self) -> [u8; TIMESTAMP_LEN] {
        let (year, month, day) = self.date();
        let within = self.0.rem_euclid(DAY_MS) as u32;
        let mut out = *b"0000-00-00 00:00:00.000Z";
        let mut put = |from: usize, len: usize, number: u32| {
            let mut rest = number;
            for digit in out[from..from + len].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, within / 3_600_000);
        put(14, 2, within / 60_000 % 60);
        put(17, 2, within / 1000 % 60);
        put(20, 3, within % 1000);
        out
    }

    /// Year, month and day. For the years of four digits by the arithmetic of days in eras of 400 years, which begin in
    /// March so that leap days come last (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    fn date(self) -> (u32, u32, u32) {
        if !(Self::MIN..=Self::MAX).contains(&self) {
            let civil = self.civil();
            return (
                u32::from(civil.year().unsigned_abs()),
                u32::from(civil.month().unsigned_abs()),
                u32::from(civil.day().unsigned_abs()),
            );
        }
        let days = self.0.div_euclid(DAY_MS) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        (year as u32, month as u32, day as u32)
    }

    /// Whole milliseconds: the rest is cut off.
    pub fn from_civil(civil: DateTime) -> Self {
        let since = civil.duration_since(EPOCH);
        Timestamp(since.as_nanos().div_euclid(1_000_000) as i64)
    }

    /// Reads a date in any of the forms that the reference takes: the API's own, RFC 3339 and its kin, a date
    /// with or without time, fraction and offset, and the forms of RFC 822, 850 and 1123. A number is no date,
    /// nor is a text with blanks around it. `None` when the text is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        parse_plain(text).or_else(|| read::read(text))
    }
}

/// The fixed-width form with a literal `Z`, by far the most frequent input.
fn parse_plain(text: &str) -> Option<Timestamp> {
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
    let civil = DateTime::new(
        digits(0, 4)? as i16,
        digits(5, 7)? as i8,
        digits(8, 10)? as i8,
        digits(11, 13)? as i8,
        digits(14, 16)? as i8,
        digits(17, 19)? as i8,
        digits(20, 23)? * 1_000_000,
    )
    .ok()?;
    Some(Timestamp::from_civil(civil))
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.written()).unwrap_or_default())
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
        for text in [
            "2026-11-21 07:59:21.081Z",
            "1969-12-31 23:59:59.999Z",
            "0000-01-01 00:00:00.000Z",
            "0001-01-01 00:00:00.000Z",
            "9999-12-31 23:59:59.999Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn days_are_written_as_their_civil_dates() {
        let day = |date: &str| Timestamp::parse(date).unwrap().0 / DAY_MS;
        // Days here and there, and all around the turns of centuries that are leap years or are not.
        let scattered = (day("0000-01-01")..=day("9999-12-31")).step_by(97);
        let around = ["0000", "1896", "1996", "9995"].map(|year| day(&format!("{year}-01-01")));
        let around = around.into_iter().flat_map(|from| from..from + 5 * 365);
        for day in scattered.chain(around) {
            let civil = Timestamp(day * DAY_MS).civil();
            let date = format!("{:04}-{:02}-{:02} 00:00:00.000Z", civil.year(), civil.month(), civil.day());
            assert_eq!(Timestamp(day * DAY_MS).to_string(), date);
        }
    }

    #[test]
    fn other_forms() {
        for (text, expected) in [
            ("2022-01-02", "2022-01-02 00:00:00.000Z"),
            ("2022-01-02T10:20:30+02:00", "2022-01-02 08:20:30.000Z"),
            ("2022-01-02 10:20:30", "2022-01-02 10:20:30.000Z"),
            ("2022-01-02 10:20:30.5Z", "2022-01-02 10:20:30.500Z"),
            ("2022-01-02 1:20:30,5Z", "2022-01-02 01:20:30.500Z"),
            ("2022-01-02  10:20:30.1239", "2022-01-02 10:20:30.123Z"),
            ("2022-01-02 10:20:30 +0200 EET", "2022-01-02 08:20:30.000Z"),
            ("2022-01-02 10:20:30.5 +02:00", "2022-01-02 08:20:30.500Z"),
            ("2022-01-02T10:20:30.5+0200", "2022-01-02 08:20:30.500Z"),
            ("2022-01-02 10:20:30-24:00", "2022-01-03 10:20:30.000Z"),
            ("9999-12-31", "9999-12-31 00:00:00.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("Sat, 02 Jan 2006 15:04:05 -0700", "2006-01-02 22:04:05.000Z"),
            ("02 Jan 06 15:04 -0700", "2006-01-02 22:04:00.000Z"),
            ("Monday, 02-Jan-06 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan  2 15:04:05 2006", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan 02 15:04:05 -0700 2006", "2006-01-02 22:04:05.000Z"),
            ("02 Jan 2006", "2006-01-02 00:00:00.000Z"),
        ] {
            assert_eq!(
                Timestamp::parse(text).map(|stamp| stamp.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        for text in [
            "",
            "x",
            "2022-13-01 00:00:00.000Z",
            "2022-1",
            "1700000000",
            "20220102",
            "2022-01-02 10:20",
            "2022-01-02 10:20:30 UTC",
            "2022-01-02T10:20:30z",
            " 2022-01-02",
            "2022-01-02 ",
            "2022-01-02Z",
            "2022-01-02 10:20:30.Z",
            "2022-01-02 10:20:60Z",
            "2022-02-29",
            "2 Jan 2006",
            "9999-12-31T23:59:59-02:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    /// Answers of the reference, `-` for none.
    #[test]
    fn facts() {
        for line in include_str!("time/facts.txt").lines() {
            let (text, expected) = line.split_once('|').unwrap();
            let read = Timestamp::parse(text).filter(|stamp| *stamp != Timestamp::NONE);
            let read = read.map_or_else(|| "-".to_string(), |stamp| stamp.to_string());
            assert_eq!(read, expected, "{text}");
        }
    }
}
