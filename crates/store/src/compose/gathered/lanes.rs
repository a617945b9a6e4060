//! Who is under way and who waits, in a lane for each table and shape, and whose turn it is next. Does not know what is
//! carried.

use std::future::Future;
use std::sync::Arc;

use base::Name;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;

/// One kind of request that goes together.
pub trait Gathering: Send + Sync + Sized + 'static {
    type Shape: PartialEq + Clone + Send + Sync;
    type Waiting: Send;

    fn lanes(&self) -> &Lanes<Self::Shape, Self::Waiting>;

    /// Does what they waited for, and answers each.
    fn together(
        &self,
        table: &Name,
        shape: &Self::Shape,
        waiting: Vec<Self::Waiting>,
    ) -> impl Future<Output = ()> + Send;
}

/// One of the statements that may be under way. Its end is the beginning of the next, also when its caller went away.
pub struct Turn<'t, G: Gathering> {
    gathering: &'t Arc<G>,
    table: &'t Name,
    shape: &'t G::Shape,
    /// Whether it has been passed on, or given back as nobody waited.
    over: bool,
}

impl<'t, G: Gathering> Turn<'t, G> {
    pub fn new(gathering: &'t Arc<G>, table: &'t Name, shape: &'t G::Shape) -> Self {
        Turn { gathering, table, shape, over: false }
    }
}

impl<G: Gathering> Drop for Turn<'_, G> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let waiting = self.gathering.lanes().next(self.table, self.shape);
        if waiting.is_empty() {
            return;
        }
        // Without a runtime the program ends.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(serve(self.gathering.clone(), self.table.clone(), self.shape.clone(), waiting));
        }
    }
}

/// Serves those who waited, then those who wait by now, until nobody does.
async fn serve<G: Gathering>(gathering: Arc<G>, table: Name, shape: G::Shape, mut waiting: Vec<G::Waiting>) {
    let mut turn = Turn::new(&gathering, &table, &shape);
    while !waiting.is_empty() {
        gathering.together(&table, &shape, waiting).await;
        waiting = gathering.lanes().next(&table, &shape);
    }
    turn.over = true;
}

/// Lanes that are in use. One that nobody uses is gone.
pub struct Lanes<S, T> {
    tables: Mutex<FxHashMap<Name, Vec<Lane<S, T>>>>,
    /// Statements of one lane that may be under way.
    turns_max: usize,
    /// How many go together.
    together_max: usize,
    /// How many may wait in one lane.
    waiting_max: usize,
}

struct Lane<S, T> {
    shape: S,
    waiting: Vec<T>,
    turns: usize,
}

/// What becomes of somebody who came.
pub enum Place<C, W> {
    /// Nothing to wait for: the turn is theirs.
    First(C),
    Waits(W),
    /// Too many wait already.
    Full(C),
}

impl<S: PartialEq + Clone, T> Lanes<S, T> {
    pub fn new(turns_max: usize, together_max: usize, waiting_max: usize) -> Self {
        Lanes { tables: Mutex::default(), turns_max, together_max, waiting_max }
    }

    /// `wait` makes of what somebody brings what is kept here, and what its owner waits for.
    pub fn place<C, W>(
        &self,
        (table, shape): (&Name, &S),
        brought: C,
        wait: impl FnOnce(C) -> (T, W),
    ) -> Place<C, W> {
        let mut tables = self.tables.lock();
        let lanes = match tables.get_mut(table) {
            Some(lanes) => lanes,
            None => tables.entry(table.clone()).or_default(),
        };
        let Some(lane) = lanes.iter_mut().find(|lane| lane.shape == *shape) else {
            lanes.push(Lane { shape: shape.clone(), waiting: Vec::new(), turns: 1 });
            return Place::First(brought);
        };
        if lane.turns < self.turns_max && lane.waiting.is_empty() {
            lane.turns += 1;
            return Place::First(brought);
        }
        if lane.waiting.len() >= self.waiting_max {
            return Place::Full(brought);
        }
        let (kept, waits) = wait(brought);
        lane.waiting.push(kept);
        Place::Waits(waits)
    }

    /// Those whose turn it is after one has ended. Nobody: that turn is over.
    fn next(&self, table: &Name, shape: &S) -> Vec<T> {
        let mut tables = self.tables.lock();
        let Some(lanes) = tables.get_mut(table) else { return Vec::new() };
        let Some(at) = lanes.iter().position(|lane| lane.shape == *shape) else { return Vec::new() };
        let lane = &mut lanes[at];
        if !lane.waiting.is_empty() {
            let rest = lane.waiting.split_off(lane.waiting.len().min(self.together_max));
            return std::mem::replace(&mut lane.waiting, rest);
        }
        lane.turns -= 1;
        if lane.turns == 0 {
            lanes.swap_remove(at);
            if lanes.is_empty() {
                tables.remove(table);
            }
        }
        Vec::new()
    }
}
