//! Where an edge keeps answers: one question for many who miss, a disk that outlives the process, and one that is full.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::front::Front;
use testkit::sink::{Reply, Sink};
use testkit::{Request, fault};

use crate::candidate::{self, BINARY};

const WAIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Answers with what may be kept, and confirms it.
fn origin() -> Sink {
    let answer = |request: &testkit::sink::Received| {
        let is_known = request.headers.to_ascii_lowercase().contains("if-none-match: \"one\"");
        Reply {
            status: if is_known { 304 } else { 200 },
            headers: "Cache-Control: public, max-age=600\r\nETag: \"one\"\r\n".into(),
            body: if is_known {
                Vec::new()
            } else {
                format!("{} {}", request.line, "x".repeat(5_000)).into()
            },
            ..Reply::default()
        }
    };
    Sink::answering(0, answer).unwrap()
}

fn with_disk(dir: &Path, pando: &Path, node: &Sink, more: &[(&str, &str)]) -> Front {
    let disk = dir.join("disk").display().to_string();
    let variables = [("PANDO_EDGE_DISK_DIR", disk.as_str()), ("PANDO_EDGE_DISK_BYTES", "16777216")];
    Front::start(pando, dir, "edge", &node.url(""), &[&variables[..], more].concat()).unwrap()
}

fn get(front: &Front, target: &str) {
    let answer = front.client().send(&Request::get(target)).unwrap();
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    assert!(answer.text().starts_with(&format!("GET {target} ")), "{target}: {}", answer.text());
}

#[test]
fn a_thousand_who_miss_at_once_are_one_question() {
    const ALL: usize = 1_000;
    let asked = Arc::new(AtomicBool::new(false));
    let all = asked.clone();
    let node = Sink::answering(0, move |_| {
        until("all have asked", || all.load(Ordering::SeqCst));
        Reply {
            status: 200,
            headers: "Cache-Control: public, max-age=600\r\n".into(),
            body: vec![b'x'; 100_000],
            ..Reply::default()
        }
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let front = Front::start(BINARY.as_ref(), dir.path(), "edge", &node.url(""), &[]).unwrap();
    let mut clients: Vec<TcpStream> = (0..ALL)
        .map(|_| {
            let mut stream = TcpStream::connect(front.address()).unwrap();
            stream.set_read_timeout(Some(WAIT)).unwrap();
            stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            stream
        })
        .collect();
    // Some of them go again, the first one among them.
    clients.drain(..10);
    asked.store(true, Ordering::SeqCst);
    for mut stream in clients {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..100]));
        assert!(answer.ends_with(&[b'x'; 100_000]));
    }
    assert_eq!(node.received().len(), 1);
}

#[test]
fn what_lies_on_disk_outlives_the_process() {
    let node = origin();
    let dir = tempfile::tempdir().unwrap();
    let mut front = with_disk(dir.path(), BINARY.as_ref(), &node, &[]);
    for number in 0..20 {
        get(&front, &format!("/{number}"));
        get(&front, &format!("/{number}"));
    }
    let asked = node.received().len();
    assert_eq!(asked, 20);
    fault::terminate(front.daemon.pid());
    until("it lists what it leaves", || dir.path().join("disk/index").exists());
    front.daemon.restart().unwrap();
    (0..20).for_each(|number| get(&front, &format!("/{number}")));
    assert_eq!(node.received().len(), asked, "what was on disk was asked for again");

    // Killed, it leaves answers of which nobody knows whether they still hold: they are confirmed before they are used.
    front.daemon.restart().unwrap();
    (0..20).for_each(|number| get(&front, &format!("/{number}")));
    let later = node.received().split_off(asked);
    assert_eq!(later.len(), 20);
    assert!(later.iter().all(|request| request.headers.to_ascii_lowercase().contains("if-none-match")));
}

#[test]
fn a_full_disk_costs_nothing_but_its_use() {
    let node = origin();
    let dir = tempfile::tempdir().unwrap();
    // A file may have 64 KiB and no more.
    let limited = dir.path().join("limited");
    candidate::script(&limited, &format!("#!/bin/sh\nulimit -f 128\nexec {BINARY} \"$@\"\n"));
    let front = with_disk(dir.path(), &limited, &node, &[]);
    for number in 0..100 {
        get(&front, &format!("/{number}"));
        get(&front, &format!("/{number}"));
    }
    until("it says so", || front.daemon.said().contains("disk cannot be written"));
    (0..100).for_each(|number| get(&front, &format!("/{number}")));
    assert_eq!(node.received().len(), 100);
    assert_eq!(front.daemon.said().matches("disk cannot be written").count(), 1);
}
