//! The same in HTTP/2, where ends are said by frames and what is passed on is HTTP/1.1.

use testkit::front::Front;
use testkit::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, PING, RST_STREAM, Raw, fields, frame,
};
use testkit::wire::Wire;

use crate::candidate::BINARY;

type Fields = &'static [(&'static str, &'static str)];

const GET: Fields = &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/x")];
const POST: Fields = &[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/x")];
const HIDDEN: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

enum Expected {
    Refused(u16),
    /// The stream, or the connection, ends without an answer.
    Ended,
    /// The node sees this line and body.
    Passed(&'static str, &'static str),
}
use Expected::*;

/// Sends a request on the first stream, with or without a body, and then one on another stream of the same connection, if
/// there still is one.
fn check(cases: &[(Fields, Fields, Option<&str>, Expected)]) {
    let node = Wire::echo().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for role in ["balance", "edge"] {
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node.url(), &[]).unwrap();
        for (pseudo, more, body, expected) in cases {
            node.clear();
            let mut raw = Raw::connect(front.port());
            let block = fields(&[*pseudo, *more].concat());
            let end = if body.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
            let mut bytes = frame(HEADERS, end, 1, &block);
            if let Some(body) = body {
                bytes.extend(frame(DATA, END_STREAM, 1, body.as_bytes()));
            }
            raw.send(&bytes);
            let seen = raw.until(1);
            let shown = format!("{role}: {pseudo:?} {more:?} {body:?}\n{seen:?}");
            let outcome = seen.streams.get(&1).copied();
            let requests = node.requests();
            match expected {
                Refused(status) => assert_eq!(outcome, Some(Outcome::Status(*status)), "{shown}"),
                Ended => assert!(
                    outcome == Some(Outcome::Reset) || seen.closed || seen.goaway.is_some(),
                    "{shown}"
                ),
                Passed(line, body) => {
                    assert_eq!(outcome, Some(Outcome::Status(200)), "{shown}");
                    let request = &requests[0];
                    assert_eq!(request.line, format!("{line} HTTP/1.1"), "{shown}");
                    assert_eq!(String::from_utf8_lossy(&request.body), *body, "{shown}");
                }
            }
            assert!(requests.len() <= usize::from(matches!(expected, Passed(..))), "{shown}\n{requests:?}");
            if seen.goaway.is_none() && !seen.closed {
                raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &fields(GET)));
                assert_eq!(raw.until(3).streams.get(&3), Some(&Outcome::Status(200)), "{shown}");
                assert_eq!(
                    node.requests().last().map(|request| request.line.as_str()),
                    Some("GET /x HTTP/1.1")
                );
            }
            assert_eq!(node.junk(), Vec::<Vec<u8>>::new(), "{shown}");
        }
    }
}

#[test]
fn what_becomes_http_1_has_one_end() {
    check(&[
        (GET, &[], None, Passed("GET /x", "")),
        (POST, &[], Some(HIDDEN), Passed("POST /x", HIDDEN)),
        (POST, &[("content-length", "5")], Some("hello"), Passed("POST /x", "hello")),
        // The second cookie is of the first: servers before HTTP/2 know one field.
        (GET, &[("cookie", "a=b"), ("cookie", "c=d")], None, Passed("GET /x", "")),
        (GET, &[], Some(HIDDEN), Passed("GET /x", HIDDEN)),
        (POST, &[("content-length", "0")], Some(HIDDEN), Ended),
        (POST, &[("content-length", "+5")], Some("hello"), Ended),
        (POST, &[("content-length", "5"), ("content-length", "6")], Some("hello"), Ended),
        (POST, &[("transfer-encoding", "chunked")], Some(HIDDEN), Ended),
        (POST, &[("transfer-encoding", "identity")], Some(HIDDEN), Ended),
        (POST, &[("connection", "content-length")], Some("hello"), Ended),
        (POST, &[("keep-alive", "1")], Some("hello"), Ended),
        (POST, &[("upgrade", "h2c")], Some("hello"), Ended),
        (POST, &[("te", "chunked")], Some("hello"), Ended),
        (GET, &[("x", "a\r\nTransfer-Encoding: chunked")], None, Ended),
        (GET, &[("x", "a\nb")], None, Ended),
        (GET, &[("x", "a\0b")], None, Ended),
        (GET, &[("x\r\ny", "b")], None, Ended),
        (GET, &[("x: y", "b")], None, Ended),
        (GET, &[("transfer-encoding: chunked\r\nx", "b")], None, Ended),
        (GET, &[("X", "b")], None, Ended),
        (GET, &[("", "b")], None, Ended),
    ]);
}

