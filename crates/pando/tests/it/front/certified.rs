//! Certificates from an authority: ordered, kept, renewed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::front::Front;
use testkit::pebble::Pebble;
use testkit::sink::{Reply, Sink};
use testkit::tls::Issued;
use testkit::{Request, tools};

use crate::candidate::BINARY;

const END: Duration = Duration::from_secs(90);

fn until(what: &str, front: &Front, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + END;
    while !is() {
        assert!(Instant::now() < end, "{what}: {}", front.daemon.said());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Who issued what is shown to clients that name that domain, as openssl says it.
fn issuer(port: u16, name: &str) -> String {
    let asked = std::process::Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", name])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("issuer=")).unwrap_or_default().to_owned()
}

#[test]
fn a_certificate_is_ordered_at_the_first_start_and_renewed_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let node =
        Sink::answering(0, |_| Reply { status: 200, body: "node".into(), ..Reply::default() }).unwrap();
    // The front door's port is known only once it runs, and it orders at once.
    let (http, https) = (tools::free_port(), tools::free_port());
    let pebble = Pebble::start(dir.path(), http).unwrap();
    let (address, authority, ca) = (format!("127.0.0.1:{https}"), pebble.directory(), pebble.ca());
    let variables = [
        ("PANDO_FRONT_HTTPS", address.as_str()),
        ("PANDO_FRONT_HTTPS_REDIRECT", "true"),
        ("PANDO_FRONT_ACME_DOMAINS", "one.example.com, two.example.com"),
        ("PANDO_FRONT_ACME_EMAIL", "ops@example.com"),
        ("PANDO_FRONT_ACME_DIRECTORY", authority.as_str()),
        ("PANDO_FRONT_ACME_CA", ca.as_str()),
        ("PANDO_FRONT_ACME_DIR", "acme"),
    ];
    let start =
        || Front::start_on(http, BINARY.as_ref(), dir.path(), "balance", &node.url(""), &variables).unwrap();
    let front = start();
    for name in ["one.example.com", "two.example.com"] {
        until("ordered", &front, || issuer(https, name).contains("Pebble"));
    }
    let acme = dir.path().join("acme");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&acme), 0o700);
    let files = || std::fs::read_dir(&acme).unwrap().map(|entry| entry.unwrap().path());
    assert!(files().all(|file| mode(&file) == 0o600), "{:?}", files().collect::<Vec<_>>());
    assert!(!acme.join("challenges").exists(), "tokens are left behind");
    // What is no token of this authority may be a node's, and is not sent elsewhere.
    let foreign = front.client().send(&Request::get("/.well-known/acme-challenge/other")).unwrap();
    assert_eq!(foreign.text(), "node");
    assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 308);
    drop(front);

    // Two thirds of this one's life are over.
    let old = Issued::between(&["one.example.com", "two.example.com"], 2000, 2030).unwrap();
    std::fs::write(acme.join("certificate.pem"), format!("{}{}", old.key, old.certificate)).unwrap();
    let front = start();
    until("renewed", &front, || issuer(https, "one.example.com").contains("Pebble"));
    let accounts = files().filter(|file| file.to_string_lossy().contains("account")).count();
    assert_eq!(accounts, 1, "it has made itself known again");
    drop(front);
    drop(pebble);

    // Without the authority what is there goes on being served.
    let front = start();
    assert!(issuer(https, "one.example.com").contains("Pebble"), "{}", front.daemon.said());
}

#[test]
fn an_authority_that_cannot_be_reached_is_told_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node =
        Sink::answering(0, |_| Reply { status: 200, body: "node".into(), ..Reply::default() }).unwrap();
    let own = Issued::for_names(&["localhost"]).unwrap();
    own.write(dir.path(), "ca").unwrap();
    let https = format!("127.0.0.1:{}", tools::free_port());
    let nobody = format!("https://localhost:{}/dir", tools::free_port());
    let variables = [
        ("PANDO_FRONT_HTTPS", https.as_str()),
        ("PANDO_FRONT_ACME_DOMAINS", "one.example.com"),
        ("PANDO_FRONT_ACME_DIRECTORY", nobody.as_str()),
        ("PANDO_FRONT_ACME_CA", "ca.pem"),
    ];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(""), &variables).unwrap();
    until("told", &front, || front.daemon.said().contains("no certificate for one.example.com"));
    assert!(front.daemon.said().contains("the next try is in"));
    assert_eq!(front.client().send(&Request::get("/")).unwrap().text(), "node");
}
