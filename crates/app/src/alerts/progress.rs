//! How a rule stands, as a pure state machine. Time is what has passed by a clock that nobody sets, so a calendar that jumps
//! neither fires nor resolves anything.

use base::limits::{ALERT_CLEAR_MS, ALERT_REMIND_MS};
use serde::{Deserialize, Serialize};

use super::rule::{Measured, Rule};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Ok,
    /// It holds, but not for long enough.
    Pending,
    Firing,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Pending => "pending",
            Status::Firing => "firing",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub status: Status,
    /// Since when (ms), for people.
    pub since: i64,
    pub value: Option<f64>,
    pub elements: Vec<String>,
    /// When it was told last (ms).
    pub notified: i64,
    /// For how long it has held, or has been well again.
    #[serde(skip)]
    held_ms: u64,
    #[serde(skip)]
    told_ms: u64,
    /// As it is stored.
    #[serde(skip)]
    pub(super) stored: String,
    #[serde(skip)]
    pub(super) has_row: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Fired,
    Reminder,
    Resolved,
}

impl Progress {
    /// Whoever takes over from another process does not know for how long it was; it was told at most so long ago.
    pub fn resumed(mut self, now: i64) -> Progress {
        let ago = u64::try_from(now - self.notified).unwrap_or(0);
        self.told_ms = ago.min(ALERT_REMIND_MS);
        self
    }

    /// What was measured after so much time. Says what is to be told, if anything.
    pub fn step(&mut self, rule: &Rule, found: Option<&Measured>, elapsed_ms: u64, now: i64) -> Option<Turn> {
        let is_beyond = found.is_some_and(|found| rule.is_beyond(found.value));
        let is_well = found.is_none_or(|found| rule.is_well(found.value));
        if is_beyond && let Some(found) = found {
            (self.value, self.elements) = (Some(found.value), found.elements.clone());
        }
        self.told_ms = self.told_ms.saturating_add(elapsed_ms);
        match self.status {
            Status::Ok | Status::Pending if is_beyond => {
                if self.status == Status::Ok {
                    (self.status, self.since, self.held_ms) = (Status::Pending, now, 0);
                } else {
                    self.held_ms = self.held_ms.saturating_add(elapsed_ms);
                }
                (self.held_ms >= rule.for_ms).then(|| {
                    (self.status, self.held_ms, self.told_ms, self.notified) = (Status::Firing, 0, 0, now);
                    Turn::Fired
                })
            }
            Status::Ok => None,
            Status::Pending => {
                self.end();
                None
            }
            Status::Firing => {
                self.held_ms = if is_well { self.held_ms.saturating_add(elapsed_ms) } else { 0 };
                if is_well && self.held_ms >= rule.for_ms.max(ALERT_CLEAR_MS) {
                    self.end();
                    self.notified = now;
                    return Some(Turn::Resolved);
                }
                (is_beyond && self.told_ms >= ALERT_REMIND_MS).then(|| {
                    (self.told_ms, self.notified) = (0, now);
                    Turn::Reminder
                })
            }
        }
    }

    fn end(&mut self) {
        (self.status, self.since, self.held_ms, self.value) = (Status::Ok, 0, 0, None);
        self.elements.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_MS: u64 = 10_000;

    fn rule() -> Rule {
        let mut rule = Rule::shipped().into_iter().find(|rule| rule.id == "queue-age").unwrap();
        rule.for_ms = 30_000;
        rule
    }

    /// What is told when these values are measured, one in each tick.
    fn run(progress: &mut Progress, values: &[Option<f64>]) -> Vec<(usize, Turn)> {
        let rule = rule();
        let mut told = Vec::new();
        for (tick, value) in values.iter().enumerate() {
            let found = value.map(|value| Measured { value, elements: vec!["queue:jobs".into()] });
            if let Some(turn) = progress.step(&rule, found.as_ref(), TICK_MS, tick as i64) {
                told.push((tick, turn));
            }
        }
        told
    }

    #[test]
    fn what_holds_for_long_enough_fires_once_and_is_resolved_once() {
        let mut progress = Progress::default();
        let mut values = vec![Some(400.0); 6];
        values.extend([Some(0.0); 9]);
        assert_eq!(run(&mut progress, &values), [(3, Turn::Fired), (11, Turn::Resolved)]);
        assert_eq!(progress.status, Status::Ok);
    }

    #[test]
    fn what_comes_and_goes_is_not_told() {
        let mut progress = Progress::default();
        let values: Vec<_> = (0..60).map(|tick| Some(if tick % 3 == 2 { 0.0 } else { 400.0 })).collect();
        assert_eq!(run(&mut progress, &values), []);
        // Around the threshold, or well for a moment only, it goes on to fire.
        let values: Vec<_> = (0..60)
            .map(|tick| {
                Some(match tick {
                    0..9 => 400.0,
                    tick if tick % 4 == 0 => 299.0,
                    tick if tick % 4 == 1 => 0.0,
                    _ => 301.0,
                })
            })
            .collect();
        assert_eq!(run(&mut progress, &values), [(3, Turn::Fired)]);
        assert_eq!(progress.status, Status::Firing);
    }

    #[test]
    fn it_is_told_again_after_hours_and_not_because_of_a_calendar() {
        let rule = rule();
        let found = Measured { value: 400.0, elements: Vec::new() };
        let mut progress = Progress { status: Status::Firing, notified: 1_000, ..Progress::default() };
        let hours = ALERT_REMIND_MS / TICK_MS;
        let mut told = 0;
        for tick in 0..hours * 2 {
            // The calendar jumps by a year now and then.
            let now = 31_536_000_000 * (tick % 7) as i64;
            told += usize::from(progress.step(&rule, Some(&found), TICK_MS, now) == Some(Turn::Reminder));
        }
        assert_eq!(told, 2);
    }

    #[test]
    fn another_process_goes_on_where_one_ended() {
        let mut progress = Progress::default();
        run(&mut progress, &[Some(400.0); 6]);
        let text = serde_json::to_string(&progress).unwrap();
        let mut next = serde_json::from_str::<Progress>(&text).unwrap().resumed(20);
        assert_eq!(next.status, Status::Firing);
        assert_eq!(run(&mut next, &[Some(400.0); 6]), [], "it is not told again");
        assert_eq!(run(&mut next, &[Some(1.0); 6]), [(5, Turn::Resolved)]);
    }

    #[test]
    fn what_is_gone_is_well() {
        let mut progress = Progress::default();
        let mut values = vec![Some(400.0); 4];
        values.extend([None; 9]);
        assert_eq!(run(&mut progress, &values), [(3, Turn::Fired), (9, Turn::Resolved)]);
    }
}
