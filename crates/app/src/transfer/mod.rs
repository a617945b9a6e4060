//! Moving a whole installation to another database while it is in use: copy, catch up, compare, switch. Whatever breaks
//! before the switch leaves the old database in force and untouched; from the switch on the new one is, entirely. The
//! switch is one durable step, in the old database: its mark, and the refusal of every later write.

mod check;
mod copy;
pub mod files;
mod marks;
pub mod roll;
mod snapshot;
mod sum;
mod switch;
mod tables;

pub use check::{Problem, Prospect, check};
pub use marks::{Mark, arriving, confirm, left};
pub use snapshot::snapshot;
pub use sum::Sum;

use std::time::{Duration, Instant};

use base::limits::TRANSFER_ATTEMPTS_MAX;
use base::{Kind, Name};
use store::Store;
use store::transfer::{Arrival, Departure, Touched};

use self::tables::Plan;
use crate::catalog;
use crate::error::{Error, Result};

/// What a move tells while it goes on.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    Phase(Phase),
    /// So many of the table's rows are done.
    Rows {
        table: &'a str,
        done: u64,
        of: u64,
    },
    /// What was written meanwhile was carried over.
    Round {
        records: usize,
        took: Duration,
    },
    Anew {
        why: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Check,
    Prepare,
    Copy,
    Index,
    CatchUp,
    Verify,
    Switch,
    /// The old database is left; the new one is in force.
    Left,
    Done,
}

/// Told of every step.
pub type Tell<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

pub struct Moved {
    pub tables: Vec<(Name, Sum)>,
    /// How long nobody could write.
    pub pause: Duration,
}

/// Both ends and the mark that a move leaves at them.
pub struct Transfer<'a> {
    pub from: &'a Store,
    pub to: &'a Store,
    /// Where the request log is and where it goes, if it is wanted.
    pub logs: Option<(&'a Store, &'a Store)>,
    pub mark: Mark,
    pub tell: Tell<'a>,
}

/// What has to begin anew, and what ends the move.
enum Broken {
    Anew(&'static str),
    Failed(Error),
}

type Outcome<T> = std::result::Result<T, Broken>;

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Broken::Failed(error)
    }
}

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Self {
        Broken::Failed(plain(error))
    }
}

