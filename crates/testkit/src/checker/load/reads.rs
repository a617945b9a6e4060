//! Reading: each answer becomes what was seen, compared with what its writer must have sent.

use std::time::Duration;

use serde_json::Value;

use super::Target;
use super::caller::Caller;
use super::nodes::Sent;
use super::schema::{self, ACCOUNTS, CLAIMS, COUNTERS, ENTRIES, LEDGER, RECORDS};
use crate::Request;
use crate::checker::history::{Action, Name, Seen};

/// More than any list of the load holds.
const PAGE: usize = 500;

/// What a record of this version holds, to the letter.
pub fn content(record: &str, version: u32) -> String {
    let mut random = crate::fuzz::Random(u64::from(version));
    format!("{record} at version {version}, {:016x}", random.number())
}

/// A record as it is shown.
pub fn seen(item: &Value) -> (Name, Seen) {
    let text = |key: &str| item[key].as_str().unwrap_or_default();
    let version = item["version"].as_f64().unwrap_or(-1.0);
    let record: Name = text("id").into();
    let is_whole = version >= 1.0 && text("content") == content(&record, version as u32);
    let seen = if is_whole { Seen::Version(version as u32) } else { Seen::Alien(item.to_string()) };
    (record, seen)
}

/// The list of what has this value in this field.
fn list(collection: &str, field: &str, value: &str) -> Request {
    let filter = if field.is_empty() { String::new() } else { format!("&filter={field}%3D'{value}'") };
    Request::get(&format!("{}?perPage={PAGE}&skipTotal=1{filter}", schema::path(collection)))
}

fn items(sent: &Sent) -> Option<Vec<Value>> {
    let answer = sent.answer.as_ref().ok().filter(|answer| answer.status == 200)?;
    answer.json()["items"].as_array().cloned()
}

fn texts(items: &[Value], key: &str) -> Vec<Name> {
    items.iter().map(|item| item[key].as_str().unwrap_or_default().into()).collect()
}

/// Each read says whether it was answered.
impl Caller {
    /// Reads until the load ends.
    pub fn read_on(mut self, pace: Duration) -> Caller {
        while !self.is_over() {
            let target = self.shared.target(&mut self.random);
            self.look(&target);
            self.rest(pace);
        }
        self
    }

    pub fn look(&mut self, target: &Target) {
        match target {
            Target::Record { shelf, .. } if self.random.below(3) == 0 => self.shelf(shelf, None),
            Target::Record { record, .. } => self.record(record),
            Target::Entries { set } => self.set(ENTRIES, set, None),
            Target::Ledger { set } => self.set(LEDGER, set, None),
            Target::Claim { name } => self.claim(name, None),
            Target::Counter { counter } => self.counter(counter, None),
            Target::Accounts => self.accounts(None),
        };
    }

    /// Asks one node, or any.
    fn ask(&mut self, node: Option<usize>, request: Request) -> Sent {
        let request = request.token(&self.token);
        match node {
            Some(node) => self.nodes.read_from(node, &request),
            None => self.nodes.read(&mut self.random, &request),
        }
    }

    fn record(&mut self, record: &Name) -> bool {
        let sent = self.ask(None, Request::get(&schema::one(RECORDS, record)));
        let seen = match &sent.answer {
            Ok(answer) if answer.status == 200 => seen(&answer.json()).1,
            Ok(answer) if answer.status == 404 => Seen::Absent,
            _ => {
                self.note(&sent, Action::Unread);
                return false;
            }
        };
        self.note_seen(&sent, Action::View { record: record.clone(), seen });
        true
    }

    /// Notes what a list showed, or that there was none.
    fn note_list(&mut self, sent: &Sent, action: impl FnOnce(&[Value]) -> Action) -> bool {
        let items = items(sent);
        self.note(sent, items.as_deref().map_or(Action::Unread, action));
        items.is_some()
    }

    pub fn shelf(&mut self, shelf: &Name, node: Option<usize>) -> bool {
        let sent = self.ask(node, list(RECORDS, "shelf", shelf));
        let shelf = shelf.clone();
        self.note_list(&sent, |items| Action::Shelf { shelf, seen: items.iter().map(seen).collect() })
    }

    pub fn set(&mut self, collection: &str, set: &Name, node: Option<usize>) -> bool {
        let sent = self.ask(node, list(collection, "shelf", set));
        let set = set.clone();
        self.note_list(&sent, |items| Action::Elements { set, seen: texts(items, "element") })
    }

    pub fn claim(&mut self, name: &Name, node: Option<usize>) -> bool {
        let sent = self.ask(node, list(CLAIMS, "name", name));
        let name = name.clone();
        self.note_list(&sent, |items| Action::Holders { name, seen: texts(items, "element") })
    }

    pub fn counter(&mut self, counter: &Name, node: Option<usize>) -> bool {
        let sent = self.ask(node, Request::get(&schema::one(COUNTERS, counter)));
        let answer = sent.answer.as_ref().ok().filter(|answer| answer.status == 200);
        let value = answer.and_then(|answer| answer.json()["n"].as_f64());
        let counter = counter.clone();
        let action = value.map(|value| Action::Count { counter, value: value as i64 });
        self.note(&sent, action.unwrap_or(Action::Unread));
        value.is_some()
    }

    pub fn accounts(&mut self, node: Option<usize>) -> bool {
        let sent = self.ask(node, list(ACCOUNTS, "", ""));
        self.note_list(&sent, |items| Action::Balances { seen: items.iter().map(balance).collect() })
    }
}

fn balance(item: &Value) -> (Name, i64) {
    (item["id"].as_str().unwrap_or_default().into(), item["balance"].as_f64().unwrap_or(f64::MAX) as i64)
}
