//! After the load: everything is read once more, from every node.

use std::collections::BTreeSet;
use std::time::{Duration, Instant as Clock};

use anyhow::{Result, bail};

use super::caller::Caller;
use super::lock;
use super::people::PEOPLE;
use super::schema::{ENTRIES, LEDGER};
use crate::checker::history::{Action, History, Name};

/// How long a node may take to answer a read, over all tries: it may just have come back.
const WAIT: Duration = Duration::from_secs(60);
/// Writes that nobody knows the outcome of may still come true between two looks.
const ROUNDS_MAX: usize = 8;

/// Tries until the node answers.
fn until_read(what: &str, mut read: impl FnMut() -> bool) -> Result<()> {
    let until = Clock::now() + WAIT;
    while !read() {
        if Clock::now() > until {
            bail!("{what} could not be read after the load");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub fn read_all(reader: &mut Caller, node: usize, history: &History) -> Result<()> {
    let mut shelves: BTreeSet<&Name> = BTreeSet::new();
    let mut entries: BTreeSet<&Name> = BTreeSet::new();
    let mut ledger: BTreeSet<&Name> = BTreeSet::new();
    let mut claims: BTreeSet<&Name> = BTreeSet::new();
    let mut counters: BTreeSet<&Name> = BTreeSet::new();
    for event in &history.events {
        let _ = match &event.action {
            // Accounts are no records of the shelves, and what may be hidden is for subscribers.
            Action::Put { shelf, .. } if &**shelf != PEOPLE && !shelf.starts_with("feed") => {
                shelves.insert(shelf)
            }
            Action::Insert { set, .. } => entries.insert(set),
            Action::Transfer { set, .. } => ledger.insert(set),
            Action::Claim { name, .. } => claims.insert(name),
            Action::Add { counter } => counters.insert(counter),
            _ => false,
        };
    }
    let node = Some(node);
    for shelf in shelves {
        until_read(shelf, || reader.shelf(shelf, node))?;
    }
    for set in entries {
        until_read(set, || reader.set(ENTRIES, set, node))?;
    }
    for name in claims {
        until_read(name, || reader.claim(name, node))?;
    }
    for counter in counters {
        until_read(counter, || reader.counter(counter, node))?;
    }
    // The ledger and the accounts are compared with each other: nothing may happen between them.
    for _ in 0..ROUNDS_MAX {
        until_read("the accounts", || reader.accounts(node))?;
        let before = last_balances(reader);
        for set in &ledger {
            until_read(set, || reader.set(LEDGER, set, node))?;
        }
        until_read("the accounts", || reader.accounts(node))?;
        if last_balances(reader) == before {
            return Ok(());
        }
    }
    bail!("the accounts keep changing after the load")
}

fn last_balances(reader: &Caller) -> Option<Vec<(Name, i64)>> {
    reader.events.iter().rev().find_map(|event| match &event.action {
        Action::Balances { seen } => Some(seen.clone()),
        _ => None,
    })
}

/// Every account whose outcome is known is logged in to once more.
pub fn log_in(reader: &mut Caller) -> Result<()> {
    let people = lock(&reader.shared.people).clone();
    for person in people {
        reader.log_in(&person, person.version);
    }
    Ok(())
}
