//! Clients that are slow on purpose are sent away, and those that have a reason to be slow are not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::Request;
use testkit::front::Front;
use testkit::wire::{Wire, statuses};

use crate::candidate::BINARY;

/// Longer than any time that is set here, and than any of a busy machine's.
const WAIT: Duration = Duration::from_secs(50);

fn front(dir: &std::path::Path, node: &Wire, variables: &[(&str, &str)]) -> Front {
    let off = [
        ("PANDO_FRONT_CLIENT_HEAD_MS", "0"),
        ("PANDO_FRONT_CLIENT_IDLE_MS", "0"),
        ("PANDO_FRONT_CLIENT_BODY_MS", "0"),
        ("PANDO_FRONT_CLIENT_STALL_MS", "0"),
    ];
    let rest = off.iter().filter(|(name, _)| variables.iter().all(|(own, _)| own != name));
    let variables: Vec<(&str, &str)> = rest.chain(variables).copied().collect();
    Front::start(BINARY.as_ref(), dir, "balance", &node.url(), &variables).unwrap()
}

fn open(front: &Front, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", front.port())).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads until the other side ends it: fails when it does not.
fn end(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => all,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => all,
        Err(error) => panic!("the connection is still open: {error}"),
    }
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let looked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    match looked {
        Ok(there) => there > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn a_head_has_to_come_and_an_idle_connection_may_stay() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = front(dir.path(), &node, &[("PANDO_FRONT_CLIENT_HEAD_MS", "1000")]);
    let idle = front.client();
    idle.send(&Request::get("/first")).unwrap();
    // Byte by byte it would take minutes.
    let mut slow = open(&front, b"GET /slow HTTP/1.1\r\nHost: a\r\n");
    let began = Instant::now();
    while began.elapsed() < WAIT && slow.write_all(b"X").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() < WAIT, "it may send for ever");
    end(open(&front, b"G"));
    assert!(is_open(&idle.stream().unwrap()));
    assert_eq!(idle.send(&Request::get("/again")).unwrap().status, 200);
    assert!(node.requests().iter().all(|request| !request.line.contains("/slow")));
}

#[test]
fn an_idle_connection_ends() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = front(dir.path(), &node, &[("PANDO_FRONT_CLIENT_IDLE_MS", "700")]);
    assert_eq!(statuses(&end(open(&front, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"))), [200]);
    // So does one on which a second request began before the first was answered.
    let two = open(&front, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n");
    assert_eq!(statuses(&end(two)), [200]);
    // HTTP/2 too, and says so.
    let mut raw = testkit::h2::Raw::connect(front.port());
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/x")];
    raw.send(&testkit::h2::frame(testkit::h2::HEADERS, 5, 1, &testkit::h2::fields(&fields)));
    let seen = raw.until(u32::MAX);
    assert_eq!((seen.goaway, seen.closed), (Some(0), true), "{seen:?}");
}

#[test]
fn a_body_has_to_come() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let variables = [("PANDO_FRONT_CLIENT_BODY_MS", "1000"), ("PANDO_FRONT_CLIENT_BODY_RATE_BYTES", "1000")];
    let front = front(dir.path(), &node, &variables);
    // Nothing more comes.
    let stuck = open(&front, b"POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    assert_eq!(statuses(&end(stuck)), [408]);
    let stuck = open(&front, b"POST /stuck HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
    assert_eq!(statuses(&end(stuck)), [408]);
    // Something comes, and never enough.
    let mut drop = open(&front, b"POST /drops HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let began = Instant::now();
    while began.elapsed() < WAIT && drop.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() < WAIT, "it may send for ever");
    assert_eq!(node.requests(), [], "none came to its end");
    let whole = Request::new("POST", "/whole").body("text/plain", "x".repeat(1 << 20));
    assert_eq!(front.client().send(&whole).unwrap().status, 200);
}

#[test]
fn a_body_without_a_length_has_a_limit() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = front(dir.path(), &node, &[("PANDO_FRONT_BODY_BYTES_MAX", "1000")]);
    let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
    let fits = format!(
        "POST /fits HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let client = front.client();
    assert_eq!(client.send_raw(fits.as_bytes()).unwrap().status, 200);
    let large = fits.replace("0\r\n\r\n", &format!("{chunk}0\r\n\r\n")).replace("fits", "large");
    assert_eq!(statuses(&end(open(&front, large.as_bytes()))), [413]);
    assert!(node.requests().iter().all(|request| request.line.contains("/fits")));
    // It was no node's fault: the node is asked on.
    for _ in 0..10 {
        assert_eq!(statuses(&end(open(&front, large.as_bytes()))), [413]);
    }
    assert_eq!(front.client().send(&Request::get("/after")).unwrap().status, 200);
}

#[test]
fn an_answer_has_to_be_taken() {
    let node = Wire::start(|request| match request.line.contains("/events") {
        true => {
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n".to_vec(), true)
        }
        false => {
            let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n".to_vec();
            answer.resize(answer.len() + (64 << 20), b'x');
            (answer, true)
        }
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let times = [
        ("PANDO_FRONT_CLIENT_STALL_MS", "5000"),
        ("PANDO_FRONT_CLIENT_IDLE_MS", "700"),
        ("PANDO_FRONT_CLIENT_HEAD_MS", "700"),
        ("PANDO_LOG_MESSAGES", "edge=debug"),
    ];
    let front = front(dir.path(), &node, &times);
    // Events seldom come, and that is nobody's fault.
    let mut events = open(&front, b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let deaf = open(&front, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    // Nothing is read until the front door has given up: then less than all is there.
    let began = Instant::now();
    while !front.daemon.said().contains("connection ended") {
        assert!(began.elapsed() < WAIT, "it waits for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
    let got = end(deaf);
    assert!(got.len() < 64 << 20, "{}", got.len());
    let mut some = [0; 64];
    assert!(events.read(&mut some).unwrap() > 0 && is_open(&events));
    // Who reads gets all of it.
    let mut reading = open(&front, b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut all = Vec::new();
    reading.read_to_end(&mut all).unwrap();
    assert!(all.len() > 64 << 20);
}
