//! Accounts: signed up as a guest, logged in, used and given another password, each step on any node. An account is a
//! record of two versions, its two passwords; what a login or a token is good for shows which of them a node knows.

use serde_json::json;

use super::caller::{Caller, log_in, token};
use super::nodes::Sent;
use super::{jobs, lock, schema};
use crate::Request;
use crate::checker::history::{Action, Audience, Name, Outcome, Seen};

/// The shelf of accounts, which lists leave out.
pub const PEOPLE: &str = "people";

/// An account of which every write was acknowledged.
#[derive(Clone, Debug)]
pub struct Person {
    pub record: Name,
    pub version: u32,
}

impl Person {
    pub fn email(&self) -> String {
        format!("{}@example.com", self.record)
    }
}

pub fn password(version: u32) -> String {
    format!("password-of-version-{version}")
}

impl Caller {
    pub fn write_person(&mut self) {
        let number = self.next();
        let record: Name = format!("p{:02}n{number:011}", self.number).into();
        let mut person = Person { record: record.clone(), version: 1 };
        let (first, second) = (password(1), password(2));
        let body =
            json!({"id": &*record, "email": person.email(), "password": first, "passwordConfirm": first});
        let request = Request::json("POST", &schema::path(schema::PEOPLE), &body);
        if self.put(&person, &request) != Outcome::Done {
            return;
        }
        if self.shared.has_outbox {
            self.ask_for_mail(&person);
        }
        let Some(old) = self.log_in(&person, 1) else { return };
        self.use_token(&person, &old, 1);
        if self.random.below(2) == 0 {
            person.version = 2;
            let body = json!({"oldPassword": first, "password": second, "passwordConfirm": second});
            let request = Request::json("PATCH", &schema::one(schema::PEOPLE, &record), &body).token(&old);
            if self.put(&person, &request) != Outcome::Done {
                return;
            }
            // The old token ended with the old password, on every node.
            self.use_token(&person, &old, 1);
            self.log_in(&person, 2);
        }
        lock(&self.shared.people).push(person);
    }

    /// Causes a mail to that person. An address that is none is refused, and gets none.
    fn ask_for_mail(&mut self, person: &Person) {
        let doomed = self.random.below(8) == 0;
        let email = if doomed { format!("{} none", person.email()) } else { person.email() };
        let path = format!("/api/collections/{}/request-verification", schema::PEOPLE);
        let request = Request::json("POST", &path, &json!({ "email": email }));
        let sent = self.nodes.write(&mut self.random, &request);
        self.note(&sent, Action::Cause { job: jobs::mail_to(&email), doomed });
    }

    fn put(&mut self, person: &Person, request: &Request) -> Outcome {
        let sent = self.nodes.write(&mut self.random, request);
        let (record, version) = (person.record.clone(), person.version);
        if sent.status() == 404 {
            self.note_seen(&sent, Action::View { record, seen: Seen::Absent });
            return Outcome::Refused(404);
        }
        self.note(&sent, Action::Put { shelf: PEOPLE.into(), record, version, audience: Audience::Nobody })
    }

    /// Logs in with the newest password.
    pub fn log_in(&mut self, person: &Person, version: u32) -> Option<String> {
        let sent = self.nodes.read(&mut self.random, &log_in(&person.email(), &password(version)));
        // A password that is not good is the one before, or no account at all.
        let other = if version > 1 { Seen::Version(version - 1) } else { Seen::Absent };
        self.saw(&sent, person, Seen::Version(version), other);
        token(&sent)
    }

    /// Reads the own account by a token that this version's password gave.
    fn use_token(&mut self, person: &Person, token: &str, version: u32) {
        let request = Request::get(&schema::one(schema::PEOPLE, &person.record)).token(token);
        let sent = self.nodes.read(&mut self.random, &request);
        let next = Seen::Version(version + 1);
        let other = if person.version > version { next } else { Seen::Absent };
        self.saw(&sent, person, Seen::Version(version), other);
    }

    fn saw(&mut self, sent: &Sent, person: &Person, good: Seen, other: Seen) {
        let seen = match sent.status() {
            200 => good,
            400 | 401 | 403 | 404 => other,
            _ => return drop(self.note(sent, Action::Unread)),
        };
        self.note_seen(sent, Action::View { record: person.record.clone(), seen });
    }
}
