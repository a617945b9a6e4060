//! What the rows come to. The database counts; here sums are made of its counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::limits::{INSIGHT_DAYS_DEFAULT, INSIGHT_DAYS_MAX, INSIGHT_FRESH_MS};
use base::{Name, Timestamp, Value};
use metrics::gauge;
use model::{Collection, FieldKind, Violation};
use query::visits::By;
use query::{ColumnType, Expr, Operand, Operator, Select, Visits};
use tokio::sync::Mutex;

use super::{DAY_MS, TABLE};
use crate::error::{Error, Result};
use crate::parts::Parts;

/// The windows, in days.
const WEEK: i64 = 7;
const MONTH: i64 = 30;
/// Reports that are kept for a minute.
const KEPT_MAX: usize = 64;
/// Collections whose figures are metrics.
const SAMPLED_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub collection: Name,
    pub enabled: bool,
    pub computed: Timestamp,
    /// Records there are.
    pub total: u64,
    /// The oldest first; the last is today.
    pub days: Vec<Day>,
    pub cohorts: Vec<Cohort>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Day {
    /// Days since 1970.
    pub day: i64,
    pub active: u64,
    pub week: u64,
    pub month: u64,
    /// `None` where nobody knows when records were made.
    pub new: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// Its Monday, in days since 1970.
    pub monday: i64,
    /// How many were active in the week itself, and in each after it.
    pub back: Vec<u64>,
}

type Kept = BTreeMap<(Name, i64), Arc<Report>>;

/// Reports of the last minute.
#[derive(Default)]
pub struct Reports(Mutex<Kept>);

/// The figures of an auth collection, at most a minute old. An empty name is the first auth collection beside the superusers'.
pub async fn report(parts: &Parts, name: &str, days: Option<i64>) -> Result<Arc<Report>> {
    let schema = parts.catalog.schema();
    let found = match name {
        "" => schema.collections.iter().find(|found| found.is_auth() && !found.is_superusers()),
        name => schema.find(name).filter(|found| found.is_auth()),
    };
    let invalid =
        |field: &str, message: &str| Error::form(field, Violation::new("validation_invalid_value", message));
    let collection = found.ok_or_else(|| invalid("collection", "Must be an auth collection."))?;
    let days = days.unwrap_or(INSIGHT_DAYS_DEFAULT);
    if !(1..=INSIGHT_DAYS_MAX).contains(&days) {
        return Err(invalid("days", "Must be between 1 and 366."));
    }
    // One at a time: who asks meanwhile gets the same.
    let mut kept = parts.reports.0.lock().await;
    let key = (collection.id.clone(), days);
    let now = parts.clock.now();
    let enabled = parts.active.is_enabled();
    let is_fresh = |report: &Arc<Report>| {
        (now.0 - report.computed.0).abs() < INSIGHT_FRESH_MS && report.enabled == enabled
    };
    if let Some(report) =
        kept.get(&key).filter(|report| is_fresh(report) && report.collection == collection.name)
    {
        return Ok(report.clone());
    }
    let report = Arc::new(compute(parts, collection, days, now).await?);
    kept.retain(|_, report| is_fresh(report));
    if kept.len() < KEPT_MAX {
        kept.insert(key, report.clone());
    }
    Ok(report)
}

async fn compute(parts: &Parts, collection: &Arc<Collection>, days: i64, now: Timestamp) -> Result<Report> {
    let today = now.0.div_euclid(DAY_MS);
    let first = today - days + 1;
    let ask = |by| {
        let visits = Visits { table: TABLE.into(), collection: collection.id.clone(), by };
        async move { parts.store.visits(&visits).await }
    };
    let spans = ask(By::Span { since: first - MONTH + 1, longest: MONTH }).await?;
    let weeks = ask(By::Week).await?;
    let new = new_by_day(parts, collection, first).await?;
    let mut days: Vec<Day> = rolling(&spans, first, today);
    for day in &mut days {
        day.new = new.as_ref().map(|new| new.get(&day.day).copied().unwrap_or_default());
    }
    Ok(Report {
        collection: collection.name.clone(),
        enabled: parts.active.is_enabled(),
        computed: now,
        total: parts.store.count(&Select::table(collection.name.clone(), Vec::new())).await?,
        days,
        cohorts: cohorts(&weeks),
    })
}

/// Of each day: who came on it, and who within the week and the month that end with it.
fn rolling(spans: &[[i64; 3]], first: i64, today: i64) -> Vec<Day> {
    // A visit is an account's last within a window that ends on a day, from its own day until the account comes again, but not
    // for longer than the window. So it counts on a run of days: what begins and what ends is noted, and summed up.
    let length = (today - first + 1).max(0) as usize;
    let mut deltas = [vec![0_i64; length + 1], vec![0; length + 1], vec![0; length + 1]];
    for &[day, gap, count] in spans {
        for (deltas, window) in deltas.iter_mut().zip([1, WEEK, MONTH]) {
            let (from, to) = (day.max(first), (day + gap.min(window)).min(today + 1));
            if from < to {
                deltas[(from - first) as usize] += count;
                deltas[(to - first) as usize] -= count;
            }
        }
    }
    let mut sums = [0_i64; 3];
    let day = |at: usize| {
        for (sum, deltas) in sums.iter_mut().zip(&deltas) {
            *sum += deltas[at];
        }
        let [active, week, month] = sums.map(|sum| sum.max(0) as u64);
        Day { day: first + at as i64, active, week, month, new: None }
    };
    (0..length).map(day).collect()
}

