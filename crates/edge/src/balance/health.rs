//! Whether a node is to be asked: what checks and answers say of it. A pure state machine over a clock that is handed in.

use std::time::Duration;

use base::limits::{
    FRONT_EJECT_FAILURES, FRONT_EJECT_MS, FRONT_EJECT_MS_MAX, FRONT_EJECT_RATE_FAILURES,
    FRONT_EJECT_RATE_PERCENT, FRONT_EJECT_WINDOW_MS,
};

/// How many checks in a row decide.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Good ones that bring a node back.
    pub rise: u32,
    /// Bad ones that take it out.
    pub fall: u32,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// It answered that it is not to be asked.
    Bad,
    /// It did not answer.
    Unreachable,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Up,
    Down,
    /// Out for a while, because of what it answered.
    Ejected(Duration),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody has heard of it yet: the first good check or answer decides.
    #[default]
    New,
    Up,
    /// By checks, until so many good ones came.
    Down {
        good: u32,
        is_reachable: bool,
    },
    /// By its answers, until then.
    Ejected {
        until: Duration,
    },
}

/// Times are durations since any fixed moment.
#[derive(Clone, Debug, Default)]
pub struct Health {
    state: State,
    /// Bad checks in a row while it is up or ejected.
    bad: u32,
    /// Requests in a row that it did not answer well.
    failures: u32,
    /// How often it was ejected without staying up for long.
    ejections: u32,
    up_since: Duration,
    window: Window,
}

/// Of the last seconds: what its requests came to.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Duration,
    answered: u64,
    failed: u32,
}

