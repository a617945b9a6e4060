//! Reading dates: `2006-01-02`, alone or with a time, and the spelled-out forms of mail and of Unix tools. Nothing
//! is guessed: what is not exactly one of the forms is no date.

use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime;
use jiff::{SignedDuration, civil};

/// The date in UTC.
pub fn parse(text: &str) -> Option<DateTime> {
    if text.as_bytes().get(4) == Some(&b'-') { numeric(text) } else { spelled(text) }
}

/// `2006-01-02[( |T)15:04:05[.000][Z|[ ]-07:00|[ ]-0700[ MST]]]`
fn numeric(text: &str) -> Option<DateTime> {
    let mut rest = Rest(text);
    let year = i16::try_from(rest.digits(4, 4)?).ok()?;
    rest.expect("-")?;
    let month = rest.digits(2, 2)? as i8;
    rest.expect("-")?;
    let date = civil::Date::new(year, month, rest.digits(2, 2)? as i8).ok()?;
    if rest.0.is_empty() {
        return Some(date.to_datetime(Time::midnight()));
    }
    rest.expect(" ").or_else(|| rest.expect("T"))?;
    let hour = rest.digits(1, 2)? as i8;
    rest.expect(":")?;
    let minute = rest.digits(2, 2)? as i8;
    rest.expect(":")?;
    let second = rest.digits(2, 2)? as i8;
    let mut nanosecond = 0;
    if rest.expect(".").or_else(|| rest.expect(",")).is_some() {
        let length = rest.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, after) = rest.0.split_at(length);
        nanosecond = format!("{:0<9.9}", digits).parse().ok().filter(|_| length > 0)?;
        rest.0 = after;
    }
    // The hour 24 and leap seconds are refused.
    let time = Time::new(hour, minute, second, nanosecond).ok().filter(|_| second < 60)?;
    date.to_datetime(time).checked_sub(zone(rest.0)?).ok()
}

/// The offset from UTC that a zone means.
fn zone(text: &str) -> Option<SignedDuration> {
    if text.is_empty() || text == "Z" {
        return Some(SignedDuration::ZERO);
    }
    let spaced = text.strip_prefix(' ');
    let mut rest = Rest(spaced.unwrap_or(text));
    let sign = if rest.expect("-").is_some() { -1 } else { rest.expect("+").map(|()| 1)? };
    let hours = rest.digits(2, 2)?;
    let colon = rest.expect(":").is_some();
    let minutes = rest.digits(2, 2)?;
    let named = spaced.is_some() && !colon && rest.0.strip_prefix(' ').is_some_and(is_zone_name);
    let fits = (rest.0.is_empty() || named) && hours <= 24 && minutes < 60;
    fits.then(|| SignedDuration::from_secs(i64::from(sign * (hours * 60 + minutes) * 60)))
}

