//! Who asked is said by the front door, and nobody else is believed.

use testkit::Request;
use testkit::front::Front;
use testkit::wire::{Wire, Wired};

use crate::candidate::BINARY;

fn asked(node: &Wire, front: &Front, headers: &[(&str, &str)]) -> (Wired, Option<String>) {
    node.clear();
    let request =
        headers.iter().fold(Request::get("/x"), |request, (name, value)| request.header(name, value));
    let answer = front.client().send(&request).unwrap();
    let mut seen = node.requests();
    assert_eq!((answer.status, seen.len()), (200, 1));
    (seen.remove(0), answer.header("x-request-id").map(str::to_owned))
}

#[test]
fn nobody_says_who_they_are() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let lies = [
        "X-Forwarded-For",
        "x_forwarded_for",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded",
        "Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Fly-Client-IP",
        "X-Original-URL",
        "X-Original-Host",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Host",
        "Front-End-Https",
        "Proxy",
        "X-Request-Id",
        "HTTP2-Settings",
        "Proxy-Connection",
        "Keep-Alive",
        "TE",
    ];
    let lies: Vec<(&str, &str)> = lies.iter().map(|name| (*name, "6.6.6.6")).collect();
    for role in ["balance", "edge"] {
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node.url(), &[]).unwrap();
        let (seen, id) = asked(&node, &front, &lies);
        assert!(seen.headers.iter().all(|(_, value)| !value.contains("6.6.6.6")), "{seen:?}");
        for (name, expected) in [
            ("x-forwarded-for", Some("127.0.0.1")),
            ("x-real-ip", Some("127.0.0.1")),
            ("x-forwarded-proto", Some("http")),
            ("x-forwarded-host", Some("127.0.0.1")),
            ("via", Some("1.1 pando")),
            ("forwarded", None),
            ("x-request-id", id.as_deref()),
        ] {
            assert_eq!(seen.all(name).collect::<Vec<_>>(), Vec::from_iter(expected), "{name}");
        }
        assert!(id.is_some_and(|id| id.len() >= 10));
        // Naming them as the connection's own takes none away.
        let (seen, _) = asked(
            &node,
            &front,
            &[("Connection", "x-forwarded-for, x-real-ip, via, x-request-id, cookie"), ("Cookie", "a")],
        );
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
        assert!(seen.header("x-request-id").is_some() && seen.header("cookie").is_none());
    }
}

#[test]
fn a_trusted_proxy_is_believed() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let variables = [
        ("PANDO_FRONT_TRUSTED", "127.0.0.0/8, 10.0.0.0/8, fd00::1"),
        ("PANDO_FRONT_FORWARDED", "true"),
        ("PANDO_FRONT_REMOVED_HEADERS", "x-secret*"),
    ];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &variables).unwrap();
    let (seen, id) = asked(
        &node,
        &front,
        &[
            ("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.9"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Request-Id", "given-1"),
            ("X-Secret-Thing", "s"),
            ("Via", "1.1 first"),
        ],
    );
    assert_eq!(id.as_deref(), Some("given-1"));
    for (name, expected) in [
        ("x-forwarded-for", Some("1.2.3.4")),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-host", Some("127.0.0.1")),
        ("forwarded", Some("for=1.2.3.4;proto=https;host=\"127.0.0.1\"")),
        ("x-request-id", Some("given-1")),
        ("via", Some("1.1 first, 1.1 pando")),
        ("x-secret-thing", None),
    ] {
        assert_eq!(seen.header(name), expected, "{name}");
    }
    let (_, id) = asked(&node, &front, &[("X-Request-Id", "a b")]);
    assert!(id.is_some_and(|id| !id.contains(' ')));
    // Through too many front doors, it goes in a circle.
    let round = Request::get("/x").header("Via", &["1.1 pando"; 8].join(", "));
    assert_eq!(front.client().send(&round).unwrap().status, 508);
}

#[test]
fn two_front_doors_tell_of_the_client_and_not_of_each_other() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let trusted = [("PANDO_FRONT_TRUSTED", "127.0.0.1")];
    let balance = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &trusted).unwrap();
    let behind = format!("http://{}", balance.address());
    let edge = Front::start(BINARY.as_ref(), dir.path(), "edge", &behind, &trusted).unwrap();
    let (seen, id) = asked(&node, &edge, &[("X-Forwarded-For", "1.2.3.4")]);
    assert_eq!(seen.header("x-forwarded-for"), Some("1.2.3.4"));
    assert_eq!(seen.header("via"), Some("1.1 pando, 1.1 pando"));
    assert_eq!(seen.header("x-request-id"), id.as_deref());
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value, expected) in [
        ("PANDO_FRONT_TRUSTED", "10.0.0.0/99", "front.trusted"),
        ("PANDO_FRONT_CLIENT_EXEMPT", "somewhere", "front.client_exempt"),
        ("PANDO_FRONT_REMOVED_HEADERS", "a b", "front.removed_headers"),
        ("PANDO_FRONT_ACCESS_LOG", "/nowhere/at/all", "/nowhere/at/all"),
    ] {
        let error = Front::start(BINARY.as_ref(), dir.path(), "balance", "127.0.0.1:9", &[(name, value)]);
        let said = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expected), "{name}: {said}");
    }
}
