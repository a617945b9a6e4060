//! Series over time, of all processes: rows of points in the store, and what this process knows beside them.

use std::collections::BTreeMap;

use base::limits::{
    PULSE_BLOCK_BYTES_MAX, PULSE_BLOCK_POINTS, PULSE_FORGET_MS, PULSE_POINTS_MAX, PULSE_ROWS_MAX,
    PULSE_STEPS_S, SYSTEM_SERIES_ROWS_MAX, SYSTEM_SERIES_VALUES_MAX,
};
use base::{Kind, Value};
use observe::pulse::{CHOSEN, Chosen, chosen};
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Expr, Op, Operator, Select, Sort};
use serde_json::{Map, Value as Json};
use store::Store;

use super::{PULSES, column, compare, number, put};
use crate::error::{Error, Result};
use crate::parts::Parts;

/// What is wanted. Times are in seconds since 1970.
pub struct Asked {
    /// None for all.
    pub names: Vec<String>,
    /// By their keys; none for all.
    pub nodes: Vec<String>,
    pub from: i64,
    pub to: i64,
    /// The least distance of points (s); 0 for what fits the span.
    pub step: i64,
}

pub struct History {
    /// When the first point is, and how far apart they are (s).
    pub from: i64,
    pub step: i64,
    pub count: usize,
    /// Node, series and points: not a number where there is none.
    pub series: Vec<(String, &'static Chosen, Vec<f32>)>,
}

pub async fn series(parts: &Parts, asked: &Asked) -> Result<History> {
    let tier = tier(parts, asked);
    let step = PULSE_STEPS_S[tier];
    let last = parts.clock.now().seconds().max(asked.from).min(asked.to).div_euclid(step);
    let first = asked.from.div_euclid(step).max(last.saturating_sub(PULSE_POINTS_MAX[tier] as i64));
    if asked.to < asked.from {
        return Err(Error::new(Kind::Invalid, "The span of time ends before it begins."));
    }
    let count = (last - first + 1) as usize;
    let mut names = Vec::new();
    for name in &asked.names {
        let unknown = || Error::new(Kind::Invalid, format!("There is no series {name:?}."));
        names.push(chosen::position(name).ok_or_else(unknown)?);
    }
    let mut canvas = Canvas { first, count, step, names, points: BTreeMap::new() };
    let block_s = PULSE_BLOCK_POINTS[tier] * step;
    let mut select = Select::table(
        PULSES,
        vec![
            Column::new("node", ColumnType::Text),
            Column::new("at", ColumnType::Number),
            Column::new("value", ColumnType::Text),
        ],
    )
    .filter(compare("step", Operator::Eq, step))
    .filter(compare("at", Operator::Gt, (first * step - block_s) * 1000))
    .filter(compare("at", Operator::Le, last * step * 1000))
    .limit(SYSTEM_SERIES_ROWS_MAX);
    if !asked.nodes.is_empty() {
        let values = asked.nodes.iter().map(|node| Value::from(node.as_str())).collect();
        select = select.filter(Expr::In { left: column("node", ColumnType::Text), values });
    }
    select.sort = vec![Sort { by: SortKey::Operand(column("at", ColumnType::Number)), descending: true }];
    for row in parts.system.store.select(&select).await? {
        let (node, at, text) =
            (row.get(0).text_or_empty(), row.get(1).as_number(), row.get(2).text_or_empty());
        if text.len() <= PULSE_BLOCK_BYTES_MAX {
            canvas.draw_text(node, (at / 1e3) as i64, text)?;
        }
    }
    let own = &parts.system.own.key;
    if asked.nodes.is_empty() || asked.nodes.contains(own) {
        let block = parts.system.ring.lock().between(step, first * step, last * step);
        if let Some(block) = block {
            for (name, values) in &block.series {
                if let Some(index) = chosen::position(name) {
                    canvas.draw(own, index, block.start_s, values.iter().copied())?;
                }
            }
        }
    }
    let series = canvas.points.into_iter().map(|((node, index), points)| (node, &CHOSEN[index], points));
    Ok(History { from: first * step, step, count, series: series.collect() })
}

/// The finest resolution that reaches back so far, and is none finer than was asked for.
fn tier(parts: &Parts, asked: &Asked) -> usize {
    let back = parts.clock.now().seconds() - asked.from;
    let reaches = |tier: &usize| PULSE_POINTS_MAX[*tier] as i64 * PULSE_STEPS_S[*tier] >= back;
    let fits = |tier: &usize| PULSE_STEPS_S[*tier] >= asked.step;
    let last = PULSE_STEPS_S.len() - 1;
    (0..=last).find(|tier| reaches(tier) && fits(tier)).unwrap_or(last)
}

/// What is filled with points.
struct Canvas {
    first: i64,
    count: usize,
    step: i64,
    /// Those that are wanted; none for all.
    names: Vec<usize>,
    points: BTreeMap<(String, usize), Vec<f32>>,
}

impl Canvas {
    fn draw_text(&mut self, node: &str, start_s: i64, text: &str) -> Result<()> {
        // What cannot be read is of a version that this one does not know.
        let Ok(stored) = serde_json::from_str::<Map<String, Json>>(text) else { return Ok(()) };
        for (name, values) in &stored {
            let (Some(index), Some(values)) = (chosen::position(name), values.as_array()) else { continue };
            let number = |value: &Json| value.as_f64().map_or(f32::NAN, |value| value as f32);
            self.draw(node, index, start_s, values.iter().map(number))?;
        }
        Ok(())
    }

