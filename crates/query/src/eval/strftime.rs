//! SQLite's `strftime` as its documentation describes it (Date And Time Functions), UTC only.
//! What needs the machine's clock or zone is left to an engine.

use std::fmt::Write;

use base::Name;

use super::value::Seen;
use super::{NeedsDatabase, number_of};

const DAY_MS: i64 = 86_400_000;
/// Milliseconds from the Julian epoch (noon, 24 November 4714 BC) to the Unix epoch.
const UNIX_JULIAN_MS: i64 = 210_866_760_000_000;
/// The last millisecond of year 9999, counted from the Julian epoch.
const JULIAN_MS_MAX: i64 = 464_269_060_799_999;

/// `None` when the value is no time or the format or a modifier is unknown.
pub fn strftime(format: &str, value: &Seen<'_>, modifiers: &[Name]) -> Result<Option<String>, NeedsDatabase> {
    let mut moment = match value {
        Seen::Missing => return Ok(None),
        Seen::Number(number) => Moment::from_number(*number),
        Seen::Text(text) if text.eq_ignore_ascii_case("now") => return Err(NeedsDatabase),
        Seen::Text(text) => match parse(text) {
            Some(ms) => Moment { ms: Some(ms), number: None },
            None => match number_of(text) {
                Some(number) => Moment::from_number(number),
                None => return Ok(None),
            },
        },
    };
    for (index, modifier) in modifiers.iter().enumerate() {
        if !moment.modify(modifier, index == 0)? {
            return Ok(None);
        }
    }
    let Some(ms) = moment.ms.filter(|ms| (0..=JULIAN_MS_MAX).contains(&(ms + UNIX_JULIAN_MS))) else {
        return Ok(None);
    };
    Ok(write(format, ms))
}

struct Moment {
    /// Milliseconds since the Unix epoch; `None` for a number that is no Julian day.
    ms: Option<i64>,
    /// The number given, while a first modifier may still say what it counts.
    number: Option<f64>,
}

impl Moment {
    fn from_number(number: f64) -> Self {
        let ms = (0.0..5_373_484.5)
            .contains(&number)
            .then(|| (number * DAY_MS as f64 + 0.5) as i64 - UNIX_JULIAN_MS);
        Moment { ms, number: Some(number) }
    }

