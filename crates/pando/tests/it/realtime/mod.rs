//! Event streams: the same script of subscriptions and writes on the reference and on Pando, and what each client
//! hears compared; and what only Pando promises. The scripts are data, one step on each line:
//!
//! - `= NAME` begins a scenario: all streams are closed. What it writes stays.
//! - `@ WHO` chooses who sends what follows: `superuser`, `nobody`, or a name that logged in.
//! - `login NAME COLLECTION IDENTITY PASSWORD` logs in, as often as it is asked to.
//! - `METHOD PATH [JSON]` is sent, and must have the same status on both sides.
//! - `open C` opens a stream; `close C` ends it; `sub C WHO TOPICS` subscribes, and status and body of the answer are
//!   compared. A topic may be followed by its options: `"posts/* {\"query\":{…}}"`.
//! - `---` compares what each client heard since the last time, in whatever order.
//! - `~~~ REASON` does not compare it, as Pando differs on purpose.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::diff::Bindings;
use testkit::pando::Engine;
use testkit::sse::{Event, Stream};
use testkit::{Client, Request, Server, corpus, oracle};

use crate::candidate::Candidate;

mod promises;

/// Everyone hears of the records of this collection: whoever has heard of one has heard everything before it.
const MARKERS: &str = "markers";
const WAIT: Duration = Duration::from_secs(20);

struct Side {
    server: Server,
    client: Client,
    tokens: BTreeMap<String, String>,
    streams: BTreeMap<String, Stream>,
    heard: BTreeMap<String, Vec<(String, Value)>>,
    markers: usize,
}

impl Side {
    fn new(server: Server) -> Side {
        let token = server.superuser_token().unwrap();
        let client = server.client();
        let body = json!({"name": MARKERS, "type": "base", "listRule": "", "fields": [{"name": "n", "type": "number"}]});
        let made = client.send(&Request::json("POST", "/api/collections", &body).token(&token)).unwrap();
        assert_eq!(made.status, 200, "{}", made.text());
        let tokens = BTreeMap::from([("superuser".to_owned(), token), ("nobody".to_owned(), String::new())]);
        Side { server, client, tokens, streams: BTreeMap::new(), heard: BTreeMap::new(), markers: 0 }
    }

    fn send(&self, who: &str, line: &str) -> Result<Value, String> {
        let mut words = line.splitn(3, ' ');
        let (method, path, body) = (words.next().unwrap(), words.next().unwrap_or("/"), words.next());
        let request = match body {
            None => Request::new(method, path),
            Some(body) => {
                let body: Value = serde_json::from_str(body).map_err(|e| format!("{line}: {e}"))?;
                Request::json(method, path, &body)
            }
        };
        let answer = self.client.send(&request.token(&self.tokens[who])).map_err(|e| e.to_string())?;
        Ok(json!(answer.status))
    }

    fn login(&mut self, line: &str) -> Result<Value, String> {
        let [name, collection, identity, password] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("login {line}"));
        };
        let token = self.server.login(collection, identity, password).map_err(|e| e.to_string())?;
        self.tokens.insert(name.to_owned(), token);
        Ok(Value::Null)
    }

    fn subscribe(&self, line: &str) -> Result<Value, String> {
        let mut words = line.splitn(3, ' ');
        let (client, who) = (words.next().unwrap(), words.next().unwrap_or("nobody"));
        let topics = words.next().unwrap_or("[]");
        let topics: Vec<String> = serde_json::from_str(topics).map_err(|e| format!("{line}: {e}"))?;
        let mut topics: Vec<String> = topics
            .iter()
            .map(|topic| match topic.split_once(" {") {
                None => topic.clone(),
                Some((topic, options)) => {
                    format!("{topic}?options={}", corpus::encode(&format!("{{{options}")))
                }
            })
            .collect();
        topics.push(format!("{MARKERS}/*"));
        let stream = self.streams.get(client).ok_or_else(|| format!("{client} is not open"))?;
        let body = json!({"clientId": stream.id, "subscriptions": topics});
        let request = Request::json("POST", "/api/realtime", &body).token(&self.tokens[who]);
        let answer = self.client.send(&request).map_err(|e| e.to_string())?;
        Ok(json!([answer.status, answer.json()]))
    }

    fn step(&mut self, who: &str, line: &str) -> Result<Value, String> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("login", rest) => self.login(rest),
            ("sub", rest) => self.subscribe(rest),
            ("open", name) => {
                self.streams
                    .insert(name.to_owned(), Stream::open(self.server.port()).map_err(|e| e.to_string())?);
                Ok(Value::Null)
            }
            ("close", name) => {
                self.streams.remove(name);
                self.heard.remove(name);
                Ok(Value::Null)
            }
            _ => self.send(who, line),
        }
    }

    /// Writes a marker and waits until everyone has heard of it.
    fn mark(&mut self) {
        self.markers += 1;
        let line = format!("POST /api/collections/{MARKERS}/records {{\"n\": {}}}", self.markers);
        assert_eq!(self.send("superuser", &line), Ok(json!(200)));
        for (name, stream) in &self.streams {
            let marker =
                |event: &Event| event.json()["record"]["n"] == json!(self.markers) && is_marker(event);
            // A client that never subscribed hears nothing.
            if !stream.is_closed() {
                assert!(stream.wait_for(WAIT, marker).is_some(), "{name} did not hear a marker");
            }
        }
    }

    fn gather(&mut self) -> BTreeMap<String, Vec<(String, Value)>> {
        for (name, stream) in &self.streams {
            let heard = self.heard.entry(name.clone()).or_default();
            heard.extend(stream.take().into_iter().filter(|event| !is_marker(event)).map(|event| {
                assert_eq!(event.id, stream.id);
                (event.name.clone(), event.json())
            }));
            heard.sort_by_key(|(name, data)| (name.clone(), sort_key(data)));
        }
        self.heard.clone()
    }
}

