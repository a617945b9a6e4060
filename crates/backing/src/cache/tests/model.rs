//! Readers and writers of a few records in random order, step by step, over a database that is a number for each: no read
//! may return what is older than the last write that was acknowledged before it began.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::{Just, ProptestConfig, Strategy as _, prop, prop_assert, prop_oneof, proptest};

use super::*;

const IDS: [&str; 3] = ["a", "b", "c"];
/// Every so often a record is not there.
const ABSENT: u64 = 3;

struct World {
    fixture: Fixture,
    database: [Cell<u64>; 3],
    acknowledged: [Cell<u64>; 3],
    wrong: RefCell<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Read(usize, Strategy),
    Write(usize),
    /// Something unknown changed.
    ExpireAll,
    /// One of those who are under way goes on.
    Step(usize),
    /// One of the readers goes away.
    Drop(usize),
}

fn act() -> impl proptest::strategy::Strategy<Value = Act> {
    let strategy = prop::sample::select(&Strategy::ALL[..]);
    prop_oneof![
        3 => (0..IDS.len(), strategy).prop_map(|(id, strategy)| Act::Read(id, strategy)),
        2 => (0..IDS.len()).prop_map(Act::Write),
        1 => Just(Act::ExpireAll),
        12 => (0..64_usize).prop_map(Act::Step),
        1 => (0..64_usize).prop_map(Act::Drop),
    ]
}

/// Lets others go on.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

fn stored(version: u64) -> Option<Arc<Row>> {
    (!version.is_multiple_of(ABSENT)).then(|| row(version))
}

impl World {
    async fn read(&self, id: usize, strategy: Strategy) {
        let acknowledged = self.acknowledged[id].get();
        let (name, fixture) = (IDS[id], &self.fixture);
        let since = fixture.stamps.now();
        let found = match fixture.records.get(fixture.asked(name)) {
            Some(known) => known,
            None => {
                let load = || async {
                    pause().await;
                    let row = stored(self.database[id].get());
                    pause().await;
                    Ok((row, true))
                };
                fixture.records.load(fixture.asked(name), &keep(strategy), since, load).await.unwrap()
            }
        };
        let mut possible = (acknowledged..=self.database[id].get()).map(stored);
        if !possible.any(|possible| possible == found) {
            self.wrong.borrow_mut().push(format!("{name}: {found:?} after {acknowledged}"));
        }
    }

    async fn write(&self, id: usize) {
        let (name, fixture) = (IDS[id], &self.fixture);
        let watched = fixture.stamps.watch("posts", name);
        pause().await;
        let version = self.database[id].get() + 1;
        self.database[id].set(version);
        pause().await;
        fixture.stamps.apply(&change("posts", name));
        pause().await;
        if let Some(row) = stored(version) {
            let through = keep(Strategy::WriteThrough);
            fixture.records.put_written(fixture.asked(name), &through, watched, row);
        }
        pause().await;
        self.acknowledged[id].set(self.acknowledged[id].get().max(version));
    }
}

/// Somebody under way, and whether it is a reader.
type Going<'w> = (bool, Pin<Box<dyn Future<Output = ()> + 'w>>);

fn run(policy: Policy, acts: &[Act]) -> Vec<String> {
    let world = World {
        fixture: fixture(policy, 1 << 20),
        database: Default::default(),
        acknowledged: Default::default(),
        wrong: RefCell::default(),
    };
    let mut cx = Context::from_waker(Waker::noop());
    let mut going: Vec<Going<'_>> = Vec::new();
    for act in acts {
        match *act {
            Act::Read(id, strategy) => going.push((true, Box::pin(world.read(id, strategy)))),
            Act::Write(id) => going.push((false, Box::pin(world.write(id)))),
            Act::ExpireAll => world.fixture.stamps.expire_all(),
            Act::Step(at) | Act::Drop(at) if !going.is_empty() => {
                let at = at % going.len();
                let is_over = match act {
                    // A write goes on to its end whatever becomes of who asked for it.
                    Act::Drop(_) => going[at].0,
                    _ => going[at].1.as_mut().poll(&mut cx).is_ready(),
                };
                if is_over {
                    drop(going.swap_remove(at));
                }
            }
            Act::Step(_) | Act::Drop(_) => {}
        }
    }
    // Everybody comes to an end.
    for _ in 0..10_000 {
        going.retain_mut(|(_, going)| going.as_mut().poll(&mut cx).is_pending());
    }
    assert!(going.is_empty(), "somebody waits for ever");
    drop(going);
    world.wrong.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_read_is_older_than_what_was_acknowledged(
        policy in prop::sample::select(&Policy::ALL[..]),
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let wrong = run(policy, &acts);
        prop_assert!(wrong.is_empty(), "{wrong:?}");
    }
}
