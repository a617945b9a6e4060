//! One client cannot take what is there for all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::Request;
use testkit::front::Front;
use testkit::wire::Wire;

use crate::candidate::BINARY;

fn front(dir: &std::path::Path, node: &Wire, variables: &[(&str, &str)]) -> Front {
    Front::start(BINARY.as_ref(), dir, "balance", &node.url(), variables).unwrap()
}

#[test]
fn a_client_asks_so_often() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let variables = [
        // One an hour would be told as a fraction; what counts is that none comes back while this runs.
        ("PANDO_FRONT_CLIENT_RATE_MAX", "1"),
        ("PANDO_FRONT_CLIENT_BURST_MAX", "50"),
        ("PANDO_FRONT_TRUSTED", "127.0.0.1"),
        ("PANDO_FRONT_CLIENT_EXEMPT", "10.0.0.0/8"),
    ];
    let front = front(dir.path(), &node, &variables);
    let client = front.client();
    let ask = |who: &str| client.send(&Request::get("/x").header("X-Forwarded-For", who)).unwrap();
    let answers: Vec<_> = (0..200).map(|_| ask("1.1.1.1")).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers[..50].iter().all(|answer| answer.status == 200));
    assert!(!refused.is_empty() && refused.iter().all(|answer| answer.header("retry-after") == Some("1")));
    assert!(refused[0].json()["status"] == 429, "{}", refused[0].text());
    let served = answers.len() - refused.len();
    assert_eq!(node.requests().len(), served);
    // Others are not limited by that; a network that one customer has is one client.
    assert_eq!(ask("1.1.1.2").status, 200);
    for host in 0..60 {
        ask(&format!("2001:db8::{host:x}"));
    }
    assert_eq!(ask("2001:db8::ffff").status, 429);
    assert_eq!(ask("2001:db8:0:1::").status, 200);
    assert!((0..100).all(|_| ask("10.1.1.1").status == 200));
    assert!(
        (0..100).all(|_| client.send(&Request::get("/x")).unwrap().status == 200),
        "a proxy is no client"
    );
}

#[test]
fn a_client_has_so_many_answers_under_way() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let node = Wire::start(move |request| {
        while request.line.contains("/slow") && !gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(), true)
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let front = front(dir.path(), &node, &[("PANDO_FRONT_CLIENT_REQUESTS_MAX", "2")]);
    let slow = || {
        let client = front.client();
        std::thread::spawn(move || client.send(&Request::get("/slow")).unwrap().status)
    };
    let under_way = [slow(), slow()];
    while node.requests().len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(front.client().send(&Request::get("/third")).unwrap().status, 429);
    open.store(true, Ordering::Relaxed);
    assert!(under_way.into_iter().all(|answer| answer.join().unwrap() == 200));
    // The places are free again as soon as the answers are sent: that a client has them does not say so.
    while front.client().send(&Request::get("/fourth")).unwrap().status != 200 {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_client_has_so_many_connections() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = front(dir.path(), &node, &[("PANDO_FRONT_CLIENT_CONNECTIONS_MAX", "3")]);
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", front.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ = stream.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        let is_served = matches!(stream.read(&mut [0; 16]), Ok(16));
        is_served.then_some(stream)
    };
    // The one that looked whether it is there may not have been seen to end.
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(connect());
    }
    assert!(connect().is_none());
    held.pop();
    while held.len() < 3 {
        held.extend(connect());
    }
    assert!(connect().is_none());
}
