//! `@now` and its kin: values of the clock, in UTC.

use base::{Timestamp, Value};
use jiff::civil::{Date, DateTime, Time};

use super::compare::Side;

/// The value of a macro; `None` when it is none. Names are case-sensitive.
pub(super) fn value(name: &str, now: Timestamp) -> Option<Side> {
    let text = |stamp: Timestamp| Side::constant(Value::Text(stamp.to_string().into()));
    let number = |number: i64| Side::integer(number);
    let at = |date: Date, end: bool| {
        let time = if end { Time::constant(23, 59, 59, 999_000_000) } else { Time::midnight() };
        text(Timestamp::from_civil(DateTime::from_parts(date, time)))
    };
    const DAY_MS: i64 = 86_400_000;
    let civil = now.civil();
    let date = civil.date();
    Some(match name {
        "@now" => text(now),
        "@yesterday" => text(Timestamp(now.0 - DAY_MS)),
        "@tomorrow" => text(Timestamp(now.0 + DAY_MS)),
        "@todayStart" => at(date, false),
        "@todayEnd" => at(date, true),
        "@monthStart" => at(date.first_of_month(), false),
        "@monthEnd" => at(date.last_of_month(), true),
        "@yearStart" => at(date.first_of_year(), false),
        "@yearEnd" => at(date.last_of_year(), true),
        "@second" => number(civil.second().into()),
        "@minute" => number(civil.minute().into()),
        "@hour" => number(civil.hour().into()),
        "@day" => number(civil.day().into()),
        "@weekday" => number(civil.weekday().to_sunday_zero_offset().into()),
        "@month" => number(civil.month().into()),
        "@year" => number(civil.year().into()),
        _ => return None,
    })
}
