//! Clients that go on while the data moves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::json;
use testkit::server::SUPERUSER;
use testkit::{Client, Request};

const RECORDS: &str = "/api/collections/written/records";

pub struct Clients {
    stop: Arc<AtomicBool>,
    pub acknowledged: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Result<BTreeSet<String>, String>>>,
}

impl Clients {
    /// Each creates records, reads each back at once, and deletes every fourth.
    pub fn start(port: u16, numbers: std::ops::Range<usize>) -> Clients {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = |number: usize| {
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            std::thread::spawn(move || {
                write(port, number, &stop, &acknowledged).inspect_err(|why| eprintln!("{why}"))
            })
        };
        let threads = numbers.map(thread).collect();
        Clients { stop, acknowledged, threads }
    }

    /// The ids that must be there, and no others.
    pub fn end(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap().unwrap()).collect()
    }

    /// The same, and says more when a client was refused.
    pub fn end_or(self, more: impl Fn() -> String) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self
            .threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap().unwrap_or_else(|why| panic!("{why}\n{}", more())));
        ended.collect()
    }

    pub fn wait_for(&self, more: usize) {
        let from = self.acknowledged.load(Ordering::Relaxed);
        while self.acknowledged.load(Ordering::Relaxed) < from + more {
            assert!(!self.threads.iter().any(JoinHandle::is_finished), "a client gave up");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

fn write(
    port: u16,
    number: usize,
    stop: &AtomicBool,
    acknowledged: &AtomicUsize,
) -> Result<BTreeSet<String>, String> {
    let client = Client::new(port);
    let mut there = BTreeSet::new();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("w{number}{turn:013}");
        let send = |request: Request, expected: u16| {
            let answer = client.send(&request).map_err(|error| format!("{id}: {error}"))?;
            if answer.status != expected {
                return Err(format!("{id}: {} {}\n{}", answer.status, answer.text(), logged(port)));
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
            Ok(answer)
        };
        send(Request::json("POST", RECORDS, &json!({"id": id, "n": turn, "t": "x"})), 200)?;
        let one = format!("{RECORDS}/{id}");
        let read = send(Request::get(&one), 200)?;
        if read.json()["n"] != json!(turn) {
            return Err(format!("{id} is not what was written: {}", read.text()));
        }
        match turn % 4 {
            0 => {
                send(Request::new("DELETE", &one), 204)?;
            }
            // Two in one transaction. By one client only: PostgreSQL undoes those that meet.
            1 if number.is_multiple_of(4) => {
                let second = format!("x{number}{turn:013}");
                let body = json!({"requests": [
                    {"method": "PATCH", "url": one, "body": {"n": turn + 1}},
                    {"method": "POST", "url": RECORDS, "body": {"id": second, "n": 1}},
                ]});
                send(Request::json("POST", "/api/batch", &body), 200)?;
                there.extend([id, second]);
            }
            _ => {
                there.insert(id);
            }
        }
    }
    Ok(there)
}

/// What the server's own log says of requests that it refused: an answer does not tell why.
fn logged(port: u16) -> String {
    let client = Client::new(port);
    // Entries are written a moment after their requests.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let login = json!({"identity": SUPERUSER.0, "password": SUPERUSER.1});
    let path = "/api/collections/_superusers/auth-with-password";
    let answer = match client.send(&Request::json("POST", path, &login)) {
        Ok(answer) if answer.status == 200 => answer,
        refused => return format!("and its log cannot be read: {refused:?}"),
    };
    let path = "/api/logs?sort=-created&perPage=5&filter=data.status%3E%3D400";
    let token = answer.json()["token"].as_str().unwrap_or_default().to_owned();
    client.send(&Request::get(path).token(&token)).map(|answer| answer.text()).unwrap_or_default()
}
