//! A copy of a database as it is at one moment, as the files that the reference and Pando serve from a directory. Others
//! go on writing.

use std::path::Path;
use std::sync::Arc;

use base::Kind;
use base::limits::TRANSFER_ATTEMPTS_MAX;
use base::time::Clock;
use base::topology::Node;
use store::transfer::Stand;
use store::{Options, Store, Target};

use super::tables::Plan;
use super::{Broken, Mark, Outcome, copy, logs, plain};
use crate::catalog;
use crate::error::{Error, Result};

/// Below the directory, until a file is whole.
const FILLING: &str = "filling";

/// Makes `data.db` and `auxiliary.db` in an empty directory.
pub async fn snapshot(from: &Store, log: &Store, dir: &Path, clock: &Arc<dyn Clock>) -> Result<()> {
    let filling = dir.join(FILLING);
    let open = async |file| {
        let target = Target::Sqlite { dir: filling.clone(), file };
        let options = Options {
            target,
            node: Node::local(),
            clock: clock.clone(),
            witness: Arc::new(()),
            exclusive: false,
        };
        store::open(options).await.map_err(plain)
    };
    let data = open("data.db").await?;
    let filled = fill(from, &data).await;
    let copied = match filled {
        // Into one file, without a log beside it.
        Ok(()) => data.snapshot(&dir.join("data.db")).await.map_err(plain),
        Err(error) => Err(error),
    };
    data.close().await;
    copied?;
    let kept = open("auxiliary.db").await?;
    let copied = match logs(log, &kept, &|_| ()).await {
        Ok(()) => kept.snapshot(&dir.join("auxiliary.db")).await.map_err(plain),
        Err(broken) => Err(broken.into()),
    };
    kept.close().await;
    copied?;
    std::fs::remove_dir_all(&filling).map_err(Error::internal)
}

async fn fill(from: &Store, to: &Store) -> Result<()> {
    let (plan, mut stand) = moment(from).await?;
    let done: Outcome<()> = async {
        let mut arrival = to.arrive().await?;
        let mark = Mark { id: base::id::record(), from: String::new(), to: String::new() };
        arrival.prepare(&mark.text()).await?;
        arrival.change(&plan.create).await?;
        for table in &plan.tables {
            copy::all(&mut *stand, &mut *arrival, table, &|_| ()).await?;
        }
        for change in plan.indexes.iter().chain(&plan.views) {
            arrival.change(std::slice::from_ref(change)).await?;
        }
        arrival.settle().await?;
        Ok(arrival.confirm().await?)
    }
    .await;
    done.map_err(Into::into)
}

/// What there is, and the moment at which it is so.
async fn moment(from: &Store) -> Result<(Plan, Box<dyn Stand>)> {
    for _ in 0..TRANSFER_ATTEMPTS_MAX {
        let plan = Plan::read(from).await?;
        let mut stand = from.depart().await.map_err(plain)?.stand().await.map_err(plain)?;
        // The first look decides on the moment.
        stand.count(&catalog::TABLE.into()).await.map_err(plain)?;
        if Plan::read(from).await? == plan {
            return Ok((plan, stand));
        }
    }
    Err(Error::new(Kind::Conflict, "Collections change all the time: try again when nobody changes them."))
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Failed(error) => error,
            Broken::Anew(why) => Error::new(Kind::Conflict, why),
        }
    }
}
