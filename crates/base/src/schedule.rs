//! Cron expressions as the reference has them: five segments (minute, hour, day of month, month, day of week), or a
//! macro, in UTC. Narrower than what cron dialects offer elsewhere, and a day must match both as a day of the month
//! and as a day of the week, so that a general parser would accept and run other things than the reference does.

use crate::Timestamp;

/// When something is due, by the minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// One bit for each value that matches.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Schedule {
    /// What is wrong is told in the reference's terms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = MACROS.iter().find(|(name, _)| *name == text).map_or(text, |(_, expression)| expression);
        let segments: Vec<&str> = text.split(' ').collect();
        let [minutes, hours, days, months, weekdays] = segments[..] else {
            return Err(
                "invalid cron expression - must be a valid macro or to have exactly 5 space separated \
                        segments"
                    .into(),
            );
        };
        Ok(Schedule {
            minutes: segment(minutes, 0, 59)?,
            hours: segment(hours, 0, 23)?,
            days: segment(days, 1, 31)?,
            months: segment(months, 1, 12)?,
            weekdays: segment(weekdays, 0, 6)?,
        })
    }

    /// Whether the minute that the time lies in is one.
    pub fn is_due(&self, at: Timestamp) -> bool {
        let civil = at.civil();
        let has = |bits: u64, value: i8| bits & (1 << value) != 0;
        has(self.minutes, civil.minute())
            && has(self.hours, civil.hour())
            && has(self.days, civil.day())
            && has(self.months, civil.month())
            && has(self.weekdays, civil.weekday().to_sunday_zero_offset())
    }
}

fn segment(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let mut bits = 0;
    for part in text.split(',') {
        if part.matches('/').count() > 1 {
            return Err("invalid segment step format - must be in the format */n or 1-30/n".into());
        }
        let (range, step) = match part.split_once('/') {
            None => (part, 1),
            Some((range, step)) => (range, number(step)?),
        };
        if part.contains('/') && !(1..=max).contains(&step) {
            return Err(format!("invalid segment step boundary - the step must be between 1 and the {max}"));
        }
        if range.matches('-').count() > 1 {
            return Err("invalid segment range format - the range must have 1 or 2 parts".into());
        }
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            None if step > 1 => {
                return Err("invalid segment step - step > 1 could be used only with the wildcard or range \
                            format"
                    .into());
            }
            None => {
                let value = number(range)?;
                if !(min..=max).contains(&value) {
                    return Err(
                        "invalid segment value - must be between the min and max of the segment".into()
                    );
                }
                (value, value)
            }
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if !(min..=max).contains(&first) {
                    return Err(format!("invalid segment range minimum - must be between {min} and {max}"));
                }
                if !(first..=max).contains(&last) {
                    return Err(format!("invalid segment range maximum - must be between {first} and {max}"));
                }
                (first, last)
            }
        };
        bits |= (first..=last).step_by(step as usize).fold(0, |bits, value| bits | 1 << value);
    }
    Ok(bits)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_reference_refuses() {
        for text in ["* * * * *", "@daily", "*/5 * * * *", "1-5/2 * * * *", "1,2,3 4 * * *", "01 02 * * *"] {
            assert!(Schedule::parse(text).is_ok(), "{text}");
        }
        for text in [
            "@reboot",
            "60 * * * *",
            "* * * * * *",
            "5/2 * * * *",
            "0 0 * * 7",
            "0 0 * * SUN",
            "5-1 * * * *",
            "*/0 * * * *",
            "*/61 * * * *",
            "0 0 L * *",
            " 0  3 * * *",
            "? * * * *",
            "0 0 0 * *",
            "1,,2 * * * *",
            "",
            "-1 * * * *",
            "18446744073709551616 * * * *",
            "*/18446744073709551615 * * * *",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn is_due_in_its_minutes_only() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let schedule = Schedule::parse("*/20 3 * 2 6").unwrap();
        // A Saturday of February.
        assert!(schedule.is_due(at("2026-02-21 03:40:59.999Z")));
        for other in
            ["2026-02-21 03:41:00Z", "2026-02-21 04:40:00Z", "2026-02-20 03:40:00Z", "2026-03-21 03:40:00Z"]
        {
            assert!(!schedule.is_due(at(other)), "{other}");
        }
    }
}