    fn draw(
        &mut self,
        node: &str,
        index: usize,
        start_s: i64,
        values: impl Iterator<Item = f32>,
    ) -> Result<()> {
        if !self.names.is_empty() && !self.names.contains(&index) {
            return Ok(());
        }
        let key = (node.to_owned(), index);
        if !self.points.contains_key(&key) && (self.points.len() + 1) * self.count > SYSTEM_SERIES_VALUES_MAX
        {
            let message = "That is too much for one answer: name fewer series or nodes, or a longer step.";
            return Err(Error::new(Kind::Invalid, message));
        }
        let points = self.points.entry(key).or_insert_with(|| vec![f32::NAN; self.count]);
        let offset = start_s.div_euclid(self.step) - self.first;
        for (position, value) in values.enumerate() {
            let place = usize::try_from(offset + position as i64).ok().and_then(|at| points.get_mut(at));
            if let Some(place) = place
                && !value.is_nan()
            {
                *place = value;
            }
        }
        Ok(())
    }
}

/// The row of a block of points.
pub(super) fn row(node: &str, step_s: i64, start_s: i64, text: String) -> [Op; 2] {
    let values = vec![
        ("node".into(), Value::from(node)),
        ("step".into(), number(step_s)),
        ("at".into(), number(start_s * 1000)),
        ("value".into(), Value::from(text)),
    ];
    put(PULSES, &format!("{node}:{step_s}:{start_s}"), values)
}

/// Deletes rows past their time, and the oldest of too many.
pub(super) async fn sweep(parts: &Parts) -> Result<()> {
    let (store, now) = (&parts.system.store, parts.clock.now().0);
    let kept = PULSE_STEPS_S.iter().zip(PULSE_POINTS_MAX).zip(PULSE_BLOCK_POINTS);
    let ages = kept.map(|((step, points), block)| (*step, step * (points as i64 + block) * 1000));
    let ops = ages.chain([(0, PULSE_FORGET_MS)]).map(|(step, age)| {
        let old = compare("at", Operator::Lt, now - age);
        Op::DeleteWhere {
            table: PULSES.into(),
            filter: Expr::and([compare("step", Operator::Eq, step), old]),
        }
    });
    store.commit(Batch { ops: ops.collect(), ..Batch::default() }).await?;
    drop_oldest(store, PULSES, compare("step", Operator::Gt, 0), PULSE_ROWS_MAX).await
}

/// Keeps no more rows than that, of those that the filter holds for.
pub(super) async fn drop_oldest(store: &Store, table: &str, filter: Expr, most: u64) -> Result<()> {
    let mut newest =
        Select::table(table, vec![Column::new("at", ColumnType::Number)]).filter(filter.clone()).limit(1);
    newest.sort = vec![Sort { by: SortKey::Operand(column("at", ColumnType::Number)), descending: true }];
    newest.offset = most;
    if let Some(row) = store.first(&newest).await? {
        let old = compare("at", Operator::Le, row.get(0).as_number() as i64);
        let delete = Op::DeleteWhere { table: table.into(), filter: Expr::and([filter, old]) };
        store.commit(Batch::op(delete)).await?;
    }
    Ok(())
}
