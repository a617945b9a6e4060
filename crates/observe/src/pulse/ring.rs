//! The last points of this process, in three resolutions, each made from what was counted in its whole step, so that a
//! percentile of ten minutes is one of ten minutes and not the mean of sixty.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use base::limits::{PULSE_BLOCK_POINTS, PULSE_POINTS_MAX, PULSE_STEPS_S};

use super::chosen::CHOSEN;
use super::reading::Reading;

pub struct Ring {
    tiers: [Tier; 3],
}

struct Tier {
    step_s: i64,
    points_max: usize,
    begun: Option<Begun>,
    points: VecDeque<Point>,
    /// The last that was given to the store.
    flushed: Option<i64>,
}

/// The step that is under way.
struct Begun {
    slot: i64,
    at: Instant,
    reading: Reading,
    /// Of gauges: the sum and the number of the values seen.
    gauges: Vec<(f64, u32)>,
}

struct Point {
    slot: i64,
    values: Box<[f32]>,
}

/// Points that follow each other, as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub step_s: i64,
    /// In seconds since 1970.
    pub start_s: i64,
    /// For each series that has any value: a value for each step, not a number where there is none.
    pub series: Vec<(&'static str, Vec<f32>)>,
}

/// How far a store was brought.
#[derive(Default)]
pub struct Mark([Option<i64>; 3]);

impl Block {
    /// As it is stored and told: an object with a list for each series, `null` where there is no value.
    pub fn text(&self) -> String {
        let mut text = String::from("{");
        for (position, (name, values)) in self.series.iter().enumerate() {
            text.push_str(if position == 0 { "\"" } else { ",\"" });
            text.push_str(name);
            text.push_str("\":[");
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                match value.is_nan() {
                    true => text.push_str("null"),
                    false => base::json::write_number(&mut text, rounded(*value)),
                }
            }
            text.push(']');
        }
        text.push('}');
        text
    }
}

/// Four digits say all that a chart shows, and cost a third of what all cost.
pub fn rounded(value: f32) -> f64 {
    let value = f64::from(value);
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.abs());
    if digits < 0 { (value / scale).round() * scale } else { (value * scale).round() / scale }
}

impl Default for Ring {
    fn default() -> Self {
        let tier = |index: usize| Tier {
            step_s: PULSE_STEPS_S[index],
            points_max: PULSE_POINTS_MAX[index],
            begun: None,
            points: VecDeque::new(),
            flushed: None,
        };
        Ring { tiers: [tier(0), tier(1), tier(2)] }
    }
}

impl Ring {
    /// What was read at that time: by the calendar (s) for where it stands, and by a clock that nobody sets for how much
    /// time has passed.
    pub fn push(&mut self, wall_s: i64, at: Instant, reading: &Reading) {
        for tier in &mut self.tiers {
            tier.push(wall_s, at, reading);
        }
    }

    /// The newest values, and when they were made (s).
    pub fn latest(&self) -> Option<(i64, &[f32])> {
        let tier = &self.tiers[0];
        tier.points.back().map(|point| ((point.slot + 1) * tier.step_s, &*point.values))
    }

    /// Blocks with points that the store does not have, whole as far as they go. Of the finest resolution only those that
    /// are complete, unless all are wanted; then a mark for [`Ring::stored`].
    pub fn unstored(&self, all: bool) -> (Vec<Block>, Mark) {
        let (mut blocks, mut mark) = (Vec::new(), Mark::default());
        for ((tier, points), mark) in self.tiers.iter().zip(PULSE_BLOCK_POINTS).zip(&mut mark.0) {
            let Some(last) = tier.points.back().map(|point| point.slot) else { continue };
            let is_new = |point: &&Point| tier.flushed.is_none_or(|flushed| point.slot > flushed);
            let Some(first) = tier.points.iter().find(is_new).map(|point| point.slot) else { continue };
            let is_complete = last.rem_euclid(points) == points - 1;
            let is_fine = tier.step_s == PULSE_STEPS_S[0];
            if is_fine && !all && !is_complete && first.div_euclid(points) == last.div_euclid(points) {
                continue;
            }
            for block in first.div_euclid(points)..=last.div_euclid(points) {
                blocks.extend(tier.block(block * points, points));
            }
            *mark = Some(last);
        }
        (blocks, mark)
    }

