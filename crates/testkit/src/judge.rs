//! Runs a corpus against the reference and a candidate and reports every step whose answers differ. Decides
//! nothing about what is right: the reference's answer is the expected one.
//!
//! `PANDO_DIFF_ONLY=substring` chooses scenarios by `group/scenario`; `PANDO_DIFF_TRACE=1` prints every request
//! and the reference's answer.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use regex::{Captures, Regex};
use serde_json::Value;
use tempfile::TempDir;

use crate::corpus::{self, Action, Awaited, Body, Deviation, Scenario, Send};
use crate::diff::{Bindings, Difference};
use crate::fixtures;
use crate::http::{Answer, Client, Request};
use crate::openid::OpenId;
use crate::oracle;
use crate::server::{Program, Server};
use crate::smtp::Sink;

/// Differences shown per step.
const SHOWN_MAX: usize = 3;
/// Characters shown of a request's body or of a value.
const SHOWN_CHARS_MAX: usize = 220;

/// How long a step waits for what it awaits.
const AWAITED_MAX: Duration = Duration::from_secs(20);

/// What one run found.
#[derive(Debug, Default)]
pub struct Outcome {
    pub steps: usize,
    pub failures: Vec<String>,
}

/// Starts the reference and the candidate on fresh directories, runs the group's scenarios on both and panics
/// with a report of all differing steps.
pub fn check(group: &str, source: &str, candidate: Program) {
    check_nodes(group, source, candidate, 1);
}

/// The same with several nodes of the candidate, which are asked in turn.
pub fn check_nodes(group: &str, source: &str, candidate: Program, nodes: usize) {
    let dir = TempDir::with_prefix("pando-diff-").expect("a temporary directory");
    let reference = oracle::program().expect("the reference server");
    let reference = reference.start(&dir.path().join("reference")).expect("the reference starts");
    let place = dir.path().join("candidate");
    let mut candidates = vec![candidate.start(&place).expect("the candidate starts")];
    for _ in 1..nodes {
        candidates.push(candidate.serve(&place).expect("another node starts"));
    }
    let outcome = run_nodes(group, source, &reference, &candidates);
    println!("{group}: {} steps, {} differ", outcome.steps, outcome.failures.len());
    if !outcome.failures.is_empty() {
        let logs: Vec<String> = candidates.iter().map(Server::log).collect();
        let tail: Vec<&str> = logs
            .iter()
            .flat_map(|log| {
                let lines: Vec<&str> = log.lines().rev().take(20).collect();
                lines.into_iter().rev()
            })
            .collect();
        panic!(
            "{group}: {} of {} steps differ\n\n{}\nlast lines of {}'s log:\n{}",
            outcome.failures.len(),
            outcome.steps,
            outcome.failures.join("\n"),
            candidate.name,
            tail.join("\n")
        );
    }
}

/// Runs the scenarios of `source` on both servers.
pub fn run(group: &str, source: &str, reference: &Server, candidate: &Server) -> Outcome {
    run_nodes(group, source, reference, std::slice::from_ref(candidate))
}

