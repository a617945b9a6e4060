//! Writing: the mix, and what follows an acknowledgement.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::caller::{Caller, Life};
use super::reads::content;
use super::schema::{
    self, ACCOUNTS, ACCOUNTS_COUNT, CLAIMS, COUNTERS, COUNTERS_COUNT, ENTRIES, FEED, HOOKED, LEDGER, QUEUE,
    RECORDS,
};
use super::{Target, jobs};
use crate::Request;
use crate::checker::history::{Action, Name, Outcome, Seen};

/// Records of one shelf, elements of one set.
const GROUP: usize = 48;
/// Versions that a record gets at most.
const VERSIONS_MAX: usize = 6;
/// One record in so many is of the collection whose rule hides some versions.
const FEED_EACH: usize = 6;
/// How often a name is asked for.
const RIVALS: usize = 3;
/// After a write that nobody knows the outcome of.
const PAUSE: Duration = Duration::from_millis(100);

impl Caller {
    /// Writes until the load ends, and reads some of it back from another node.
    pub fn write_on(mut self, pace: Duration) -> Caller {
        while !self.is_over() {
            let written = match self.random.below(100) {
                0..45 => self.write_record(),
                45..60 => self.write_entry(),
                60..70 => self.write_claim(),
                70..80 => self.write_counter(),
                80..92 => self.write_transfer(),
                92..94 if self.shared.has_queue => self.write_message(),
                92..97 if self.shared.has_hooks => self.write_hooked(),
                92..97 => self.write_transfer(),
                _ => {
                    self.write_person();
                    None
                }
            };
            match written {
                Some((Outcome::Done, target)) => {
                    self.shared.show(target.clone());
                    if self.random.below(2) == 0 {
                        self.look(&target);
                    }
                }
                Some((Outcome::Unknown(_), _)) => std::thread::sleep(PAUSE),
                _ => {}
            }
            self.rest(pace);
        }
        self
    }

    fn write_record(&mut self) -> Option<(Outcome, Target)> {
        let mut life = match self.life.take() {
            Some(life) => life,
            None => self.new_life(),
        };
        life.version += 1;
        let (record, version) = (life.record.clone(), life.version);
        let shelf = life.shelf.clone();
        let body = json!({"id": &*record, "owner": self.id, "shelf": &*shelf, "version": version,
            "content": content(&record, version), "hidden": life.is_hidden(version)});
        let one = schema::one(life.collection, &record);
        let is_delete = version > life.last;
        let request = match version {
            1 => self.request("POST", &schema::path(life.collection), &body),
            _ if is_delete => Request::new("DELETE", &one).token(&self.token),
            _ => self.request("PATCH", &one, &body),
        };
        let sent = self.nodes.write(&mut self.random, &request);
        let target = match life.collection {
            // Hidden versions are for nobody to read.
            FEED => Target::Accounts,
            _ => Target::Record { shelf: shelf.clone(), record: record.clone() },
        };
        if sent.status() == 404 && version > 1 {
            // It says that the record is not there: that is a read.
            self.note_seen(&sent, Action::View { record, seen: Seen::Absent });
            return None;
        }
        let action = match is_delete {
            true => Action::Delete { shelf, record, version, audience: life.audience(version - 1) },
            false => Action::Put { shelf, record, version, audience: life.audience(version) },
        };
        let outcome = self.note(&sent, action);
        let goes_on = !is_delete && (version < life.last || life.ends_deleted);
        if outcome == Outcome::Done && goes_on {
            self.life = Some(life);
        }
        Some((outcome, target))
    }

    fn new_life(&mut self) -> Life {
        let number = self.next();
        let (collection, shelf) = match self.random.below(FEED_EACH) {
            0 => (FEED, self.group("feed", GROUP)),
            _ => (RECORDS, self.group("records", GROUP)),
        };
        Life {
            collection,
            shelf,
            record: format!("r{:02}n{number:011}", self.number).into(),
            version: 0,
            last: 1 + self.random.below(VERSIONS_MAX) as u32,
            ends_deleted: self.random.below(2) == 0,
        }
    }