    /// The newest values by their names.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let Some((_, values)) = self.latest() else { return BTreeMap::new() };
        let known = CHOSEN.iter().zip(values).filter(|(_, value)| !value.is_nan());
        known.map(|(chosen, value)| (chosen.name.to_owned(), rounded(*value))).collect()
    }

    /// The last two blocks of each resolution, for whoever keeps them for this process and may miss one.
    pub fn recent(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (tier, points) in self.tiers.iter().zip(PULSE_BLOCK_POINTS) {
            let Some(last) = tier.points.back().map(|point| point.slot.div_euclid(points)) else { continue };
            blocks.extend((last - 1..=last).filter_map(|block| tier.block(block * points, points)));
        }
        blocks
    }

    /// What was told as not stored is stored now.
    pub fn stored(&mut self, mark: Mark) {
        for (tier, mark) in self.tiers.iter_mut().zip(mark.0) {
            tier.flushed = mark.or(tier.flushed);
        }
    }

    /// Points between these times (s), in the resolution of that step.
    pub fn between(&self, step_s: i64, from_s: i64, to_s: i64) -> Option<Block> {
        let tier = self.tiers.iter().find(|tier| tier.step_s == step_s)?;
        let from = from_s.div_euclid(step_s).max(tier.points.front()?.slot);
        let to = to_s.div_euclid(step_s).min(tier.points.back()?.slot);
        if to < from { None } else { tier.block(from, to - from + 1) }
    }
}

impl Tier {
    fn push(&mut self, wall_s: i64, at: Instant, reading: &Reading) {
        let slot = wall_s.div_euclid(self.step_s);
        if let Some(begun) = &mut self.begun {
            begun.see(reading);
        }
        match &self.begun {
            Some(begun) if begun.slot == slot && self.step_s > PULSE_STEPS_S[0] => return,
            Some(begun) => {
                let seconds = at.duration_since(begun.at).as_secs_f64();
                if seconds > 0.0 {
                    let values = begun.values(reading, seconds);
                    self.keep(begun.slot, values);
                }
            }
            None => {}
        }
        let gauges = vec![(0.0, 0); CHOSEN.len()];
        self.begun = Some(Begun { slot, at, reading: reading.clone(), gauges });
    }

    /// Points are in order also when the calendar was set back: what was kept of the same and of later times goes.
    fn keep(&mut self, slot: i64, values: Vec<f32>) {
        while self.points.back().is_some_and(|last| last.slot >= slot) {
            self.points.pop_back();
        }
        if self.flushed.is_some_and(|flushed| flushed >= slot) {
            self.flushed = Some(slot - 1);
        }
        if self.points.len() == self.points_max {
            self.points.pop_front();
        }
        self.points.push_back(Point { slot, values: values.into() });
    }

    fn block(&self, first: i64, count: i64) -> Option<Block> {
        let within: Vec<&Point> =
            self.points.iter().filter(|point| (first..first + count).contains(&point.slot)).collect();
        let mut series = Vec::new();
        for (index, chosen) in CHOSEN.iter().enumerate() {
            if within.iter().all(|point| point.values[index].is_nan()) {
                continue;
            }
            let mut values = vec![f32::NAN; count as usize];
            for point in &within {
                values[(point.slot - first) as usize] = point.values[index];
            }
            series.push((chosen.name, values));
        }
        (!series.is_empty()).then(|| Block { step_s: self.step_s, start_s: first * self.step_s, series })
    }
}

impl Begun {
    fn see(&mut self, reading: &Reading) {
        for (index, (sum, count)) in self.gauges.iter_mut().enumerate() {
            if let Some(value) = reading.gauge(index) {
                *sum += value;
                *count += 1;
            }
        }
    }