#[test]
fn pseudo_headers_say_what_they_are_for() {
    const REST: Fields = &[(":scheme", "http"), (":authority", "a")];
    check(&[
        (REST, &[(":method", "GET"), (":path", "/x?y")], None, Passed("GET /x?y", "")),
        (
            &[(":method", "GET"), (":scheme", "http"), (":path", "/x")],
            &[("host", "a")],
            None,
            Passed("GET /x", ""),
        ),
        (GET, &[("host", "a")], None, Passed("GET /x", "")),
        (GET, &[("host", "b")], None, Refused(400)),
        (GET, &[("host", "a"), ("host", "a")], None, Refused(400)),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/x")], &[], None, Refused(400)),
        (
            &[(":method", "TRACE"), (":scheme", "http"), (":authority", "a"), (":path", "/x")],
            &[],
            None,
            Refused(405),
        ),
        (
            &[(":method", "PURGE"), (":scheme", "http"), (":authority", "a"), (":path", "/x")],
            &[],
            None,
            Refused(501),
        ),
        (&[(":method", "CONNECT"), (":authority", "a:80")], &[], None, Refused(405)),
        (REST, &[(":method", "GET"), (":path", "/a/../x")], None, Refused(400)),
        (REST, &[(":method", "GET"), (":path", "/a%2f%2e%2e/x")], None, Refused(400)),
        (REST, &[(":method", "OPTIONS"), (":path", "*")], None, Refused(400)),
        (REST, &[(":method", "GET"), (":path", "")], None, Ended),
        (REST, &[(":method", "GET"), (":path", "/x HTTP/1.1\r\nX: y")], None, Ended),
        (REST, &[(":method", "GET /bad HTTP/1.1\r\nX: y"), (":path", "/x")], None, Ended),
        (REST, &[(":method", "GET"), (":path", "/x"), (":path", "/y")], None, Ended),
        (REST, &[(":method", "GET"), ("x", "y"), (":path", "/x")], None, Ended),
        (REST, &[(":method", "GET"), (":path", "/x"), (":status", "200")], None, Ended),
        (REST, &[(":method", "GET"), (":path", "/x"), (":odd", "200")], None, Ended),
        (
            &[(":method", "GET"), (":scheme", "http"), (":authority", "u@a"), (":path", "/x")],
            &[],
            None,
            Refused(400),
        ),
        (
            &[(":method", "GET"), (":scheme", "ftp"), (":authority", "a"), (":path", "/x")],
            &[],
            None,
            Refused(400),
        ),
        (
            &[(":method", "GET"), (":scheme", "http"), (":authority", "a b"), (":path", "/x")],
            &[],
            None,
            Ended,
        ),
    ]);
}

fn started(dir: &std::path::Path, node: &Wire) -> Front {
    Front::start(BINARY.as_ref(), dir, "balance", &node.url(), &[("PANDO_FRONT_THREADS", "1")]).unwrap()
}

/// Others are served meanwhile: by the only thread there is.
fn others_are_served(front: &Front) {
    let answer = front.client().send(&testkit::Request::get("/other")).unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn whoever_opens_and_resets_is_sent_away() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = started(dir.path(), &node);
    let mut raw = Raw::connect(front.port());
    let block = fields(GET);
    let mut sent = 0;
    for number in 0..20_000u32 {
        let stream = 2 * number + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        if !raw.send(&bytes) {
            break;
        }
        sent = number;
    }
    let seen = raw.until(u32::MAX);
    assert!(seen.goaway.is_some_and(|code| code != 0) || seen.closed, "{seen:?}");
    assert!(node.requests().len() < 20_000, "{sent}");
    others_are_served(&front);
}

#[test]
fn a_head_without_end_is_cut_off() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = started(dir.path(), &node);
    let mut raw = Raw::connect(front.port());
    raw.send(&frame(HEADERS, END_STREAM, 1, &fields(GET)));
    let more = fields(&[("x-a", &"b".repeat(1_000))]);
    for _ in 0..20_000 {
        if !raw.send(&frame(CONTINUATION, 0, 1, &more)) {
            break;
        }
    }
    let seen = raw.until(u32::MAX);
    assert!(seen.closed && !seen.streams.contains_key(&1), "{seen:?}");
    // So is one without any field, which weighs nothing.
    let mut raw = Raw::connect(front.port());
    raw.send(&frame(HEADERS, END_STREAM, 1, &fields(GET)));
    for _ in 0..200_000 {
        if !raw.send(&frame(CONTINUATION, 0, 1, &[])) {
            break;
        }
    }
    assert!(raw.until(u32::MAX).closed);
    assert_eq!(node.requests(), []);
    others_are_served(&front);
}

#[test]
fn a_small_head_that_means_a_large_one_is_refused() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = started(dir.path(), &node);
    let mut raw = Raw::connect(front.port());
    // One field is kept in the table, then meant ten thousand times.
    let mut block = fields(GET);
    block.push(0x40);
    block.extend_from_slice(&[3, b'x', b'-', b'a', 100]);
    block.extend_from_slice(&[b'b'; 100]);
    block.extend_from_slice(&[0xbe; 10_000]);
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    let seen = raw.until(1);
    assert!(
        matches!(seen.streams.get(&1), Some(Outcome::Status(431) | Outcome::Reset)) || seen.closed,
        "{seen:?}"
    );
    assert_eq!(node.requests(), []);
    others_are_served(&front);
}

#[test]
fn pings_are_no_reason_to_grow() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let front = started(dir.path(), &node);
    let mut raw = Raw::connect(front.port());
    for _ in 0..50_000 {
        // Nobody reads the answers.
        raw.0.set_write_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        if !raw.send(&frame(PING, 0, 0, &[0; 8])) {
            break;
        }
    }
    others_are_served(&front);
}
