//! What a run that did not end in order has left: found by its state file, and told from others' by start times.

use std::path::Path;
use std::time::Duration;

use base::limits::NODE_STOP_MS;
use rustix::process::Signal;

use crate::Result;
use crate::error::Error;
use crate::node::Role;
use crate::process::{self, Identity};
use crate::state::{self, State};
use crate::{groups, network};

/// Ends the cluster of a directory from outside: asks whoever runs it to stop, or cleans up after one that is gone.
/// Returns what was done.
pub fn down(dir: impl AsRef<Path>) -> Result<String> {
    let dir = dir.as_ref();
    let Some(state) = state::load(dir)? else {
        return Err(Error::Refused(format!("no topology was started in {}", dir.display())));
    };
    let name = &state.topology.name;
    if let Some(lock) = state::lock(dir)? {
        let left = clean(&state);
        let mut state = state;
        state.owner = None;
        for node in &mut state.nodes {
            node.process = None;
        }
        let _ = state::Keeper::new(dir, state.clone())?;
        drop(lock);
        return Ok(match left {
            0 => format!("{} was not running", state.topology.name),
            _ => format!(
                "{} was cleaned up: {left} processes were left of an earlier run",
                state.topology.name
            ),
        });
    }
    let owner = state.owner.ok_or_else(|| Error::Refused(format!("{name} is being started or stopped")))?;
    owner.signal(Signal::TERM);
    // It stops its nodes one after the other.
    let wait = Duration::from_millis(NODE_STOP_MS * 5);
    if !owner.gone_within(wait) {
        return Err(Error::Refused(format!("{name} (pid {}) did not stop within {wait:?}", owner.pid)));
    }
    Ok(format!("{name} is stopped"))
}

pub(super) fn is_up(dir: &Path) -> Error {
    let owner = state::load(dir).ok().flatten().and_then(|state| state.owner);
    let who = owner.map(|owner| format!(" (pid {})", owner.pid)).unwrap_or_default();
    Error::Refused(format!("the topology in {} is up already{who}: pando status, pando down", dir.display()))
}

/// Ends what is left of an earlier run; returns how many processes there were.
pub(super) fn clean(state: &State) -> usize {
    let mut found = 0;
    let databases = |entry: &&state::Entry| entry.role == Role::Database;
    let web = state.nodes.iter().filter(|entry| !databases(entry));
    for entry in web.chain(state.nodes.iter().filter(databases)) {
        let roots: Vec<Identity> = entry.roots();
        found += roots.len();
        process::kill(&roots);
    }
    groups::sweep();
    network::sweep();
    found
}
