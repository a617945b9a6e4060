//! Who may run next. Each queue has its own bound, and all together one; queues of a higher priority go first where that
//! is reached, and every queue may have one job running whatever the others do, so that none starves.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Lane;

pub struct Places {
    /// In order of priority, the highest first.
    lanes: Vec<Bound>,
    all_max: usize,
    state: Mutex<State>,
}

struct Bound {
    max: usize,
    freed: Notify,
}

struct State {
    running: Vec<usize>,
    waiting: Vec<bool>,
}

/// Held while a job runs.
pub struct Place {
    places: Arc<Places>,
    lane: usize,
}

impl Places {
    pub fn new(lanes: &[Lane], all_max: usize) -> Arc<Places> {
        let state = State { running: vec![0; lanes.len()], waiting: vec![false; lanes.len()] };
        let bound = |lane: &Lane| Bound { max: lane.concurrency, freed: Notify::new() };
        Arc::new(Places { lanes: lanes.iter().map(bound).collect(), all_max, state: Mutex::new(state) })
    }

    /// At least one place, and as many as there are.
    pub async fn take(self: &Arc<Self>, lane: usize) -> Vec<Place> {
        loop {
            let count = self.grant(lane);
            if count > 0 {
                let place = |_| Place { places: self.clone(), lane };
                return (0..count).map(place).collect();
            }
            self.lanes[lane].freed.notified().await;
        }
    }

    fn grant(&self, lane: usize) -> usize {
        let mut state = self.state.lock();
        let running = state.running[lane];
        let own = self.lanes[lane].max.saturating_sub(running);
        let all: usize = state.running.iter().sum();
        let could = |other: usize| state.waiting[other] && state.running[other] < self.lanes[other].max;
        let higher = (0..lane).any(could);
        let shared = if higher { 0 } else { self.all_max.saturating_sub(all) };
        let count = own.min(shared.max(usize::from(running == 0)));
        state.running[lane] += count;
        state.waiting[lane] = count == 0;
        count
    }

    fn give_back(&self, lane: usize) {
        let mut state = self.state.lock();
        state.running[lane] -= 1;
        for (bound, waits) in self.lanes.iter().zip(&mut state.waiting) {
            if std::mem::take(waits) {
                bound.freed.notify_one();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(self.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(bounds: &[usize]) -> Vec<Lane> {
        let lane = |(at, max): (usize, &usize)| Lane {
            name: format!("q{at}").into(),
            concurrency: *max,
            priority: 0,
        };
        bounds.iter().enumerate().map(lane).collect()
    }

    #[tokio::test]
    async fn the_highest_go_first_and_none_starves() {
        let places = Places::new(&lanes(&[3, 4, 2]), 4);
        let high = places.take(0).await;
        assert_eq!(high.len(), 3, "its own bound");
        let low = places.take(2).await;
        assert_eq!(low.len(), 1, "what is left of all");
        let middle = places.take(1).await;
        assert_eq!(middle.len(), 1, "one beyond the bound, as it has none");
        assert_eq!((places.grant(1), places.grant(0)), (0, 0));
        drop(low);
        // Those that wait are woken, and the highest gets what is free.
        drop(high);
        let again = places.take(0).await;
        assert_eq!((again.len(), places.grant(1)), (3, 0));
    }
}
