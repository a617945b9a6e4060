//! A front door that stops, or is followed by another process: nobody's request fails.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::front::Front;
use testkit::sink::{Reply, Sink};
use testkit::{Client, Request, fault};

use crate::candidate::BINARY;

const END: Duration = Duration::from_secs(60);

fn node(after: Duration) -> Sink {
    let reply = move || Reply { status: 200, body: "here".into(), after, ..Reply::default() };
    Sink::answering(0, move |_| reply()).unwrap()
}

fn balancer(dir: &std::path::Path, node: &Sink, more: &[(&str, &str)]) -> Front {
    Front::start(BINARY.as_ref(), dir, "balance", &node.url(""), more).unwrap()
}

/// Clients that ask without end, each request once. Some keep their connection, others open one for each request.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn begin(port: u16) -> Load {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                let mut client = Client::new(port).sending_once();
                while !stop.load(Ordering::Relaxed) {
                    match client.send(&Request::get("/load")) {
                        Ok(answer) if answer.status == 200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        Ok(answer) => failed.push(format!("{} {}", answer.status, answer.text())),
                        Err(error) => failed.push(error.to_string()),
                    }
                    if number.is_multiple_of(2) {
                        client = Client::new(port).sending_once();
                    }
                }
                failed
            })
        };
        let clients = (0..6).map(client).collect();
        Load { stop, answered, clients }
    }

    /// Until so many more have been answered.
    fn goes_on(&self, more: usize) {
        let (until, from) = (Instant::now() + END, self.answered.load(Ordering::Relaxed));
        while self.answered.load(Ordering::Relaxed) < from + more {
            assert!(Instant::now() < until, "no request was answered any more");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

#[test]
fn a_connection_is_answered_once_more_and_what_is_under_way_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let slow = Sink::answering(0, |request| {
        let after = if request.line.contains("slow") { Duration::from_millis(700) } else { Duration::ZERO };
        Reply { status: 200, body: "here".into(), after, ..Reply::default() }
    })
    .unwrap();
    let mut front = balancer(dir.path(), &slow, &[]);
    let idle = front.client().sending_once();
    assert_eq!(idle.send(&Request::get("/first")).unwrap().header("connection"), None);
    let port = front.port();
    let under_way =
        std::thread::spawn(move || Client::new(port).sending_once().send(&Request::get("/slow")).unwrap());
    while !slow.received().iter().any(|request| request.line.contains("slow")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    fault::terminate(front.daemon.pid());
    let until = Instant::now() + END;
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < until, "it still accepts");
        std::thread::sleep(Duration::from_millis(5));
    }
    let last = idle.send(&Request::get("/last")).unwrap();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert_eq!(under_way.join().unwrap().status, 200);
    assert!(front.daemon.ended(END), "{}", front.daemon.said());
}

#[test]
fn idle_connections_and_streams_end_with_the_time_to_drain() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(Duration::ZERO);
    let mut front = balancer(dir.path(), &node, &[("PANDO_FRONT_DRAIN_MS", "300")]);
    let idle = front.client();
    idle.send(&Request::get("/")).unwrap();
    fault::terminate(front.daemon.pid());
    assert!(front.daemon.ended(END), "{}", front.daemon.said());
    let mut stream = idle.stream().unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn processes_follow_each_other_under_load_and_no_request_fails() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(Duration::from_millis(2));
    let socket = dir.path().join("handover");
    let mut front = balancer(dir.path(), &node, &[("PANDO_FRONT_HANDOVER", socket.to_str().unwrap())]);
    let load = Load::begin(front.port());
    for _ in 0..3 {
        load.goes_on(100);
        let successor = front.successor().unwrap();
        assert!(front.daemon.ended(END), "{}", front.daemon.said());
        front = successor;
    }
    load.goes_on(100);
    assert_eq!(load.end(), Vec::<String>::new());
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    fault::terminate(front.daemon.pid());
    assert!(front.daemon.ended(END), "{}", front.daemon.said());
    assert!(!socket.exists(), "the socket is left behind");
}

#[test]
fn a_successor_that_never_serves_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(Duration::ZERO);
    let socket = dir.path().join("handover");
    let mut front = balancer(dir.path(), &node, &[("PANDO_FRONT_HANDOVER", socket.to_str().unwrap())]);
    let until = Instant::now() + END;
    while !socket.exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    // One that says nothing, one that says something else, one that ends as soon as it has the sockets.
    let silent = UnixStream::connect(&socket).unwrap();
    silent.set_read_timeout(Some(END)).unwrap();
    (&silent).read_exact(&mut [0; 8]).unwrap();
    drop(silent);
    let mut odd = UnixStream::connect(&socket).unwrap();
    odd.write_all(b"nonsense").unwrap();
    odd.set_read_timeout(Some(END)).unwrap();
    let _ = odd.read_to_end(&mut Vec::new());
    drop(UnixStream::connect(&socket).unwrap());
    assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 200);
    let mut successor = front.successor().unwrap();
    assert!(front.daemon.ended(END), "{}", front.daemon.said());
    // A killed one leaves its socket behind, which stands in nobody's way.
    successor.daemon.kill();
    assert!(socket.exists());
    successor.daemon.restart().unwrap();
    let until = Instant::now() + END;
    while !successor.client().send(&Request::get("/")).is_ok_and(|answer| answer.status == 200) {
        assert!(Instant::now() < until, "{}", successor.daemon.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}
