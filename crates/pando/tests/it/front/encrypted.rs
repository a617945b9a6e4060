//! TLS at the front door: which certificate whom, and their change under load.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::front::Front;
use testkit::sink::{Reply, Sink};
use testkit::tls::{Issued, Tls};
use testkit::{Request, fault, tools};

use crate::candidate::BINARY;

const END: Duration = Duration::from_secs(60);

fn node() -> Sink {
    Sink::answering(0, |request| Reply {
        status: 200,
        body: request.headers.clone().into(),
        ..Reply::default()
    })
    .unwrap()
}

fn front(dir: &Path, node: &Sink, certificates: &str, more: &[(&str, &str)]) -> (Front, u16) {
    let port = tools::free_port();
    let https = format!("127.0.0.1:{port}");
    let mut variables =
        vec![("PANDO_FRONT_HTTPS", https.as_str()), ("PANDO_FRONT_TLS_CERTIFICATES", certificates)];
    variables.extend(more);
    (Front::start(BINARY.as_ref(), dir, "balance", &node.url(""), &variables).unwrap(), port)
}

/// Until that certificate is shown to a new client.
fn is_shown(tls: &Tls, name: &str, expected: &Issued) -> bool {
    let until = Instant::now() + END;
    while Instant::now() < until {
        if tls.connect(name).is_ok_and(|open| open.shown() == Some(expected.der())) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn a_client_is_shown_the_certificate_of_the_domain_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let node = node();
    let [first, wild, more] = [&["first.example"], &["*.wild.example"], &["more.example"]]
        .map(|names| Issued::for_names(names).unwrap());
    let listed = [&first, &wild]
        .into_iter()
        .enumerate()
        .map(|(number, issued)| issued.write(dir.path(), &format!("listed-{number}")).unwrap());
    let listed = listed.collect::<Vec<_>>().join(",");
    let directory = dir.path().join("more");
    std::fs::create_dir(&directory).unwrap();
    more.write(&directory, "more").unwrap();
    let more_dir = ("PANDO_FRONT_TLS_DIR", directory.to_str().unwrap());
    let redirect = ("PANDO_FRONT_HTTPS_REDIRECT", "true");
    let (front, port) = front(dir.path(), &node, &listed, &[more_dir, redirect]);
    let tls = Tls::new(port, &[&first, &wild, &more]);
    for (name, issued) in [("first.example", &first), ("a.wild.example", &wild), ("more.example", &more)] {
        let mut open = tls.connect(name).unwrap();
        assert_eq!(open.shown(), Some(issued.der()), "{name}");
        let answer = open.send(&Request::get("/")).unwrap();
        assert!(answer.text().to_ascii_lowercase().contains("x-forwarded-proto: https"), "{}", answer.text());
    }
    // The first one for names that have none; whether that will do is for the client to judge.
    for name in ["other.example", "a.b.wild.example", "wild.example"] {
        assert!(tls.connect(name).is_err(), "{name}");
    }
    let old = Tls::speaking(port, &[&first], &[&rustls::version::TLS12]);
    assert_eq!(old.connect("first.example").unwrap().send(&Request::get("/")).unwrap().status, 200);

    // A session is resumed by another thread than it began with, as threads share the keys of tickets.
    let resuming = tls.resuming();
    for expected in [false, true, true, true] {
        let mut open = resuming.connect("first.example").unwrap();
        assert_eq!(open.send(&Request::get("/")).unwrap().status, 200);
        assert_eq!(open.is_resumed(), expected);
    }

    let plain = front.client().send(&Request::get("/a?b=c")).unwrap();
    let location = format!("https://127.0.0.1:{port}/a?b=c");
    assert_eq!((plain.status, plain.header("location")), (308, Some(location.as_str())));

    std::fs::remove_file(directory.join("more.pem")).unwrap();
    let until = Instant::now() + END;
    while tls.connect("more.example").is_ok() {
        assert!(Instant::now() < until, "what was removed is still served");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_older_than_allowed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (node, own) = (node(), Issued::for_names(&["own.example"]).unwrap());
    let pair = own.write(dir.path(), "own").unwrap();
    let (_front, port) = front(dir.path(), &node, &pair, &[("PANDO_FRONT_TLS_MIN", "1.3")]);
    assert!(Tls::new(port, &[&own]).connect("own.example").is_ok());
    assert!(Tls::speaking(port, &[&own], &[&rustls::version::TLS12]).connect("own.example").is_err());
}

#[test]
fn certificates_change_under_load_and_no_request_fails() {
    let dir = tempfile::tempdir().unwrap();
    let node = node();
    let all: Vec<Issued> = (0..4).map(|_| Issued::for_names(&["own.example"]).unwrap()).collect();
    let pair = all[0].write(dir.path(), "own").unwrap();
    let (front, port) = front(dir.path(), &node, &pair, &[]);
    let tls = Tls::new(port, &all.iter().collect::<Vec<_>>());
    let stop = Arc::new(AtomicBool::new(false));
    let client = |number: usize| {
        let (tls, stop) = (tls.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut open = tls.connect("own.example").unwrap();
            let mut asked = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(open.send(&Request::get("/")).unwrap().status, 200);
                asked += 1;
                if number.is_multiple_of(2) && asked.is_multiple_of(5) {
                    open = tls.connect("own.example").unwrap();
                }
            }
            asked
        })
    };
    let clients: Vec<_> = (0..4).map(client).collect();
    for (number, issued) in all.iter().enumerate().skip(1) {
        issued.write(dir.path(), "own").unwrap();
        if number % 2 == 0 {
            fault::hangup(front.daemon.pid());
        }
        assert!(is_shown(&tls, "own.example", issued), "{}", front.daemon.said());
    }
    // A key that is not the certificate's, and files that are none: the last good one stays.
    std::fs::write(dir.path().join("own.key"), &all[0].key).unwrap();
    let says = |what: &str| {
        let until = Instant::now() + END;
        while !front.daemon.said().contains(what) {
            assert!(Instant::now() < until, "{}", front.daemon.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    says("is not the key of");
    assert!(is_shown(&tls, "own.example", &all[3]));
    std::fs::write(dir.path().join("own.pem"), "nonsense").unwrap();
    says("holds no certificate");
    assert!(is_shown(&tls, "own.example", &all[3]));
    stop.store(true, Ordering::Relaxed);
    assert!(clients.into_iter().all(|client| client.join().unwrap() > 0));
}

#[test]
fn a_configuration_that_cannot_encrypt_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (Issued::for_names(&["x"]).unwrap(), Issued::for_names(&["x"]).unwrap());
    let good = one.write(dir.path(), "one").unwrap();
    let crossed =
        Issued { certificate: one.certificate, key: other.key }.write(dir.path(), "crossed").unwrap();
    for (https, certificates, reason) in [
        ("127.0.0.1:0", crossed.as_str(), "is not the key of"),
        ("127.0.0.1:0", "none.pem:none.key", "none.pem: cannot be read"),
        ("127.0.0.1:0", "", "front.https needs a certificate"),
        ("127.0.0.1:0", "one.pem", "is not CERT:KEY"),
        ("", good.as_str(), "front.https names no address"),
    ] {
        let ended = Command::new(BINARY)
            .args(["balance", "--http", "127.0.0.1:0", "--to", "127.0.0.1:9"])
            .env("PANDO_FRONT_HTTPS", https)
            .env("PANDO_FRONT_TLS_CERTIFICATES", certificates)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains(reason), "{reason}: {said}");
    }
}
