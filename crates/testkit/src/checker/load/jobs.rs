//! What jobs do outside: mails, as they appear in the directory that all nodes write theirs to, and webhooks, as they
//! are received here, and messages of the application's queue, as a consumer gets them.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::schema::QUEUE;
use super::{Shared, lock};
use crate::checker::history::{Effect, Name};
use crate::smtp::Mail;
use crate::{Client, Request, sink};

const ANSWER: &[u8] = b"HTTP/1.1 204 Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// How long a node may take to hand messages out.
const PULL_WAIT: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The name of the job that mails to that address.
pub fn mail_to(address: &str) -> Name {
    format!("mail to {address}").into()
}

/// The name of the job that tells of that record.
pub fn hook_of(element: &str) -> Name {
    format!("webhook of {element}").into()
}

/// What nodes tell over HTTP.
pub struct Hooks {
    seen: Arc<Mutex<Vec<Effect>>>,
    url: String,
}

impl Hooks {
    /// Receives until the process ends. Nodes with a network of their own reach this one by the first address of theirs.
    pub fn receive(node: SocketAddr, shared: Arc<Shared>) -> io::Result<Hooks> {
        let ip = match node.ip() {
            IpAddr::V4(ip) if !ip.is_loopback() => {
                let [a, b, c, _] = ip.octets();
                Ipv4Addr::new(a, b, c, 1)
            }
            _ => Ipv4Addr::LOCALHOST,
        };
        let listener = TcpListener::bind((ip, 0))?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let seen: Arc<Mutex<Vec<Effect>>> = Arc::default();
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, shared) = (kept.clone(), shared.clone());
                std::thread::spawn(move || {
                    let Some((received, mut stream)) = sink::receive(stream) else { return };
                    let body: Value = serde_json::from_str(&received.body).unwrap_or_default();
                    let element = body.pointer("/data/record/element").and_then(Value::as_str);
                    let job = hook_of(element.unwrap_or(&received.body));
                    lock(&kept).push(Effect { job, at: shared.fleet.now() });
                    let _ = stream.write_all(ANSWER);
                });
            }
        });
        Ok(Hooks { seen, url })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn seen(&self) -> Vec<Effect> {
        lock(&self.seen).clone()
    }
}

/// The name of the job that hands out that message.
pub fn message_of(element: &str) -> Name {
    format!("message {element}").into()
}

/// Messages of the application's queue, as a consumer gets them.
pub struct Messages(Arc<Mutex<Vec<Effect>>>);

impl Messages {
    /// Pulls from one node after the other until nobody asks any more.
    pub fn consume(token: &str, shared: Arc<Shared>) -> Messages {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, token) = (Arc::downgrade(&seen), token.to_owned());
        std::thread::spawn(move || {
            let to = |address: &SocketAddr| Client::to(*address).with_timeout(PULL_WAIT);
            let nodes: Vec<Client> = shared.fleet.addresses.iter().map(to).collect();
            for node in nodes.iter().cycle() {
                let Some(noted) = noted.upgrade() else { return };
                let elements = pull(node, &token).unwrap_or_default();
                let at = shared.fleet.now();
                lock(&noted).extend(elements.into_iter().map(|job| Effect { job, at }));
                drop(noted);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Messages(seen)
    }

    pub fn seen(&self) -> Vec<Effect> {
        lock(&self.0).clone()
    }
}

/// What a node hands out now, which is acknowledged. What is lost on the way comes again.
fn pull(node: &Client, token: &str) -> io::Result<Vec<Name>> {
    let group = format!("/api/queues/{QUEUE}/groups/all");
    let request = Request::json("POST", &format!("{group}/pull"), &json!({"max": 100})).token(token);
    let answer = node.send(&request)?.json();
    let messages = answer["messages"].as_array().cloned().unwrap_or_default();
    if !messages.is_empty() {
        let receipts: Vec<&Value> = messages.iter().map(|message| &message["receipt"]).collect();
        let request = Request::json("POST", &format!("{group}/ack"), &json!({ "receipts": receipts }));
        node.send(&request.token(token))?;
    }
    let element = |message: &Value| message_of(message["data"]["element"].as_str().unwrap_or_default());
    Ok(messages.iter().map(element).collect())
}

pub struct Mails(Arc<Mutex<Vec<Effect>>>);

impl Mails {
    /// Looks for new mails until nobody asks any more. The directory keeps only so many, so that each is noted at once.
    pub fn watch(dir: PathBuf, shared: Arc<Shared>) -> Mails {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::downgrade(&seen);
        std::thread::spawn(move || watch(&dir, &shared, &noted));
        Mails(seen)
    }

    pub fn seen(&self) -> Vec<Effect> {
        lock(&self.0).clone()
    }
}

fn watch(dir: &Path, shared: &Shared, noted: &Weak<Mutex<Vec<Effect>>>) {
    let mut known: HashSet<OsString> = HashSet::new();
    while let Some(noted) = noted.upgrade() {
        let at = shared.fleet.now();
        for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let is_whole = file.path().extension().is_some_and(|extension| extension == "eml");
            if !is_whole || !known.insert(file.file_name()) {
                continue;
            }
            let data = std::fs::read_to_string(file.path()).unwrap_or_default();
            let mail = Mail { data: data.replace("\r\n", "\n").replace('\n', "\r\n"), ..Mail::default() };
            // Logins from new places are told by mail as well.
            if mail.text().contains("/confirm-verification/") {
                let to = mail.header("To");
                let address = to.trim_matches(['<', '>', ' ']).to_owned();
                lock(&noted).push(Effect { job: mail_to(&address), at });
            }
        }
        drop(noted);
        std::thread::sleep(LOOK_EVERY);
    }
}