    /// False when the modifier is unknown or does not apply.
    fn modify(&mut self, modifier: &str, first: bool) -> Result<bool, NeedsDatabase> {
        let lower = modifier.trim().to_ascii_lowercase();
        match lower.as_str() {
            "unixepoch" => {
                let Some(number) = self.number.filter(|_| first) else { return Ok(false) };
                let ms = (number * 1000.0).round();
                let range = -(UNIX_JULIAN_MS as f64)..=(JULIAN_MS_MAX - UNIX_JULIAN_MS) as f64;
                if !range.contains(&ms) {
                    return Ok(false);
                }
                self.ms = Some(ms as i64);
                self.number = None;
                return Ok(true);
            }
            "julianday" => return Ok(first && self.number.is_some() && self.ms.is_some()),
            "auto" | "localtime" | "utc" | "subsec" | "subsecond" | "floor" | "ceiling" => {
                return Err(NeedsDatabase);
            }
            _ => {}
        }
        let Some(ms) = self.ms else { return Ok(false) };
        let (year, month, _) = civil(ms.div_euclid(DAY_MS));
        let moved = match lower.as_str() {
            "start of day" => Some(ms - ms.rem_euclid(DAY_MS)),
            "start of month" => Some(days(year, month, 1) * DAY_MS),
            "start of year" => Some(days(year, 1, 1) * DAY_MS),
            other => match other.strip_prefix("weekday ") {
                Some(day) => day
                    .trim()
                    .parse::<i64>()
                    .ok()
                    .filter(|day| (0..7).contains(day))
                    .map(|day| ms + (day - weekday(ms.div_euclid(DAY_MS))).rem_euclid(7) * DAY_MS),
                None => match other.split_once(' ') {
                    Some((amount, unit)) => match amount.parse::<f64>() {
                        Ok(amount) => shift(ms, amount, unit.trim()),
                        // Signed times and dates such as `+01:30` and `+0001-00-00`.
                        Err(_) => return Err(NeedsDatabase),
                    },
                    None if other.contains(':') || other.contains('-') => return Err(NeedsDatabase),
                    None => None,
                },
            },
        };
        self.number = None;
        match moved {
            Some(moved) => {
                self.ms = Some(moved);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn shift(ms: i64, amount: f64, unit: &str) -> Option<i64> {
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    // No more of a unit than SQLite takes, which is what all of its range holds.
    let (size, amount_max) = match unit {
        "second" => (1000.0, 4.6427e14),
        "minute" => (60_000.0, 7.7379e12),
        "hour" => (3_600_000.0, 1.2897e11),
        "day" => (DAY_MS as f64, 5_373_485.0),
        "month" => (0.0, 176_546.0),
        "year" => (0.0, 14_713.0),
        _ => return None,
    };
    if amount.is_nan() || amount.abs() >= amount_max {
        return None;
    }
    match unit {
        "month" | "year" => {
            let whole = amount.trunc() as i64;
            let rest = amount.fract();
            let (year, month, day) = civil(ms.div_euclid(DAY_MS));
            let count = year * 12 + month - 1 + if unit == "year" { whole * 12 } else { whole };
            // A day past the end of the month runs over into the next one.
            let at = days(count.div_euclid(12), count.rem_euclid(12) + 1, 1) + day - 1;
            let rest_days = rest * if unit == "year" { 365.0 } else { 30.0 };
            Some(at * DAY_MS + ms.rem_euclid(DAY_MS) + (rest_days * DAY_MS as f64) as i64)
        }
        _ => {
            let rounder = if amount < 0.0 { -0.5 } else { 0.5 };
            Some(ms + (amount * size + rounder) as i64)
        }
    }
}

/// Days since the Unix epoch of a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// 0 is Sunday.
fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// `YYYY-MM-DD`, `YYYY-MM-DD HH:MM[:SS[.FFF]]` (or with `T`), `HH:MM[:SS[.FFF]]`, with `Z` or `±HH:MM`.
fn parse(text: &str) -> Option<i64> {
    let text = text.trim_end();
    let bytes = text.as_bytes();
    if bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-' {
        let (year, month, day) = (number(bytes, 0, 4)?, number(bytes, 5, 2)?, number(bytes, 8, 2)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let date = days(year, month, day) * DAY_MS;
        let rest = text.get(10..)?.trim_start_matches([' ', 'T', 't']);
        return if rest.is_empty() { Some(date) } else { Some(date + time(rest)?) };
    }
    // A time alone is on the first of January 2000.
    Some(days(2000, 1, 1) * DAY_MS + time(text)?)
}

fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (hours, minutes) = (number(bytes, 0, 2)?, number(bytes, 3, 2)?);
    if bytes[2] != b':' || hours > 24 || minutes > 59 {
        return None;
    }
    let mut ms = (hours * 60 + minutes) * 60_000;
    let mut rest = text.get(5..)?;
    if rest.starts_with(':') {
        let seconds = number(rest.as_bytes(), 1, 2).filter(|seconds| *seconds <= 59)?;
        ms += seconds * 1000;
        rest = rest.get(3..)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            let part: f64 = format!("0.{}", fraction.get(..digits)?).parse().ok()?;
            ms += (part * 1000.0 + 0.5) as i64;
            rest = fraction.get(digits..)?;
        }
    }
    let zone = rest.trim();
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(ms);
    }
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (number(zone.as_bytes(), 1, 2)?, number(zone.as_bytes(), 4, 2)?);
    if zone.len() != 6 || zone.as_bytes()[3] != b':' || hours > 14 || minutes > 59 {
        return None;
    }
    Some(ms - sign * (hours * 60 + minutes) * 60_000)
}

fn number(bytes: &[u8], from: usize, len: usize) -> Option<i64> {
    let digits = bytes.get(from..from + len)?;
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn write(format: &str, ms: i64) -> Option<String> {
    let day_count = ms.div_euclid(DAY_MS);
    let (year, month, day) = civil(day_count);
    let of_day = ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let weekday = weekday(day_count);
    let of_year = day_count - days(year, 1, 1);
    let hour_12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    // The Thursday of the same week decides which ISO year a day belongs to.
    let thursday = day_count + 3 - (weekday + 6) % 7;
    let iso_year = civil(thursday).0;
    let mut out = String::with_capacity(format.len() + 16);
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        let _ = match chars.next()? {
            'd' => write!(out, "{day:02}"),
            'e' => write!(out, "{day:2}"),
            'f' => write!(out, "{second:02}.{:03}", of_day % 1000),
            'F' => write!(out, "{year:04}-{month:02}-{day:02}"),
            'G' => write!(out, "{iso_year:04}"),
            'g' => write!(out, "{:02}", iso_year % 100),
            'H' => write!(out, "{hour:02}"),
            'I' => write!(out, "{hour_12:02}"),
            'j' => write!(out, "{:03}", of_year + 1),
            'J' => {
                let julian = (ms + UNIX_JULIAN_MS) as f64 / DAY_MS as f64;
                write!(out, "{}", significant(julian))
            }
            'k' => write!(out, "{hour:2}"),
            'l' => write!(out, "{hour_12:2}"),
            'm' => write!(out, "{month:02}"),
            'M' => write!(out, "{minute:02}"),
            'p' => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            'P' => write!(out, "{}", if hour < 12 { "am" } else { "pm" }),
            'R' => write!(out, "{hour:02}:{minute:02}"),
            's' => write!(out, "{}", ms.div_euclid(1000)),
            'S' => write!(out, "{second:02}"),
            'T' => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            'u' => write!(out, "{}", if weekday == 0 { 7 } else { weekday }),
            'U' => write!(out, "{:02}", (of_year + 7 - weekday) / 7),
            'V' => write!(out, "{:02}", (thursday - days(iso_year, 1, 1)) / 7 + 1),
            'w' => write!(out, "{weekday}"),
            'W' => write!(out, "{:02}", (of_year + 7 - (weekday + 6) % 7) / 7),
            'Y' => write!(out, "{year:04}"),
            '%' => write!(out, "%"),
            _ => return None,
        };
    }
    Some(out)
}

/// Sixteen significant digits without trailing zeros, as `%.16g` prints a Julian day.
fn significant(number: f64) -> String {
    let whole = (number.abs().log10().floor() as i32 + 1).max(1);
    let text = format!("{number:.*}", (16 - whole).max(0) as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
