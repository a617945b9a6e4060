//! Runs a corpus against the reference and a candidate and reports every step whose answers differ. Decides
//! nothing about what is right: the reference's answer is the expected one.
//!
//! `PANDO_DIFF_ONLY=substring` chooses scenarios by `group/scenario`; `PANDO_DIFF_TRACE=1` prints every request
//! and the reference's answer.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use regex::{Captures, Regex};
use serde_json::Value;
use tempfile::TempDir;

use crate::corpus::{self, Action, Body, Deviation, Scenario, Send};
use crate::diff::{Bindings, Difference};
use crate::http::{Answer, Client, Request};
use crate::openid::OpenId;
use crate::oracle;
use crate::server::{Program, Server};

/// Differences shown per step.
const SHOWN_MAX: usize = 3;
/// Characters shown of a request's body or of a value.
const SHOWN_CHARS_MAX: usize = 220;

/// What one run found.
#[derive(Debug, Default)]
pub struct Outcome {
    pub steps: usize,
    pub failures: Vec<String>,
}

/// Starts the reference and the candidate on fresh directories, runs the group's scenarios on both and panics
/// with a report of all differing steps.
pub fn check(group: &str, source: &str, candidate: Program) {
    let dir = TempDir::with_prefix("pando-diff-").expect("a temporary directory");
    let reference = oracle::program().expect("the reference server");
    let reference = reference.start(&dir.path().join("reference")).expect("the reference starts");
    let candidate = candidate.start(&dir.path().join("candidate")).expect("the candidate starts");
    let outcome = run(group, source, &reference, &candidate);
    println!("{group}: {} steps, {} differ", outcome.steps, outcome.failures.len());
    if !outcome.failures.is_empty() {
        let log = candidate.log();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        panic!(
            "{group}: {} of {} steps differ\n\n{}\nlast lines of {}'s log:\n{}",
            outcome.failures.len(),
            outcome.steps,
            outcome.failures.join("\n"),
            candidate.program().name,
            tail.join("\n")
        );
    }
}

/// Runs the scenarios of `source` on both servers.
pub fn run(group: &str, source: &str, reference: &Server, candidate: &Server) -> Outcome {
    let scenarios = corpus::parse(source).unwrap_or_else(|e| panic!("{group}: {e}"));
    let only = std::env::var("PANDO_DIFF_ONLY").unwrap_or_default();
    let mut sides = [Side::new(reference), Side::new(candidate)];
    let openid = source.contains("$openid").then(OpenId::start);
    if let Some(openid) = &openid {
        for side in &mut sides {
            side.remembered.insert("openid".into(), openid.url());
        }
    }
    let engine = if candidate.program().data.is_some() { "postgres" } else { "sqlite" };
    let mut run = Run {
        group,
        // The reference does not differ from itself.
        engine: (!crate::pando::is_oracle()).then_some(engine),
        bindings: Bindings::default(),
        outcome: Outcome::default(),
        lost: HashSet::new(),
    };
    for scenario in &scenarios {
        if scenario.always || format!("{group}/{}", scenario.name).contains(&only) {
            run.scenario(scenario, &mut sides);
        }
    }
    run.outcome
}

/// Runs a corpus on one server, to fill it; every answer must be a success.
pub fn apply(source: &str, server: &Server) {
    let mut side = Side::new(server);
    for scenario in corpus::parse(source).expect("a corpus") {
        let mut who = "nobody".to_owned();
        for step in &scenario.steps {
            match &step.action {
                Action::As(name) => who.clone_from(name),
                Action::Wait(ms) => std::thread::sleep(Duration::from_millis(*ms)),
                Action::Send(send) => {
                    let answer = side.client.send(&side.request(send, &who)).expect("an answer");
                    let shown = show_request(send);
                    assert!(answer.status < 300, "{shown} gave {} {}", answer.status, answer.text());
                    for (name, pointer) in &send.captures {
                        side.remembered.insert(name.clone(), answer.at(pointer).unwrap_or_default());
                    }
                }
            }
        }
    }
}

struct Side {
    name: String,
    client: Client,
    remembered: HashMap<String, String>,
}