    fn write_entry(&mut self) -> Option<(Outcome, Target)> {
        let number = self.next();
        let set = self.group("entries", GROUP);
        let element: Name = format!("e{}-{number}", self.number).into();
        // No id: the server gives it, so that the same request twice is two records.
        let body = json!({"shelf": &*set, "element": &*element});
        let request = self.request("POST", &schema::path(ENTRIES), &body);
        let sent = self.nodes.write(&mut self.random, &request);
        let outcome = self.note(&sent, Action::Insert { set: set.clone(), element });
        Some((outcome, Target::Entries { set }))
    }

    fn write_claim(&mut self) -> Option<(Outcome, Target)> {
        let number = self.next();
        let ticket = self.shared.claims.fetch_add(1, Ordering::Relaxed);
        let name: Name = format!("name-{}", ticket / RIVALS).into();
        let element: Name = format!("h{}-{number}", self.number).into();
        let body = json!({"name": &*name, "element": &*element});
        let request = self.request("POST", &schema::path(CLAIMS), &body);
        let sent = self.nodes.write(&mut self.random, &request);
        let outcome = self.note(&sent, Action::Claim { name: name.clone(), element });
        Some((outcome, Target::Claim { name }))
    }

    fn write_counter(&mut self) -> Option<(Outcome, Target)> {
        let counter: Name = schema::counter(self.random.below(COUNTERS_COUNT)).into();
        let request = self.request("PATCH", &schema::one(COUNTERS, &counter), &json!({"n+": 1}));
        let sent = self.nodes.write(&mut self.random, &request);
        let outcome = self.note(&sent, Action::Add { counter: counter.clone() });
        Some((outcome, Target::Counter { counter }))
    }

    /// A record that others are told of.
    fn write_hooked(&mut self) -> Option<(Outcome, Target)> {
        let number = self.next();
        let element = format!("w{}-{number}", self.number);
        let body = json!({ "element": element });
        self.cause(jobs::hook_of(&element), &schema::path(HOOKED), &body)
    }

    fn write_message(&mut self) -> Option<(Outcome, Target)> {
        let number = self.next();
        let element = format!("m{}-{number}", self.number);
        let body = json!({"subject": format!("{QUEUE}.load"), "data": {"element": element}});
        self.cause(jobs::message_of(&element), &format!("/api/queues/{QUEUE}/publish"), &body)
    }

    /// A write that causes a job; or the same in a batch that fails, whose job may never be done.
    fn cause(&mut self, job: Name, path: &str, body: &serde_json::Value) -> Option<(Outcome, Target)> {
        let doomed = self.random.below(4) == 0;
        let request = match doomed {
            true => {
                let gone = schema::one(COUNTERS, "nothing00000000");
                let requests = json!([
                    {"method": "POST", "url": path, "body": body},
                    {"method": "PATCH", "url": gone, "body": {"n+": 1}},
                ]);
                self.request("POST", "/api/batch", &json!({ "requests": requests }))
            }
            false => self.request("POST", path, body),
        };
        let sent = self.nodes.write(&mut self.random, &request);
        let outcome = self.note(&sent, Action::Cause { job, doomed });
        Some((outcome, Target::Accounts))
    }

    fn write_transfer(&mut self) -> Option<(Outcome, Target)> {
        let number = self.next();
        let from = self.random.below(ACCOUNTS_COUNT);
        let to = (from + 1 + self.random.below(ACCOUNTS_COUNT - 1)) % ACCOUNTS_COUNT;
        let amount = 1 + self.random.below(9) as i64;
        let set = self.group("ledger", GROUP);
        let element: Name = format!("t{}-{number}", self.number).into();
        let (from, to) = (schema::account(from), schema::account(to));
        let requests = json!([
            {"method": "PATCH", "url": schema::one(ACCOUNTS, &from), "body": {"balance-": amount}},
            {"method": "POST", "url": schema::path(LEDGER), "body": {"shelf": &*set, "element": &*element}},
            {"method": "PATCH", "url": schema::one(ACCOUNTS, &to), "body": {"balance+": amount}},
        ]);
        let request = self.request("POST", "/api/batch", &json!({ "requests": requests }));
        let sent = self.nodes.write(&mut self.random, &request);
        let (from, to) = (from.into(), to.into());
        let outcome = self.note(&sent, Action::Transfer { from, to, amount, set: set.clone(), element });
        let target = if self.random.below(2) == 0 { Target::Accounts } else { Target::Ledger { set } };
        Some((outcome, target))
    }
}
