//! Accounts between which batches move amounts. A list is one statement and so one snapshot: its sum never changes. At
//! the end each account must hold what the ledger's entries say, as they came with the same batches.

use std::collections::{HashMap, HashSet};

use super::{Found, Kind, by};
use crate::checker::history::{Action, History, Name};

pub fn judge(history: &History, found: &mut Found) {
    let total: i64 = history.balances.iter().map(|(_, balance)| balance).sum();
    let mut ledger: HashSet<&Name> = HashSet::new();
    for event in history.events.iter().filter(|event| event.is_done()) {
        match &event.action {
            Action::Balances { seen } => {
                let sum: i64 = seen.iter().map(|(_, balance)| balance).sum();
                if sum != total || seen.len() != history.balances.len() {
                    let what = || {
                        format!(
                            "{} saw {} accounts with {sum} in all instead of {total}",
                            by(event),
                            seen.len()
                        )
                    };
                    found.breach(Kind::Torn, "accounts", event.start, what);
                }
            }
            Action::Elements { seen, .. } if found.is_settled(event) => ledger.extend(seen),
            _ => {}
        }
    }
    let last = history.events.iter().rev().find_map(|event| match &event.action {
        Action::Balances { seen } if event.is_done() && found.is_settled(event) => Some((event, seen)),
        _ => None,
    });
    let Some((read, balances)) = last else { return };
    let mut expected: HashMap<&Name, i64> = history.balances.iter().map(|(n, b)| (n, *b)).collect();
    for event in &history.events {
        if let Action::Transfer { from, to, amount, element, .. } = &event.action
            && ledger.contains(element)
        {
            *expected.entry(from).or_default() -= amount;
            *expected.entry(to).or_default() += amount;
        }
    }
    for (account, balance) in balances {
        let due = expected.get(account).copied().unwrap_or(0);
        if due != *balance {
            let what = || format!("holds {balance}, and by the ledger {due}");
            found.breach(Kind::Torn, account, read.start, what);
        }
    }
}