fn cohorts(weeks: &[[i64; 3]]) -> Vec<Cohort> {
    let newest = weeks.iter().map(|[_, week, _]| *week).max().unwrap_or_default();
    let mut by_week: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for &[first, week, count] in weeks {
        let length = (newest - first + 1).max(0) as usize;
        let back = by_week.entry(first).or_insert_with(|| vec![0; length]);
        if let Some(place) = back.get_mut((week - first).max(0) as usize) {
            *place = count as u64;
        }
    }
    // The first day of 1970 was a Thursday.
    by_week.into_iter().map(|(week, back)| Cohort { monday: week * WEEK - 3, back }).collect()
}

/// How many records were made on each day; `None` where none says when it was.
async fn new_by_day(
    parts: &Parts,
    collection: &Arc<Collection>,
    first: i64,
) -> Result<Option<BTreeMap<i64, u64>>> {
    let created = collection.field("created").map(|field| &field.kind);
    if !matches!(created, Some(FieldKind::Autodate(autodate)) if autodate.on_create) {
        return Ok(None);
    }
    let since = Expr::Compare {
        left: Operand::base("created", ColumnType::Date),
        op: Operator::Ge,
        right: Value::from(Timestamp(first * DAY_MS).to_string()).into(),
    };
    let select = Select::table(collection.name.clone(), Vec::new()).filter(since);
    let mut days = BTreeMap::new();
    for (hour, count) in parts.store.count_by_hour(&select, &Name::from("created")).await? {
        if let Some(at) = Timestamp::parse(&hour) {
            *days.entry(at.0.div_euclid(DAY_MS)).or_default() += count;
        }
    }
    Ok(Some(days))
}

/// Sets the gauges of today, by figures that may be a minute old.
pub async fn sample(parts: &Parts) -> Result<()> {
    if !parts.active.is_enabled() {
        return Ok(());
    }
    let schema = parts.catalog.schema();
    let all = schema.collections.iter().filter(|found| found.is_auth() && !found.is_superusers());
    for collection in all.take(SAMPLED_MAX) {
        let report = report(parts, &collection.name, None).await?;
        let name = collection.name.to_string();
        gauge!("pando_accounts", "collection" => name.clone()).set(report.total as f64);
        let Some(today) = report.days.last() else { continue };
        for (window, count) in [("day", today.active), ("week", today.week), ("month", today.month)] {
            gauge!("pando_accounts_active", "collection" => name.clone(), "window" => window)
                .set(count as f64);
        }
        if let Some(new) = today.new {
            gauge!("pando_accounts_new", "collection" => name).set(new as f64);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by looking at every account and window.
    fn plainly(visits: &[(i64, i64)], first: i64, today: i64) -> Vec<Day> {
        let within = |day: i64, window: i64| {
            let mut who: Vec<i64> = visits
                .iter()
                .filter(|(_, at)| (day - window + 1..=day).contains(at))
                .map(|(who, _)| *who)
                .collect();
            who.sort_unstable();
            who.dedup();
            who.len() as u64
        };
        (first..=today)
            .map(|day| Day {
                day,
                active: within(day, 1),
                week: within(day, WEEK),
                month: within(day, MONTH),
                new: None,
            })
            .collect()
    }

    fn spans(visits: &[(i64, i64)], since: i64) -> Vec<[i64; 3]> {
        let visits: Vec<_> = visits.iter().filter(|(_, day)| *day >= since).collect();
        let next = |who: i64, day: i64| {
            visits.iter().filter(|(other, at)| *other == who && *at > day).map(|(_, at)| at - day).min()
        };
        visits.iter().map(|(who, day)| [*day, next(*who, *day).unwrap_or(MONTH).min(MONTH), 1]).collect()
    }

    #[test]
    fn sums_of_spans_are_accounts_in_windows() {
        let mut seed = 7_u64;
        let mut roll = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..50 {
            let mut visits: Vec<(i64, i64)> =
                (0..roll(80)).map(|_| (roll(6) as i64, 100 + roll(90) as i64)).collect();
            visits.sort_unstable();
            visits.dedup();
            let (first, today) = (150, 189);
            let told = rolling(&spans(&visits, first - MONTH + 1), first, today);
            assert_eq!(told, plainly(&visits, first, today), "{visits:?}");
        }
    }

    #[test]
    fn cohorts_are_whole_rows() {
        let told = cohorts(&[[10, 10, 5], [10, 12, 2], [11, 11, 1]]);
        assert_eq!(
            told,
            [Cohort { monday: 67, back: vec![5, 0, 2] }, Cohort { monday: 74, back: vec![1, 0] }]
        );
    }
}
