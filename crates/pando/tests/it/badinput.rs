//! Bad input is refused, politely and always: 4xx in the error shape, never 5xx, and the process lives on.
//!
//! `PANDO_FUZZ_SECONDS` and `PANDO_FUZZ_SEED` lengthen and vary the random part.

use serde_json::{Value, json};
use testkit::corpus::encode;
use testkit::fuzz;
use testkit::pando::{self, Engine};
use testkit::{Answer, Client, Request, Server};

use crate::candidate::Candidate;

const RECORDS: &str = "/api/collections/posts/records";
const DATA: &str = include_str!("differential/data.txt");
const FUZZ_SECONDS: u64 = 5;

fn with_server(engine: Engine, test: impl Fn(&Server, &str)) {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    testkit::judge::apply(DATA, &server);
    let token = server.superuser_token().unwrap();
    test(&server, &token);
    assert!(server.is_alive(), "the server died:\n{}", server.log());
    let log = server.log().to_lowercase();
    assert!(!log.contains("panicked at"), "something panicked:\n{log}");
    assert_eq!(server.client().send(&Request::get("/api/health")).unwrap().status, 200);
}

/// The one shape that every error has.
fn is_error_shape(answer: &Answer) -> bool {
    let body = answer.json();
    body["status"] == json!(answer.status)
        && body["message"].as_str().is_some_and(|m| !m.is_empty())
        && body["data"].is_object()
        && body.as_object().is_some_and(|o| o.len() == 3)
}

fn polite(client: &Client, request: &Request) -> u16 {
    let shown = || {
        let body = request.body[..request.body.len().min(300)].escape_ascii().to_string();
        format!("{} {} {:?} {body}", request.method, request.target, request.headers)
    };
    let answer = client.send(request).unwrap_or_else(|e| panic!("no answer ({e}) to {}", shown()));
    assert!(answer.status < 500, "{} {}\nto {}", answer.status, answer.text(), shown());
    // The reference gives an empty answer when the offending value, which it quotes, is not UTF-8.
    let quirk = pando::is_oracle() && answer.body.is_empty();
    if answer.status >= 400 && request.method != "HEAD" && !quirk {
        assert!(is_error_shape(&answer), "not the error shape: {}\nto {}", answer.text(), shown());
    }
    answer.status
}

fn refused(client: &Client, request: Request) {
    let status = polite(client, &request);
    assert!(status >= 400, "accepted with {status}: {} {}", request.method, request.target);
}

fn table(server: &Server, token: &str) {
    let client = server.client();
    let post = |body: Vec<u8>| Request::new("POST", RECORDS).body("application/json", body).token(token);
    let deep = |n: usize| format!("{{\"doc\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    let bodies: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"{\"title\":".to_vec(),
        b"\xff\xfe{}".to_vec(),
        b"{\"title\":\"\xff\"}".to_vec(),
        b"{\"title\":\"\xed\xa0\x80\"}".to_vec(),
        b"{\"title\":\"\\ud800\"}".to_vec(),
        b"{\"n\":1e99999}".to_vec(),
        b"{\"n\":NaN}".to_vec(),
        deep(100_000).into_bytes(),
        "[".repeat(1_000_000).into_bytes(),
        "{\"a\":".repeat(500_000).into_bytes(),
        format!("{{\"n\":{}}}", "9".repeat(1_000_000)).into_bytes(),
        format!("{{\"title\":\"{}", "x".repeat(1_000_000)).into_bytes(),
    ];
    for body in bodies {
        refused(&client, post(body));
    }
    // Large but well formed: either answer is right, as long as it is one.
    for body in [
        deep(1000),
        format!("{{\"title\":\"{}\"}}", "x".repeat(4 << 20)),
        format!("{{\"doc\":{}}}", "1".repeat(10_000)),
    ] {
        polite(&client, &post(body.into_bytes()));
    }
    // Above every limit of a body: refused, before or after having been read.
    let huge = format!("{{\"title\":\"{}\"}}", "x".repeat(40 << 20)).into_bytes();
    let fresh = server.client();
    match fresh.send(&post(huge)) {
        Ok(answer) => assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text()),
        Err(e) => assert!(
            e.kind() != std::io::ErrorKind::TimedOut && e.kind() != std::io::ErrorKind::WouldBlock,
            "{e}"
        ),
    }
    let long = "x".repeat(100_000);
    let filters = [
        format!("title = '{long}'"),
        "(".repeat(10_000),
        format!("{}n = 1{}", "(".repeat(2_000), ")".repeat(2_000)),
        vec!["n = 1"; 5_000].join(" && "),
        format!("{long} = 1"),
        format!("author.{}name = 1", "boss.".repeat(500)),
        format!("n = {}", "9".repeat(10_000)),
        "'".repeat(999),
        "\\".repeat(999),
        "title = '\u{0}'".into(),
    ];
    let client = server.client();
    for filter in &filters {
        let request = Request::get(&format!("{RECORDS}?filter={}", encode(filter))).token(token);
        // A target may be too long for the server to read at all: then any refusal will do.
        match client.send(&request) {
            Ok(answer) => assert!(answer.status < 500, "{} to {:.80}", answer.status, filter),
            Err(e) => assert!(e.kind() != std::io::ErrorKind::WouldBlock, "{e} to {filter:.80}"),
        }
    }
    for bad in ["x", "a.b.c", "Bearer", "Bearer x", "eyJhbGciOiJub25lIn0.e30.", &"a".repeat(7_000)] {
        polite(&client, &Request::get(RECORDS).header("Authorization", bad));
        refused(&client, Request::get("/api/collections").header("Authorization", bad));
    }
    for id in
        ["%00", "%ff", "'", "%27%20or%201=1", "..%2f..%2fetc%2fpasswd", "%", "%2", "%zz", &"x".repeat(5_000)]
    {
        for method in ["GET", "PATCH", "DELETE"] {
            let request =
                Request::new(method, &format!("{RECORDS}/{id}")).body("application/json", "{}").token(token);
            match client.send(&request) {
                Ok(answer) => {
                    assert!((400..500).contains(&answer.status), "{} to {method} {id:.80}", answer.status)
                }
                Err(e) => assert!(e.kind() != std::io::ErrorKind::WouldBlock, "{e} to {method} {id:.80}"),
            }
        }
    }
}

