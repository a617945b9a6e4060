//! What is made to be read in two ways is refused, or passed on so that it can be read in one.
//!
//! Each case is followed on its connection by a request that asks for its end. What was refused ends the connection, so
//! that the request after it is not looked at; what the node received is compared whole.

mod fuzz;
mod h2;

use testkit::front::Front;
use testkit::wire::{Wire, exchange, statuses};

use crate::candidate::BINARY;

const AFTER: &str = "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

enum Expected {
    /// With this status; the node sees nothing.
    Refused(u16),
    /// The node sees these lines and bodies, and the request after them.
    Passed(&'static [(&'static str, &'static str)]),
    /// The same, and the connection ends with it.
    Last(&'static [(&'static str, &'static str)]),
}
use Expected::*;

fn check(cases: &[(&str, Expected)]) {
    let node = Wire::echo().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for role in ["balance", "edge"] {
        let variables =
            [("PANDO_FRONT_BODY_BYTES_MAX", "1000"), ("PANDO_FRONT_HOSTS", "a,*.b.example,127.0.0.1")];
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node.url(), &variables).unwrap();
        for (text, expected) in cases {
            node.clear();
            let answers = exchange(front.port(), format!("{text}{AFTER}").as_bytes());
            let told = statuses(&answers);
            let shown = format!("{role}: {:?}\n{}", text, String::from_utf8_lossy(&answers));
            let seen = node.requests();
            let seen: Vec<(&str, String)> = seen
                .iter()
                .map(|request| {
                    let line = request.line.trim_end_matches(" HTTP/1.1");
                    (line, String::from_utf8_lossy(&request.body).into_owned())
                })
                .collect();
            let seen: Vec<(&str, &str)> = seen.iter().map(|(line, body)| (*line, body.as_str())).collect();
            match expected {
                Refused(status) => {
                    assert_eq!(told, [*status], "{shown}");
                    assert_eq!(seen, [], "{shown}");
                }
                Passed(lines) => {
                    assert_eq!(told, vec![200; lines.len() + 1], "{shown}");
                    assert_eq!(seen, [*lines, &[("GET /after", "")]].concat(), "{shown}");
                }
                Last(lines) => {
                    assert_eq!(told, vec![200; lines.len()], "{shown}");
                    assert_eq!(seen, *lines, "{shown}");
                }
            }
            assert_eq!(node.junk(), Vec::<Vec<u8>>::new(), "{shown}");
        }
    }
}

#[test]
fn a_body_has_one_end() {
    check(&[
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Passed(&[("POST /x", "hello")])),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Passed(&[("POST /x", "hello")]),
        ),
        // Twice the same number is one number.
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            Passed(&[("POST /x", "hello")]),
        ),
        // A body that nobody expects goes along, so that it can never be taken for a request.
        (
            "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\nGET /bad HTTP",
            Passed(&[("GET /x", "GET /bad HTTP")]),
        ),
        (
            "GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nGET /bad HTTP\r\n0\r\n\r\n",
            Passed(&[("GET /x", "GET /bad HTTP")]),
        ),
        // Both: chunks count, nothing after them does.
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Last(&[("POST /x", "hello")]),
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Last(&[("POST /x", "hello")]),
        ),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nhello", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused(400)),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            Refused(400),
        ),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refused(400)),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Refused(400),
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            Refused(400),
        ),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", Refused(400)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused(400)),
        ("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
        // It takes away neither its own length nor its host by naming them as of the connection.
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nConnection: content-length, host\r\nContent-Length: 5\r\n\r\nhello",
            Passed(&[("POST /x", "hello")]),
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
            Passed(&[("POST /x", "hello")]),
        ),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: the-worst\r\n\r\nhello", Refused(417)),
        // Not followed by anything, so that what was sent is read before the connection ends.
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", Refused(413)),
    ]);
}

#[test]
fn a_head_is_read_in_one_way() {
    check(&[
        ("GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 5\r\n\r\nhello", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\n Host: a\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 5\r\n\r\nhello", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\rHost: a\r\n\r\n", Refused(400)),
        // A line may end without CR, and what is passed on has it.
        ("GET /x HTTP/1.1\nHost: a\n\n", Passed(&[("GET /x", "")])),
        ("\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", Passed(&[("GET /x", "")])),
        ("GET /x\r\n", Refused(400)),
        ("GET /x HTTP/0.9\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /x HTTP/2.0\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1 \r\nHost: a\r\n\r\n", Refused(400)),
        ("GET  /x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /x y HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /x http/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("G\0T /x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", Passed(&[("GET /x", "")])),
        ("GET /x HTTP/1.0\r\nHost: a\r\n\r\n", Last(&[("GET /x", "")])),
        ("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Refused(405)),
        ("PURGE /x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(501)),
        ("get /x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(501)),
    ]);
}

#[test]
fn a_target_and_a_host_are_read_in_one_way() {
    check(&[
        ("GET /x HTTP/1.1\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.0\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a\r\nHost: b.b.example\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: u@a\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a/x\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a?x\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a#x\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a:b\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: a:99999\r\n\r\n", Refused(400)),
        ("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n", Refused(421)),
        ("GET /x HTTP/1.1\r\nHost: b.example\r\n\r\n", Refused(421)),
        ("GET /x HTTP/1.1\r\nHost: A:80\r\n\r\n", Passed(&[("GET /x", "")])),
        ("GET /x HTTP/1.1\r\nHost: c.B.example.\r\n\r\n", Passed(&[("GET /x", "")])),
        ("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", Passed(&[("GET /x?y", "")])),
        ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Passed(&[("GET /", "")])),
        ("GET http://a/x HTTP/1.1\r\nHost: c.b.example\r\n\r\n", Refused(400)),
        ("GET http://evil.example/x HTTP/1.1\r\nHost: evil.example\r\n\r\n", Refused(421)),
        ("GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET http://u@a/x HTTP/1.1\r\nHost: u@a\r\n\r\n", Refused(400)),
        ("GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Refused(400)),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /a/%2e%2E/x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /a%2f..%2fx HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /a/..;/x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /a\\x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        // What means something else to somebody else is passed on as it is.
        (
            "GET //x;a=b/%2f%41?/../%2e#f HTTP/1.1\r\nHost: a\r\n\r\n",
            Passed(&[("GET //x;a=b/%2f%41?/../%2e", "")]),
        ),
    ]);
}

#[test]
fn what_is_too_large_is_refused() {
    let node = Wire::echo().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &[]).unwrap();
    let many = "X-A: b\r\n".repeat(200);
    let large = format!("X-A: {}\r\n", "b".repeat(100_000));
    let line = "a".repeat(40_000);
    let long = "a".repeat(70_000);
    for (text, status) in [
        (format!("GET /x HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (format!("GET /x HTTP/1.1\r\nHost: a\r\n{large}\r\n"), 431),
        (format!("GET /{line} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 431),
    ] {
        let told = statuses(&exchange(front.port(), text.as_bytes()));
        assert_eq!(told, [status], "{}", &text[..60]);
    }
    assert_eq!(node.requests(), []);
}
