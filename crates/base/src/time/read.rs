//! The forms in which a date is taken. What is not one of them to the letter is no date.

use jiff::civil::DateTime;

use super::Timestamp;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Two digits of a year from here on are of the last century.
const CENTURY_FROM: i16 = 69;

pub(super) fn read(text: &str) -> Option<Timestamp> {
    numeric(text).or_else(|| spoken(text))
}

/// `2022-01-02`, and with a time behind a `T` or spaces: `10:20:30`, a fraction, and `Z`, `+0200`, `+02:00`, or
/// the same behind a space, where `+0200` may be followed by a zone's name.
fn numeric(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let date = (digits(text.get(0..4)?)?, digits(text.get(5..7)?)?, digits(text.get(8..10)?)?);
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return build(date, (0, 0, 0, 0), 0);
    }
    let rest = match rest.strip_prefix('T') {
        Some(rest) => rest,
        None => rest.strip_prefix(' ')?.trim_start_matches(' '),
    };
    let (time, rest) = clock(rest)?;
    let zone = match rest {
        "" | "Z" => 0,
        rest => match rest.strip_prefix(' ') {
            Some(rest) => match rest.split_once(' ') {
                Some((zone, name)) if is_zone_name(name) && !zone.contains(':') => offset(zone)?,
                Some(_) => return None,
                None => offset(rest)?,
            },
            None => offset(rest)?,
        },
    };
    build(date, time, zone)
}

/// The forms of RFC 822, 850 and 1123, of `ctime` and `date`, and `02 Jan 2006`.
fn spoken(text: &str) -> Option<Timestamp> {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let weekday = |word: &str| {
        let word = word.to_ascii_lowercase();
        DAYS.iter().any(|day| *day == word || day[..3] == word)
    };
    let whole = |word: &str| match clock(word) {
        Some((time, "")) => Some(time),
        _ => None,
    };
    match words[..] {
        [day, name, year] => build((long_year(year)?, month(name)?, two(day)?), (0, 0, 0, 0), 0),
        [first, day, name, year, time, zone] if first.strip_suffix(',').is_some_and(weekday) => {
            build((long_year(year)?, month(name)?, two(day)?), whole(time)?, named(zone)?)
        }
        [day, name, year, time, zone] if year.len() == 2 => {
            let (hour, minute) = time.split_once(':')?;
            let time = (two(hour)? as i8, two(minute)? as i8, 0, 0);
            build((short_year(year)?, month(name)?, two(day)?), time, named(zone)?)
        }
        [first, date, time, zone] if first.strip_suffix(',').is_some_and(weekday) => {
            let [day, name, year] = date.split('-').collect::<Vec<_>>()[..] else { return None };
            build((short_year(year)?, month(name)?, two(day)?), whole(time)?, named(zone)?)
        }
        [first, name, day, time, year] if weekday(first) => {
            build((long_year(year)?, month(name)?, digits(day)?), whole(time)?, 0)
        }
        [first, name, day, time, zone, year] if weekday(first) => {
            build((long_year(year)?, month(name)?, digits(day)?), whole(time)?, named(zone)?)
        }
        _ => None,
    }
}

type Clock = (i8, i8, i8, i32);

/// `10:20:30` or `1:20:30`, with a fraction behind a point or comma, and what follows.
fn clock(text: &str) -> Option<(Clock, &str)> {
    let (hour, rest) = text.split_once(':')?;
    if hour.len() > 2 || rest.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let (minute, second) = (two(rest.get(0..2)?)?, two(rest.get(3..5)?)?);
    let rest = rest.get(5..)?;
    let (nanos, rest) = match rest.strip_prefix(['.', ',']) {
        None => (0, rest),
        Some(fraction) => {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, rest) = fraction.split_at(count);
            if count == 0 {
                return None;
            }
            let nanos = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
            (nanos.fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0')), rest)
        }
    };
    Some(((digits(hour)? as i8, minute as i8, second as i8, nanos), rest))
}

/// Minutes of `+0200` or `+02:00`.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 4 => (rest.get(0..2)?, rest.get(2..)?),
        None => return None,
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 24 && minutes < 60).then(|| sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

/// An offset, or a zone's name, which is taken for UTC.
fn named(text: &str) -> Option<i64> {
    if is_zone_name(text) { Some(0) } else { offset(text).filter(|_| !text.contains(':')) }
}

fn is_zone_name(text: &str) -> bool {
    (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn digits(text: &str) -> Option<i16> {
    let fits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn two(text: &str) -> Option<i16> {
    if text.len() == 2 { digits(text) } else { None }
}

fn long_year(text: &str) -> Option<i16> {
    if text.len() == 4 { digits(text) } else { None }
}

fn short_year(text: &str) -> Option<i16> {
    two(text).map(|year| if year >= CENTURY_FROM { 1900 + year } else { 2000 + year })
}

fn month(text: &str) -> Option<i16> {
    let text = text.to_ascii_lowercase();
    MONTHS.iter().position(|month| *month == text).map(|index| index as i16 + 1)
}

fn build(date: (i16, i16, i16), time: Clock, offset: i64) -> Option<Timestamp> {
    let (hour, minute, second, nanos) = time;
    let civil = DateTime::new(date.0, date.1 as i8, date.2 as i8, hour, minute, second, nanos).ok()?;
    let stamp = Timestamp(Timestamp::from_civil(civil).0 - offset * 60_000);
    // Four digits of a year are all that the written form has.
    (Timestamp::MIN..=Timestamp::MAX).contains(&stamp).then_some(stamp)
}
