//! One caller: an account with a token, what it writes, and what it has noted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::nodes::{Nodes, Sent};
use super::{Load, Shared, event, schema};
use crate::Request;
use crate::checker::history::{Action, Audience, Event, Instant, Name, Outcome};
use crate::fuzz::Random;

pub const PASSWORD: &str = "a-callers-password";

/// Every so many versions one is hidden.
const HIDDEN_EACH: u32 = 3;

/// A record that the caller still writes to.
pub struct Life {
    pub collection: &'static str,
    pub shelf: Name,
    pub record: Name,
    pub version: u32,
    pub last: u32,
    pub ends_deleted: bool,
}

impl Life {
    /// Some versions of records that only subscribers look at may be seen by nobody.
    pub fn is_hidden(&self, version: u32) -> bool {
        self.collection == schema::FEED && version.is_multiple_of(HIDDEN_EACH)
    }

    pub fn audience(&self, version: u32) -> Audience {
        if self.is_hidden(version) { Audience::Forbidden } else { Audience::Everybody }
    }
}

pub struct Caller {
    pub number: usize,
    pub token: String,
    /// Its account.
    pub id: String,
    pub nodes: Nodes,
    pub random: Random,
    pub shared: Arc<Shared>,
    pub events: Vec<Event>,
    pub life: Option<Life>,
    /// How many of anything the caller has made: every name that it gives holds the next number.
    made: usize,
}

impl Caller {
    pub fn new(number: usize, load: &Load, shared: &Arc<Shared>) -> Caller {
        Caller {
            number,
            token: String::new(),
            id: format!("caller{number:09}"),
            nodes: Nodes::new(number, &shared.fleet, load.read_wait, load.write_wait),
            random: Random(load.seed.wrapping_mul(1_000_003).wrapping_add(number as u64)),
            shared: shared.clone(),
            events: Vec::new(),
            life: None,
            made: 0,
        }
    }

    pub fn now(&self) -> Instant {
        self.nodes.fleet().now()
    }

    pub fn is_over(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Signs up and logs in, before anything is counted.
    pub fn enter(&mut self) -> Result<()> {
        let email = format!("{}@example.com", self.id);
        let body = json!({"id": self.id, "email": email, "password": PASSWORD, "passwordConfirm": PASSWORD});
        let request = Request::json("POST", &schema::path(schema::PEOPLE), &body);
        let made = self.nodes.write(&mut self.random, &request);
        if made.status() != 200 {
            bail!("signing up was answered with {:?}", made.answer);
        }
        let sent = self.nodes.write(&mut self.random, &log_in(&email, PASSWORD));
        match token(&sent) {
            Some(token) => self.token = token,
            None => bail!("the login was answered with {:?}", sent.answer),
        }
        Ok(())
    }

    /// A number that this caller never gave before.
    pub fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    /// The group of which the number is one of so many, so that lists stay short.
    pub fn group(&self, kind: &str, of: usize) -> Name {
        format!("{kind}-{}-{}", self.number, self.made / of).into()
    }

    pub fn request(&self, method: &str, target: &str, body: &serde_json::Value) -> Request {
        Request::json(method, target, body).token(&self.token)
    }

    pub fn note(&mut self, sent: &Sent, action: Action) -> Outcome {
        let event = event(self.number, sent, action);
        self.shared.count(&event);
        let outcome = event.outcome.clone();
        self.events.push(event);
        outcome
    }

    /// Notes what a request showed that was answered, whatever its own outcome is called.
    pub fn note_seen(&mut self, sent: &Sent, action: Action) {
        let event = Event { outcome: Outcome::Done, ..event(self.number, sent, action) };
        self.shared.count(&event);
        self.events.push(event);
    }

    pub fn rest(&mut self, pace: Duration) {
        // Not in step with the others.
        std::thread::sleep(pace.mul_f64(0.5 + self.random.below(100) as f64 / 100.0));
    }
}

pub fn log_in(email: &str, password: &str) -> Request {
    let path = format!("/api/collections/{}/auth-with-password", schema::PEOPLE);
    Request::json("POST", &path, &json!({"identity": email, "password": password}))
}

pub fn token(sent: &Sent) -> Option<String> {
    sent.answer.as_ref().ok().filter(|answer| answer.status == 200)?.at("/token")
}