    fn values(&self, reading: &Reading, seconds: f64) -> Vec<f32> {
        let mut values = reading.since(&self.reading, seconds);
        for (value, (sum, count)) in values.iter_mut().zip(&self.gauges) {
            if *count > 0 {
                *value = (sum / f64::from(*count)) as f32;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A process that answers `rate` requests in a second and has as many connections.
    fn run(ring: &mut Ring, from_s: i64, seconds: i64, start: Instant, rate: i64) {
        for tick in (0..=seconds).step_by(10) {
            let text = format!(
                "pando_http_requests_total{{status=\"2xx\"}} {}\npando_http_connections {rate}\n",
                (from_s + tick) * rate
            );
            let at = start + Duration::from_secs((from_s + tick) as u64);
            ring.push(from_s + tick, at, &Reading::of(&text));
        }
    }

    #[test]
    fn three_resolutions_are_kept_and_bounded() {
        let (mut ring, start) = (Ring::default(), Instant::now());
        run(&mut ring, 6_000, 7_200, start, 3);
        let fine = ring.between(10, 0, i64::MAX / 2).unwrap();
        assert_eq!(fine.series.iter().find(|(name, _)| *name == "http.requests").unwrap().1, vec![3.0; 360]);
        let minutes = ring.between(60, 0, i64::MAX / 2).unwrap();
        assert_eq!(minutes.start_s, 6_000);
        assert_eq!(minutes.series[0], ("http.requests", vec![3.0; 120]));
        assert_eq!(ring.between(600, 0, i64::MAX / 2).unwrap().series[0].1, vec![3.0; 12]);
        assert_eq!(ring.between(60, 6_060, 6_119).unwrap().series[0].1.len(), 1);
        assert_eq!(ring.between(7, 0, 1), None);
    }

    #[test]
    fn every_point_reaches_the_store_once_its_block_is_whole() {
        let (mut ring, start) = (Ring::default(), Instant::now());
        run(&mut ring, 6_000, 30, start, 1);
        assert!(ring.unstored(false).0.is_empty());
        assert_eq!(ring.unstored(true).0.len(), 1);
        run(&mut ring, 6_040, 60, start, 1);
        let (blocks, mark) = ring.unstored(false);
        assert_eq!(ring.unstored(false).0.len(), blocks.len(), "what was not written is told again");
        ring.stored(mark);
        let fine: Vec<i64> =
            blocks.iter().filter(|block| block.step_s == 10).map(|block| block.start_s).collect();
        assert_eq!(fine, [6_000, 6_060]);
        assert!(ring.unstored(false).0.is_empty());
    }

    #[test]
    fn four_digits_are_kept() {
        for (value, kept) in [
            (0.0, 0.0),
            (0.0012346, 0.001235),
            (-12345.6, -12350.0),
            (1.0, 1.0),
            (134_217_728.0, 134_200_000.0),
        ] {
            assert_eq!(rounded(value), kept, "{value}");
        }
        assert_eq!(rounded(f32::NAN), 0.0);
        let series = vec![("a", vec![1.0, f32::NAN]), ("b", vec![0.1, 2.0])];
        let block = Block { step_s: 10, start_s: 0, series };
        assert_eq!(block.text(), r#"{"a":[1,null],"b":[0.1,2]}"#);
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_points_in_order() {
        let (mut ring, start) = (Ring::default(), Instant::now());
        run(&mut ring, 6_000, 600, start, 1);
        let (_, mark) = ring.unstored(true);
        ring.stored(mark);
        let text = "pando_http_connections 9\n";
        for tick in 0..3 {
            let at = start + Duration::from_secs(7_000 + tick * 10);
            ring.push(6_200 + tick as i64 * 10, at, &Reading::of(text));
        }
        let (at, _) = ring.latest().unwrap();
        assert_eq!(at, 6_220);
        assert!(!ring.unstored(true).0.is_empty());
        let slots: Vec<i64> = ring.tiers[0].points.iter().map(|point| point.slot).collect();
        assert!(slots.is_sorted());
    }
}