/// Bytes that are not HTTP, or only almost: the connection may be closed, the process may not.
fn not_http(server: &Server) {
    let heads: &[&[u8]] = &[
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        b"POST /api/collections HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/collections HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /api/collections HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /api/collections HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: \x01\x02\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for head in heads {
        let client = server.client().with_timeout(std::time::Duration::from_millis(300));
        if let Ok(answer) = client.send_raw(head) {
            assert!(
                answer.status < 500 || answer.status == 505,
                "{} to {}",
                answer.status,
                head.escape_ascii()
            );
        }
    }
}

/// Mutations of valid bodies, filters, sorts, fields, expands, forms and collection definitions.
fn mutated(server: &Server, token: &str) {
    let client = server.client();
    let bodies: &[&[u8]] = &[
        br#"{"title":"x","n":1.5,"ok":true,"day":"2022-01-02 03:04:05.678Z","tags":["red","green"],"author":"person000000001","doc":{"a":[1,{"b":null}]},"place":{"lon":1,"lat":2}}"#,
        br#"{"n+":1,"tags-":["red"],"+editors":"person000000002","title:autogenerate":"x"}"#,
        br#"{"id":"post00000000001","mail":"a@b.io","link":"http://x.io","tag":"red"}"#,
    ];
    let filters: &[&[u8]] = &[
        b"title = 'Alpha' && (n > 1 || ok = true)",
        b"editors.name ?= 'Ann' && tags:each ?~ 'r' // comment",
        b"comments_via_post.score ?> 0 && author.city.name != null",
        b"@request.auth.id != '' && @collection.people:a.id ?= author",
        b"geoDistance(place.lon, place.lat, 23.32, 42.70) < 100 && strftime('%Y', day) = '2022'",
        b"doc.b.c = 'x' || doc.a != 1 || day > @now",
    ];
    let others: &[&[u8]] = &[
        b"-n,+title,author.name",
        b"id,title:excerpt(3,true),expand.author.name",
        b"author.city,comments_via_post",
    ];
    let forms: &[&[u8]] =
        &[b"title=x&n=1&tags=red&tags=green&doc={\"a\":1}", b"@jsonPayload={\"title\":\"x\"}&n=2"];
    let parts: &[&[u8]] = &[b"--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ncontent\r\n--b--\r\n"];
    let schemas: &[&[u8]] = &[
        br#"{"name":"fz","type":"base","fields":[{"name":"a","type":"text","max":5,"pattern":"^[a-z]+$"},{"name":"s","type":"select","values":["a","b"],"maxSelect":2}],"indexes":["create index idx_fz on fz (a)"],"listRule":"a = 'x'"}"#,
        br#"{"name":"fv","type":"view","viewQuery":"select id, title from posts"}"#,
    ];
    let target = |key: &str, bytes: &[u8]| {
        let value: String = bytes.iter().map(|b| format!("%{b:02X}")).collect();
        format!("{RECORDS}?{key}={value}&perPage=3")
    };
    let all: Vec<&[u8]> = [bodies, filters, others, forms, parts, schemas].concat();
    let mut turn = 0;
    fuzz::run(&all, fuzz::seconds(FUZZ_SECONDS), |bytes| {
        turn += 1;
        let request = match turn % 9 {
            0 => Request::new("POST", RECORDS).body("application/json", bytes),
            1 => Request::new("PATCH", &format!("{RECORDS}/post00000000002")).body("application/json", bytes),
            2 => Request::get(&target("sort", &bytes[..bytes.len().min(1500)])),
            3 => Request::get(&target("fields", &bytes[..bytes.len().min(1500)])),
            4 => Request::get(&target("expand", &bytes[..bytes.len().min(1500)])),
            5 => Request::new("POST", RECORDS).body("application/x-www-form-urlencoded", bytes),
            6 => Request::new("POST", RECORDS).body("multipart/form-data; boundary=b", bytes),
            7 => Request::new("POST", "/api/collections").body("application/json", bytes),
            _ => Request::get(&target("filter", &bytes[..bytes.len().min(1500)])),
        };
        let request = if turn % 2 == 0 { request.token(token) } else { request };
        polite(&client, &request);
    });
}

fn all(server: &Server, token: &str) {
    table(server, token);
    not_http(server);
    mutated(server, token);
}

#[test]
fn sqlite() {
    with_server(Engine::Sqlite, all);
}

#[test]
fn postgres() {
    with_server(Engine::Postgres, all);
}

#[test]
fn the_shape_is_recognised() {
    let answer =
        |status, body: Value| Answer { status, headers: vec![], body: body.to_string().into_bytes() };
    assert!(is_error_shape(&answer(400, json!({"data": {}, "message": "x", "status": 400}))));
    assert!(!is_error_shape(&answer(400, json!({"data": {}, "message": "x", "status": 404}))));
    assert!(!is_error_shape(&answer(400, json!({"message": "x", "status": 400}))));
    assert!(!is_error_shape(&answer(400, json!("x"))));
}