fn is_marker(event: &Event) -> bool {
    event.name == format!("{MARKERS}/*")
}

/// Without what the clock made.
fn sort_key(data: &Value) -> String {
    let mut data = data.clone();
    if let Some(record) = data["record"].as_object_mut() {
        record.remove("created");
        record.remove("updated");
    }
    data.to_string()
}

struct Run {
    sides: [Side; 2],
    bindings: Bindings,
    failures: Vec<String>,
    compared: usize,
}

impl Run {
    fn run(&mut self, script: &str) {
        let mut who = "superuser".to_owned();
        let mut scenario = String::new();
        for (number, line) in script.lines().map(str::trim).enumerate() {
            let at = format!("line {}, {scenario}: {line}", number + 1);
            match line.split_once(' ').unwrap_or((line, "")) {
                ("" | "#", _) => {}
                ("=", name) => {
                    scenario = name.to_owned();
                    for side in &mut self.sides {
                        side.streams.clear();
                        side.heard.clear();
                    }
                }
                ("@", name) => who = name.to_owned(),
                ("---", _) => self.compare(&at),
                ("~~~", _) => self.forget(),
                _ => {
                    let [expected, actual] = &mut self.sides;
                    let (expected, actual) = (expected.step(&who, line), actual.step(&who, line));
                    if expected.is_err() || expected != actual {
                        self.failures.push(format!("{at}\n  expected {expected:?}\n  actual   {actual:?}"));
                    }
                }
            }
        }
    }

    fn forget(&mut self) {
        for side in &mut self.sides {
            side.mark();
            side.gather();
            side.heard.clear();
        }
    }

    /// The reference may deliver an event after a later one's: what is missing on one side is waited for.
    fn compare(&mut self, at: &str) {
        self.sides.iter_mut().for_each(Side::mark);
        self.compared += 1;
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let [expected, actual] = &mut self.sides;
            let (expected, actual) = (json!(expected.gather()), json!(actual.gather()));
            let found = self.bindings.compare(&expected, &actual);
            if found.is_empty() {
                break;
            }
            if Instant::now() > until {
                let shown: Vec<String> = found
                    .iter()
                    .take(4)
                    .map(|d| format!("  at {}: expected {}, actual {}", d.path, d.expected, d.actual))
                    .collect();
                self.failures.push(format!(
                    "{at}\n{}\n  all expected {expected}\n  all actual   {actual}",
                    shown.join("\n")
                ));
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.sides.iter_mut().for_each(|side| side.heard.clear());
    }
}

fn check(script: &str, engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let reference = oracle::program().unwrap().start(&dir.path().join("reference")).unwrap();
    let server = candidate.program.start(&dir.path().join("candidate")).unwrap();
    let sides = [Side::new(reference), Side::new(server)];
    let mut run = Run { sides, bindings: Bindings::default(), failures: Vec::new(), compared: 0 };
    run.run(script);
    let log = run.sides[1].server.log();
    assert!(run.failures.is_empty(), "{} differ\n{}\n{log}", run.failures.len(), run.failures.join("\n"));
    println!("{} comparisons equal", run.compared);
}

macro_rules! scripts {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;
            const SCRIPT: &str = include_str!(concat!(stringify!($name), ".txt"));

            #[test]
            fn sqlite() {
                check(SCRIPT, Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                check(SCRIPT, Engine::Postgres);
            }
        }
    )*};
}

scripts! {
    topics
    rules
    standing
}