/// Names of zones say nothing about the offset: the reference takes them for UTC.
fn is_zone_name(text: &str) -> bool {
    (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn spelled(text: &str) -> Option<DateTime> {
    // Numeric days have two digits.
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) && !text.as_bytes().get(1)?.is_ascii_digit() {
        return None;
    }
    let offset = ["%a, %d %b %Y %H:%M:%S %z", "%d %b %y %H:%M %z", "%a %b %d %H:%M:%S %z %Y"];
    for format in offset {
        if let Ok(stamp) = strtime::parse(format, text).and_then(|parts| parts.to_timestamp()) {
            return Some(jiff::tz::TimeZone::UTC.to_datetime(stamp));
        }
    }
    let civil = |format: &str, text: &str| strtime::parse(format, text).and_then(|parts| parts.to_datetime());
    if let Some((before, name)) = text.rsplit_once(' ')
        && is_zone_name(name)
    {
        let named = ["%a, %d %b %Y %H:%M:%S", "%A, %d-%b-%y %H:%M:%S", "%d %b %y %H:%M"];
        return named.into_iter().find_map(|format| civil(format, before).ok());
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [day, month, date, time, name, year] = words[..]
        && is_zone_name(name)
    {
        return civil("%a %b %d %H:%M:%S %Y", &[day, month, date, time, year].join(" ")).ok();
    }
    ["%a %b %d %H:%M:%S %Y", "%d %b %Y"].into_iter().find_map(|format| {
        let date = || strtime::parse(format, text).and_then(|parts| parts.to_date());
        civil(format, text).ok().or_else(|| Some(date().ok()?.to_datetime(Time::midnight())))
    })
}

/// What is left to read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn expect(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// A number of so many digits.
    fn digits(&mut self, min: usize, max: usize) -> Option<i32> {
        let length = self.0.bytes().take(max).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        (length >= min).then(|| digits.parse().ok())?
    }
}

#[cfg(test)]
mod tests {
    use crate::Timestamp;

    /// Answers of the reference, `-` for none.
    const FACTS: &str = "\
2022-01-02 03:04|-
2022-01-02T03:04Z|-
20220102|-
20220102T030405Z|-
2022-01-02 03:04:05|2022-01-02 03:04:05.000Z
2022-01-02T03:04:05|2022-01-02 03:04:05.000Z
2022-01-02T03:04:05Z|2022-01-02 03:04:05.000Z
2022-01-02 03:04:05+02:00|2022-01-02 01:04:05.000Z
2022-01-02 03:04:05 +02:00|2022-01-02 01:04:05.000Z
2022-01-02 03:04:05 +0200|2022-01-02 01:04:05.000Z
2022-01-02T03:04:05+0200|2022-01-02 01:04:05.000Z
2022-01-02T03:04:05+02|-
2022-01-02 03:04:05.123456|2022-01-02 03:04:05.123Z
2022-01-02 03:04:05.123456789Z|2022-01-02 03:04:05.123Z
2022-01-02 03|-
2022-01|-
2022|-
0001-01-01|-
0001-01-01 00:00:00.000Z|-
0001-01-02|0001-01-02 00:00:00.000Z
0000-01-01|0000-01-01 00:00:00.000Z
9999-12-31 23:59:59.999Z|9999-12-31 23:59:59.999Z
9999-12-31|9999-12-31 00:00:00.000Z
10000-01-01|-
-0001-01-01|-
1641092645|-
0|-
03:04:05|-
Sun, 02 Jan 2022 03:04:05 GMT|2022-01-02 03:04:05.000Z
Sun, 02 Jan 2022 03:04:05 +0000|2022-01-02 03:04:05.000Z
Sunday, 02-Jan-22 03:04:05 UTC|2022-01-02 03:04:05.000Z
Sun Jan  2 03:04:05 2022|2022-01-02 03:04:05.000Z
Sun Jan 2 03:04:05 2022|2022-01-02 03:04:05.000Z
Sun Jan  2 03:04:05 UTC 2022|2022-01-02 03:04:05.000Z
02 Jan 22 03:04 UTC|2022-01-02 03:04:00.000Z
02 Jan 22 03:04 +0000|2022-01-02 03:04:00.000Z
02 Jan 2022|2022-01-02 00:00:00.000Z
2 Jan 2022|-
Jan 2 2022|-
January 2, 2022|-
2022/01/02|-
01/02/2022|-
2022-1-2|-
2022-01-02 3:04:05|2022-01-02 03:04:05.000Z
2022-01-02t03:04:05z|-
2022-02-30|-
 2022-01-02 |-
2022-01-02 03:04:05 UTC|-
2022-01-02 03:04:05 +0000 UTC|2022-01-02 03:04:05.000Z
2022-01-02 03:04:05.999999999 -0700 MST|2022-01-02 10:04:05.999Z
2022-01-02 24:00:00|-
2022-01-02 23:59:60|-
2022-01-02 03:04:05.Z|-
2022-01-02T03:04:05,5Z|2022-01-02 03:04:05.500Z
2022-01-02T03:04:05-0700|2022-01-02 10:04:05.000Z
2022-W01-1|-
2022-002|-";

    #[test]
    fn forms() {
        for fact in FACTS.lines() {
            let (text, expected) = fact.split_once('|').unwrap();
            let found = Timestamp::parse(text).filter(|stamp| *stamp != Timestamp::NONE).map(|stamp| stamp.to_string());
            assert_eq!(found.as_deref().unwrap_or("-"), expected, "{text}");
        }
    }
}