/// Here a person reads the error, and the engine's own words help most.
fn plain(error: store::Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

/// Moves everything, and returns when the new database is in force. An error means that the old one still is.
pub async fn run(transfer: &Transfer<'_>) -> Result<Moved> {
    let mut departure = transfer.from.depart().await.map_err(plain)?;
    let mut arrival = transfer.to.arrive().await.map_err(plain)?;
    for _ in 0..TRANSFER_ATTEMPTS_MAX {
        let moved = attempt(transfer, &mut *departure, &mut *arrival).await;
        if moved.is_err()
            && let Err(error) = departure.unfollow().await
        {
            tracing::warn!(%error, "the notes of the move are left behind");
        }
        match moved {
            Ok(moved) => return Ok(moved),
            Err(Broken::Anew(why)) => (transfer.tell)(Step::Anew { why }),
            Err(Broken::Failed(error)) => return Err(error),
        }
    }
    Err(Error::new(Kind::Conflict, "Collections change all the time: move when nobody changes them."))
}

async fn attempt(
    transfer: &Transfer<'_>,
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
) -> Outcome<Moved> {
    let tell = transfer.tell;
    tell(Step::Phase(Phase::Check));
    let plan = Plan::read(transfer.from).await?;
    departure.follow(&plan.names()).await?;
    if Plan::read(transfer.from).await?.tables != plan.tables {
        return Err(Broken::Anew("a collection has changed"));
    }
    let mut look = departure.look().await?;
    if look.touched.iter().any(|touched| &*touched.table == catalog::TABLE) {
        return Err(Broken::Anew("a collection has changed"));
    }
    let problems = check::scan(&mut *look.stand, &plan, &*arrival, tell).await?;
    if !problems.is_empty() {
        return Err(check::refusal(&problems).into());
    }

    tell(Step::Phase(Phase::Prepare));
    arrival.prepare(&transfer.mark.text()).await?;
    arrival.change(&plan.create).await?;

    tell(Step::Phase(Phase::Copy));
    for table in &plan.tables {
        copy::all(&mut *look.stand, arrival, table, tell).await?;
    }
    drop(look);
    if let Some((from, to)) = transfer.logs {
        logs(from, to, tell).await?;
    }

    tell(Step::Phase(Phase::Index));
    for change in plan.indexes.iter().chain(&plan.views) {
        arrival.change(std::slice::from_ref(change)).await?;
    }
    arrival.settle().await?;

    tell(Step::Phase(Phase::CatchUp));
    rounds(departure, arrival, &plan, tell).await?;

    tell(Step::Phase(Phase::Verify));
    // Both as of the same moment: what was written since the last look is carried over first.
    let mut look = departure.look().await?;
    carry(&mut *look.stand, arrival, &plan, std::mem::take(&mut look.touched)).await?;
    let mut sums = sum::compare(&mut *look.stand, arrival, &plan, tell).await?;
    drop(look);
    rounds_with(departure, arrival, &plan, tell, &mut sums).await?;

    tell(Step::Phase(Phase::Switch));
    let pause = switch::switch(transfer, departure, arrival, &plan, &mut sums).await?;
    tell(Step::Phase(Phase::Left));
    // Whoever opens the new database finds that the old one is left; this only spares the look.
    if let Err(error) = arrival.confirm().await {
        tracing::warn!(%error, "the mark of the move stays until the next start");
    }
    tell(Step::Phase(Phase::Done));
    let tables = plan.tables.iter().map(|table| table.name.clone());
    Ok(Moved { tables: tables.zip(sums).collect(), pause })
}

/// The log as it is now; what is logged until the switch stays where it was.
async fn logs(from: &Store, to: &Store, tell: Tell<'_>) -> Outcome<()> {
    let table = tables::logs();
    let mut arrival = to.arrive().await?;
    if arrival.count(&table.name).await? > 0 {
        return Ok(());
    }
    let mut stand = from.depart().await?.stand().await?;
    copy::all(&mut *stand, &mut *arrival, &table, tell).await?;
    Ok(arrival.settle().await?)
}

/// Carries over what was written meanwhile, until little is.
async fn rounds(
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
    plan: &Plan,
    tell: Tell<'_>,
) -> Outcome<()> {
    rounds_with(departure, arrival, plan, tell, &mut []).await
}

async fn rounds_with(
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
    plan: &Plan,
    tell: Tell<'_>,
    sums: &mut [Sum],
) -> Outcome<()> {
    for _ in 0..base::limits::TRANSFER_ROUNDS_MAX {
        let begun = Instant::now();
        let mut look = departure.look().await?;
        let records = match sums.is_empty() {
            true => carry(&mut *look.stand, arrival, plan, look.touched).await?,
            false => {
                let deltas = deltas(&mut *look.stand, plan, look.touched).await?;
                sum::carry_over(arrival, plan, &deltas, &[], sums).await?;
                deltas.iter().map(|delta| delta.ids.len()).sum()
            }
        };
        let took = begun.elapsed();
        tell(Step::Round { records, took });
        let short = took < Duration::from_millis(base::limits::TRANSFER_ROUND_MS);
        if records <= base::limits::TRANSFER_ROUND_ROWS && short {
            break;
        }
    }
    Ok(())
}

async fn carry(
    stand: &mut dyn store::transfer::Stand,
    arrival: &mut dyn Arrival,
    plan: &Plan,
    touched: Vec<Touched>,
) -> Outcome<usize> {
    let deltas = deltas(stand, plan, touched).await?;
    for deltas in &deltas {
        arrival.apply(std::slice::from_ref(deltas), &[]).await?;
    }
    Ok(deltas.iter().map(|delta| delta.ids.len()).sum())
}

/// What became of the records that were touched.
async fn deltas(
    stand: &mut dyn store::transfer::Stand,
    plan: &Plan,
    touched: Vec<Touched>,
) -> Outcome<Vec<store::transfer::Delta>> {
    let mut by_table: std::collections::BTreeMap<Name, std::collections::BTreeSet<Name>> = Default::default();
    for Touched { table, id } in touched {
        if &*table == catalog::TABLE {
            return Err(Broken::Anew("a collection has changed"));
        }
        by_table.entry(table).or_default().insert(id);
    }
    let mut out = Vec::new();
    for (name, ids) in by_table {
        let Some(table) = plan.tables.iter().find(|table| table.name == name) else { continue };
        let ids: Vec<Name> = ids.into_iter().collect();
        let rows = stand.by_id(table, &ids).await?;
        out.push(store::transfer::Delta { table: table.clone(), ids, rows });
    }
    Ok(out)
}