impl Health {
    /// For nodes that nobody checks.
    pub fn up() -> Health {
        Health { state: State::Up, ..Health::default() }
    }

    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// It does not answer at all: nothing is lost by not asking it, however few are left.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Down { is_reachable: false, .. })
    }

    /// An active check's outcome. Good ones alone end no ejection before its time: a node whose `/readyz` is fine may answer
    /// everything else with errors.
    pub fn checked(&mut self, outcome: Outcome, checks: Checks, now: Duration) -> Change {
        let is_reachable = outcome != Outcome::Unreachable;
        match (self.state, outcome == Outcome::Good) {
            (State::New, true) => self.rise(now),
            (State::New, false) => {
                self.state = State::Down { good: 0, is_reachable };
                Change::Down
            }
            (State::Up, true) => {
                self.bad = 0;
                Change::None
            }
            (State::Ejected { until }, true) => {
                self.bad = 0;
                if now >= until { self.rise(now) } else { Change::None }
            }
            (State::Up | State::Ejected { .. }, false) => {
                self.bad += 1;
                if self.bad < checks.fall {
                    return Change::None;
                }
                self.state = State::Down { good: 0, is_reachable };
                Change::Down
            }
            (State::Down { good, .. }, true) if good + 1 >= checks.rise => self.rise(now),
            (State::Down { good, .. }, true) => {
                self.state = State::Down { good: good + 1, is_reachable };
                Change::None
            }
            (State::Down { .. }, false) => {
                self.state = State::Down { good: 0, is_reachable };
                Change::None
            }
        }
    }

    fn rise(&mut self, now: Duration) -> Change {
        self.state = State::Up;
        self.bad = 0;
        self.failures = 0;
        self.up_since = now;
        self.window = Window::default();
        Change::Up
    }

    /// A request was answered well. Only needed after a failure.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A request was not: no answer, or a gateway's error. `answered` counts all requests that ever had an answer.
    pub fn failed(&mut self, answered: u64, now: Duration) -> Change {
        if self.state != State::Up {
            return Change::None;
        }
        self.failures += 1;
        if now.saturating_sub(self.window.began) > Duration::from_millis(FRONT_EJECT_WINDOW_MS) {
            self.window = Window { began: now, answered, failed: 0 };
        }
        self.window.failed += 1;
        let all = (answered - self.window.answered.min(answered)).max(u64::from(self.window.failed));
        let often = self.window.failed >= FRONT_EJECT_RATE_FAILURES
            && u64::from(self.window.failed) * 100 >= all * FRONT_EJECT_RATE_PERCENT;
        if self.failures < FRONT_EJECT_FAILURES && !often {
            return Change::None;
        }
        let longest = Duration::from_millis(FRONT_EJECT_MS_MAX);
        // Who stayed up for long after the last time begins anew.
        if now.saturating_sub(self.up_since) > longest {
            self.ejections = 0;
        }
        let doubled = FRONT_EJECT_MS.saturating_mul(1 << self.ejections.min(16));
        let time = Duration::from_millis(doubled).min(longest);
        self.ejections += 1;
        self.failures = 0;
        self.state = State::Ejected { until: now + time };
        Change::Ejected(time)
    }

    /// Time passes: an ejection that nobody's checks will end, ends by itself.
    pub fn tick(&mut self, now: Duration) -> Change {
        match self.state {
            State::Ejected { until } if now >= until => self.rise(now),
            _ => Change::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKS: Checks = Checks { rise: 2, fall: 3 };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn checks_take_a_node_out_and_bring_it_back() {
        let mut health = Health::default();
        assert!(!health.is_up());
        assert_eq!(health.checked(Outcome::Good, CHECKS, at(0)), Change::Up);
        assert_eq!(health.checked(Outcome::Bad, CHECKS, at(1)), Change::None);
        assert_eq!(health.checked(Outcome::Bad, CHECKS, at(2)), Change::None);
        assert_eq!(health.checked(Outcome::Good, CHECKS, at(3)), Change::None);
        for ms in 4..6 {
            assert_eq!(health.checked(Outcome::Unreachable, CHECKS, at(ms)), Change::None);
        }
        assert_eq!(health.checked(Outcome::Unreachable, CHECKS, at(6)), Change::Down);
        assert!(health.is_dead() && !health.is_up());
        assert_eq!(health.checked(Outcome::Good, CHECKS, at(7)), Change::None);
        assert!(!health.is_dead());
        assert_eq!(health.checked(Outcome::Bad, CHECKS, at(8)), Change::None);
        assert_eq!(health.checked(Outcome::Good, CHECKS, at(9)), Change::None);
        assert_eq!(health.checked(Outcome::Good, CHECKS, at(10)), Change::Up);
    }

    #[test]
    fn failures_eject_for_longer_each_time() {
        let mut health = Health::up();
        let mut now = at(1);
        let mut expected = FRONT_EJECT_MS;
        for _ in 0..8 {
            for _ in 1..FRONT_EJECT_FAILURES {
                assert_eq!(health.failed(0, now), Change::None);
            }
            assert_eq!(health.failed(0, now), Change::Ejected(at(expected)));
            // Neither further failures nor checks change that.
            assert_eq!(health.failed(0, now), Change::None);
            assert_eq!(health.checked(Outcome::Good, CHECKS, now), Change::None);
            assert_eq!(health.tick(now), Change::None);
            now += at(expected);
            assert_eq!(health.tick(now), Change::Up);
            expected = (expected * 2).min(FRONT_EJECT_MS_MAX);
        }
        now += at(FRONT_EJECT_MS_MAX + 1);
        (1..FRONT_EJECT_FAILURES).for_each(|_| assert_eq!(health.failed(0, now), Change::None));
        assert_eq!(health.failed(0, now), Change::Ejected(at(FRONT_EJECT_MS)));
    }

    #[test]
    fn a_part_of_bad_answers_ejects_and_a_few_do_not() {
        let mut health = Health::up();
        let mut answered = 0;
        for _ in 0..1000 {
            // One in ten.
            answered += 10;
            assert_eq!(health.failed(answered, at(1)), Change::None);
            health.succeeded();
        }
        let mut ejected = false;
        for _ in 0..FRONT_EJECT_RATE_FAILURES * 2 {
            answered += 1;
            ejected |= health.failed(answered, at(FRONT_EJECT_WINDOW_MS + 2)) != Change::None;
            health.succeeded();
        }
        assert!(ejected);
    }

    #[test]
    fn no_order_of_reports_breaks_what_holds() {
        for seed in 0..2_000u64 {
            let (mut health, mut now, mut up) = (Health::default(), Duration::ZERO, false);
            let mut state = seed;
            for _ in 0..200 {
                state = crate::upstream::mix(state.wrapping_add(1));
                now += at(state >> 54);
                let change = match state % 5 {
                    0 => health.checked(Outcome::Good, CHECKS, now),
                    1 => health.checked(Outcome::Bad, CHECKS, now),
                    2 => health.checked(Outcome::Unreachable, CHECKS, now),
                    3 => health.failed(state & 0xff, now),
                    _ => health.tick(now),
                };
                // Every change is told, once.
                match change {
                    Change::None => {}
                    Change::Up => assert!(!std::mem::replace(&mut up, true)),
                    Change::Ejected(_) => assert!(std::mem::replace(&mut up, false)),
                    Change::Down => up = false,
                }
                assert_eq!(health.is_up(), up, "seed {seed}");
                assert!(!(up && health.is_dead()));
            }
        }
    }
}