impl Side {
    fn new(server: &Server) -> Side {
        let token = server.superuser_token().expect("the superuser signs in");
        let remembered = HashMap::from([("superuser".to_owned(), token)]);
        Side { name: server.program().name.clone(), client: server.client(), remembered }
    }

    fn fill(&self, text: &str) -> String {
        let name = Regex::new(r"\$([a-z][A-Za-z0-9]*)").expect("the pattern compiles");
        let value = |found: &Captures| match self.remembered.get(&found[1]) {
            Some(value) => value.clone(),
            None => found[0].to_owned(),
        };
        name.replace_all(text, value).into_owned()
    }

    fn request(&self, send: &Send, who: &str) -> Request {
        let mut request = Request::new(&send.method, &self.fill(&send.target));
        request = match &send.body {
            None => request,
            Some(Body::Json(text)) => request.body("application/json", self.fill(text)),
            Some(Body::Form(text)) => request.body("application/x-www-form-urlencoded", self.fill(text)),
            Some(Body::Raw(kind, text)) => request.body(kind, self.fill(text)),
            Some(Body::Multipart(parts)) => {
                let mut body = String::new();
                for (name, file, value) in parts {
                    let _ = write!(body, "--pando\r\nContent-Disposition: form-data; name=\"{name}\"");
                    if let Some(file) = file {
                        let _ =
                            write!(body, "; filename=\"{file}\"\r\nContent-Type: application/octet-stream");
                    }
                    let _ = write!(body, "\r\n\r\n{}\r\n", self.fill(value));
                }
                body.push_str("--pando--\r\n");
                request.body("multipart/form-data; boundary=pando", body)
            }
        };
        for (name, value) in &send.headers {
            request = request.header(name, &self.fill(value));
        }
        let is_named = |(name, _): &(String, String)| name.eq_ignore_ascii_case("authorization");
        if send.headers.iter().any(is_named) {
            return request;
        }
        request.token(self.remembered.get(who).map(String::as_str).unwrap_or_default())
    }
}

struct Run<'a> {
    group: &'a str,
    /// The candidate's, whose accepted deviations count; `None` when none do.
    engine: Option<&'a str>,
    bindings: Bindings,
    outcome: Outcome,
    /// Names that one side could not remember: steps that use them are not run.
    lost: HashSet<String>,
}