fn run_nodes(group: &str, source: &str, reference: &Server, candidates: &[Server]) -> Outcome {
    let scenarios = corpus::parse(source).unwrap_or_else(|e| panic!("{group}: {e}"));
    let only = std::env::var("PANDO_DIFF_ONLY").unwrap_or_default();
    let mut sides = [Side::new(std::slice::from_ref(reference)), Side::new(candidates)];
    let openid = source.contains("$openid").then(OpenId::start);
    if let Some(openid) = &openid {
        for side in &mut sides {
            side.remembered.insert("openid".into(), openid.url());
        }
    }
    let engine = if candidates[0].program().data.is_some() { "postgres" } else { "sqlite" };
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
    let mut side = Side::new(std::slice::from_ref(server));
    for scenario in corpus::parse(source).expect("a corpus") {
        let mut who = "nobody".to_owned();
        for step in &scenario.steps {
            match &step.action {
                Action::As(name) => who.clone_from(name),
                Action::Wait(ms) => std::thread::sleep(Duration::from_millis(*ms)),
                Action::Mail(mail) => panic!("no mail to {} is sent where a corpus only fills", mail.to),
                Action::Send(send) => {
                    let answer = side.client().send(&side.request(send, &who)).expect("an answer");
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
    /// One for each node.
    clients: Vec<Client>,
    /// Requests that were sent.
    sent: Cell<usize>,
    remembered: HashMap<String, String>,
    mails: Sink,
}

impl Side {
    fn new(nodes: &[Server]) -> Side {
        let token = nodes[0].superuser_token().expect("the superuser signs in");
        let mails = Sink::start();
        let remembered =
            [("superuser".to_owned(), token), ("smtp".to_owned(), mails.port().to_string())].into();
        let clients = nodes.iter().map(Server::client).collect();
        Side { name: nodes[0].program().name.clone(), clients, sent: Cell::new(0), remembered, mails }
    }

    /// The next node's.
    fn client(&self) -> &Client {
        let sent = self.sent.replace(self.sent.get() + 1);
        &self.clients[sent % self.clients.len()]
    }

    /// The answer, or what it has become by the time that what is awaited has come.
    fn ask(&self, send: &Send, who: &str) -> std::io::Result<Answer> {
        let until = Instant::now() + AWAITED_MAX;
        loop {
            let answer = self.client().send(&self.request(send, who))?;
            let has_come = |(pointer, value): &(String, String)| answer.at(pointer).as_ref() == Some(value);
            if send.awaited.iter().all(has_come) || Instant::now() > until {
                return Ok(answer);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
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
            Some(Body::Json(text)) => request.body("application/json", corpus::repeated(&self.fill(text))),
            Some(Body::Form(text)) => request.body("application/x-www-form-urlencoded", self.fill(text)),
            Some(Body::Raw(kind, text)) => request.body(kind, corpus::repeated(&self.fill(text))),
            Some(Body::Multipart(parts)) => {
                let mut body = Vec::new();
                for (name, file, value) in parts {
                    let mut head = format!("--pando\r\nContent-Disposition: form-data; name=\"{name}\"");
                    if let Some(file) = file {
                        let _ =
                            write!(head, "; filename=\"{file}\"\r\nContent-Type: application/octet-stream");
                    }
                    body.extend_from_slice(head.as_bytes());
                    body.extend_from_slice(b"\r\n\r\n");
                    match fixtures::named(value) {
                        Some(bytes) => body.extend(bytes),
                        None => body.extend_from_slice(self.fill(value).as_bytes()),
                    }
                    body.extend_from_slice(b"\r\n");
                }
                body.extend_from_slice(b"--pando--\r\n");
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
                Action::Mail(mail) => self.mail(scenario, step.line, mail, sides),
            }
        }
        let left = sides.each_ref().map(|side| {
            let readers = side.mails.mails().into_iter().map(|mail| mail.to.join(", "));
            let taken: Vec<String> = readers.collect();
            taken.join("; ")
        });
        if left[0] != left[1] {
            let title = format!("[{}/{}]", self.group, scenario.name);
            self.outcome.failures.push(format!(
                "{title}\n  mails that no step took\n    expected {:?}\n    actual   {:?}\n",
                left[0], left[1]
            ));
        }
    }

    fn mail(&mut self, scenario: &Scenario, line: usize, awaited: &Awaited, sides: &mut [Side; 2]) {
        self.outcome.steps += 1;
        let title = format!("[{}/{}, line {line}]\n  mail {}\n", self.group, scenario.name, awaited.to);
        let mails = sides.each_ref().map(|side| side.mails.take(&awaited.to));
        let [Some(expected), Some(actual)] = mails else {
            let came = mails.map(|mail| if mail.is_some() { "a mail" } else { "none" });
            self.lost.extend(awaited.captures.iter().map(|(name, _)| name.clone()));
            let text = format!("{title}    expected {}\n    actual   {}\n", came[0], came[1]);
            return self.outcome.failures.push(text);
        };
        if std::env::var_os("PANDO_DIFF_TRACE").is_some() {
            println!("{title}    {}\n    {}", expected.header("subject"), expected.text());
        }
        let mut found = Vec::new();
        for name in ["From", "To"] {
            let (e, a) = (expected.header(name), actual.header(name));
            if e != a {
                found.push(Difference::new(&format!("header {name}"), e, a));
            }
        }
        for (name, pattern) in &awaited.captures {
            let pattern = Regex::new(pattern).unwrap_or_else(|e| panic!("{title}{e}"));
            let values = [&expected, &actual].map(|mail| {
                let text = format!("{}\n\n{}", mail.header("subject"), mail.html());
                let found = pattern.captures(&text)?;
                Some(found.get(1).or(found.get(0))?.as_str().to_owned())
            });
            let [Some(e), Some(a)] = &values else {
                self.lost.insert(name.clone());
                let [e, a] = values.map(|value| value.unwrap_or_else(|| "(nothing)".into()));
                found.push(Difference::new(name, e, a));
                continue;
            };
            self.lost.remove(name);
            if !awaited.ignores.contains(name) && !self.bindings.texts(e, a) {
                found.push(Difference::new(name, e.clone(), a.clone()));
            }
            for (side, value) in sides.iter_mut().zip([e, a]) {
                side.remembered.insert(name.clone(), value.clone());
            }
        }
        if !found.is_empty() {
            let mut text = title;
            for d in &found {
                let _ = writeln!(
                    text,
                    "  at {}\n    expected {}\n    actual   {}",
                    d.path,
                    cut(&d.expected),
                    cut(&d.actual)
                );
            }
            self.outcome.failures.push(text);
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
        let answers = sides.each_mut().map(|side| side.ask(send, who));
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
            let of = |answer: &Answer| answer.header(name).unwrap_or("(absent)").to_owned();
            let (e, a) = (of(expected), of(actual));
            if !self.bindings.texts(&e, &a) {
                found.push(Difference::new(&format!("header {name}"), e, a));
            }
        }
        if let Some(most) = send.picture {
            found.extend(fixtures::compare(&expected.body, &actual.body, most));
            return found;
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
        for pointer in send.additions.iter().filter(|_| self.engine.is_some()) {
            if e.pointer(pointer).is_none() && !taken_out(&mut a, pointer) {
                found.push(Difference::new("accepted addition", pointer.as_str(), "none"));
            }
        }
        found.extend(self.bindings.compare(&e, &a));
        found
    }
}

/// Takes a member out of its object; `false` when it is not there.
fn taken_out(value: &mut Value, pointer: &str) -> bool {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let parent = value.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.is_some_and(|members| members.remove(name).is_some())
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