impl Run<'_> {
    fn scenario(&mut self, scenario: &Scenario, sides: &mut [Side; 2]) {
        let mut who = "nobody".to_owned();
        for step in &scenario.steps {
            match &step.action {
                Action::As(name) => who.clone_from(name),
                Action::Wait(ms) => std::thread::sleep(Duration::from_millis(*ms)),
                Action::Send(send) => self.send(scenario, step.line, send, &who, sides),
            }
        }
    }

    fn send(&mut self, scenario: &Scenario, line: usize, send: &Send, who: &str, sides: &mut [Side; 2]) {
        self.outcome.steps += 1;
        let title = format!("[{}/{}, line {line}, as {who}]", self.group, scenario.name);
        let shown = show_request(send);
        let uses = |text: &str, name: &str| {
            let marked = format!("${name}");
            text.split(&marked).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        let lost = self
            .lost
            .iter()
            .find(|name| *name == who || uses(&send.target, name) || uses(&show_body(&send.body), name));
        if let Some(name) = lost {
            self.outcome
                .failures
                .push(format!("{title}\n  {shown}\n  not run: ${name} is missing on one side\n"));
            return;
        }
        let answers = sides.each_mut().map(|side| side.client.send(&side.request(send, who)));
        let [expected, actual] = match answers {
            [Ok(expected), Ok(actual)] => [expected, actual],
            [expected, actual] => {
                let mut text = format!("{title}\n  {shown}\n");
                for (side, answer) in sides.iter().zip([expected, actual]) {
                    if let Err(e) = answer {
                        let _ = writeln!(text, "  {} gave no answer: {e}", side.name);
                    }
                }
                self.outcome.failures.push(text);
                return;
            }
        };
        if std::env::var_os("PANDO_DIFF_TRACE").is_some() {
            println!("{title}\n  {shown}\n    {} {}", expected.status, expected.text().trim_end());
        }
        self.remember(send, &expected, &actual, sides);
        let of_engine = |one: &&Deviation| match (&one.engine, self.engine) {
            (_, None) => false,
            (None, _) => true,
            (Some(named), Some(engine)) => named == engine,
        };
        let deviation = send.deviations.iter().find(of_engine);
        let found = self.differences(send, &expected, &actual);
        let found = match deviation {
            None => found,
            Some(deviation) => deviates(deviation, &actual, found.is_empty()),
        };
        if !found.is_empty() {
            let mut text = format!("{title}\n  {shown}\n");
            for d in found.iter().take(SHOWN_MAX) {
                let (e, a) = (cut(&d.expected), cut(&d.actual));
                let _ = writeln!(text, "  at {}\n    expected {e}\n    actual   {a}", d.path);
            }
            if found.len() > SHOWN_MAX {
                let _ = writeln!(text, "  and {} more", found.len() - SHOWN_MAX);
            }
            self.outcome.failures.push(text);
        }
    }

    fn remember(&mut self, send: &Send, expected: &Answer, actual: &Answer, sides: &mut [Side; 2]) {
        for (name, pointer) in &send.captures {
            let values = [expected.at(pointer), actual.at(pointer)];
            // Absent on both sides is an answer too: what follows runs on both without it.
            if values[0].is_some() == values[1].is_some() {
                self.lost.remove(name);
            } else {
                self.lost.insert(name.clone());
            }
            for (side, value) in sides.iter_mut().zip(values) {
                side.remembered.insert(name.clone(), value.unwrap_or_default());
            }
        }
    }

    fn differences(&mut self, send: &Send, expected: &Answer, actual: &Answer) -> Vec<Difference> {
        let mut found = Vec::new();
        if expected.status != actual.status {
            let of = |a: &Answer| format!("{} {}", a.status, a.text());
            return vec![Difference::new("status", of(expected), of(actual))];
        }
        let (e, a) = (expected.header("content-type"), actual.header("content-type"));
        if e != a {
            found.push(Difference::new("header Content-Type", format!("{e:?}"), format!("{a:?}")));
        }
        for name in &send.compared {
            let (e, a) = (expected.header(name), actual.header(name));
            if e != a {
                let path = format!("header {name}");
                found.push(Difference::new(&path, format!("{e:?}"), format!("{a:?}")));
            }
        }
        let (mut e, mut a) = (expected.json(), actual.json());
        for pointer in &send.ignores {
            if let (Some(e), Some(a)) = (e.pointer_mut(pointer), a.pointer_mut(pointer))
                && std::mem::discriminant(e) == std::mem::discriminant(a)
            {
                *e = Value::Null;
                *a = Value::Null;
            }
        }
        found.extend(self.bindings.compare(&e, &a));
        found
    }
}

/// Where the candidate does not answer as its accepted deviation says.
fn deviates(deviation: &Deviation, actual: &Answer, equal: bool) -> Vec<Difference> {
    if equal && deviation.status.is_some() {
        let said = format!("a deviation: {}", deviation.reason);
        return vec![Difference::new("accepted deviation", said, "none any more: take the mark away")];
    }
    if deviation.status.map_or(actual.status >= 500, |status| status != actual.status) {
        let expected = deviation.status.map_or("below 500".into(), |status| status.to_string());
        let answer = format!("{} {}", actual.status, actual.text());
        return vec![Difference::new("status (accepted deviation)", expected, answer)];
    }
    let values = deviation.values.iter().map(|(pointer, value)| (pointer, value, actual.at(pointer)));
    values
        .filter(|(_, value, found)| **value != found.clone().unwrap_or_default())
        .map(|(pointer, value, found)| Difference::new(pointer, value.clone(), format!("{found:?}")))
        .collect()
}

fn show_body(body: &Option<Body>) -> String {
    match body {
        None => String::new(),
        Some(Body::Json(text)) => text.clone(),
        Some(Body::Form(text)) => format!("form:{text}"),
        Some(Body::Multipart(parts)) => format!("multipart:{parts:?}"),
        Some(Body::Raw(kind, text)) => format!("raw({kind}):{text}"),
    }
}

fn show_request(send: &Send) -> String {
    let target = decode(&send.target);
    format!("{} {target} {}", send.method, cut(&show_body(&send.body)))
}

/// Percent-decodes for the reader's eye.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let hex =
            bytes.get(i + 1..i + 3).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (bytes[i], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn cut(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
