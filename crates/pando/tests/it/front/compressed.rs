//! What an edge compresses by itself: who gets which form, and what takes it away again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use testkit::front::Front;
use testkit::sink::{Reply, Sink};
use testkit::{Answer, Client, Request, fault, tools};

use crate::candidate::BINARY;

const WAIT: Duration = Duration::from_secs(60);
const HTML: &str =
    "Cache-Control: max-age=600\r\nContent-Type: text/html\r\nETag: \"one\"\r\nAccept-Ranges: bytes\r\n";

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An edge with a control address.
struct Edge {
    front: Front,
    control: u16,
    dir: tempfile::TempDir,
}

impl Edge {
    fn start(node: &Sink, more: &[(&str, &str)]) -> Edge {
        let (dir, control) = (tempfile::tempdir().unwrap(), tools::free_port());
        let address = format!("127.0.0.1:{control}");
        let variables = [&[("PANDO_FRONT_CONTROL", address.as_str())][..], more].concat();
        let front = Front::start(BINARY.as_ref(), dir.path(), "edge", &node.url(""), &variables).unwrap();
        Edge { front, control, dir }
    }

    fn send(&self, request: &Request) -> Answer {
        self.front.client().send(request).unwrap()
    }

    fn get(&self, target: &str, accepts: &str) -> Answer {
        self.send(&Request::get(target).header("Accept-Encoding", accepts))
    }

    /// Asks until it comes in that coding.
    fn packed(&self, target: &str, accepts: &str, coding: &str) -> Answer {
        let mut answer = Answer::default();
        until(&format!("{target} in {coding}"), || {
            answer = self.get(target, accepts);
            assert_eq!(answer.status, 200);
            answer.header("content-encoding") == Some(coding)
        });
        answer
    }

    /// Asks a few times, until whatever is to be done has been done.
    fn plain(&self, target: &str, accepts: &str) -> Answer {
        let before = self.refused();
        let mut answer = self.get(target, accepts);
        for _ in 0..5 {
            answer = self.get(target, accepts);
            assert_eq!(answer.header("content-encoding"), None, "{:?}", answer.headers);
        }
        until("nothing waits", || self.compress()["waiting"].as_u64().unwrap_or(0) == 0);
        assert_eq!(self.refused(), before, "it was tried");
        answer
    }

    fn compress(&self) -> Value {
        Client::new(self.control).send(&Request::get("/status")).unwrap().json()["cache"]["compress"].clone()
    }

    fn refused(&self) -> u64 {
        self.compress()["refused"].as_u64().unwrap_or(0)
    }

    fn made(&self) -> u64 {
        self.compress()["made"].as_u64().unwrap_or(0)
    }

    fn purge(&self, body: &Value) {
        let answer = Client::new(self.control).send(&Request::json("POST", "/purge", body)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn text(about: &str) -> String {
    format!("{about}: {}", "<p>something that comes again</p>\n".repeat(200))
}

/// Answers with those headers, and a long text that begins with the request's line.
fn origin(headers: &'static str) -> Sink {
    Sink::answering(0, move |request| {
        let is_known = request.headers.to_ascii_lowercase().contains("if-none-match: \"one\"");
        Reply {
            status: if is_known { 304 } else { 200 },
            headers: headers.into(),
            body: if is_known { Vec::new() } else { text(&request.line).into() },
            ..Reply::default()
        }
    })
    .unwrap()
}

#[test]
fn a_hit_is_compressed_and_a_miss_is_not_waited_for() {
    let node = origin(HTML);
    let edge = Edge::start(&node, &[]);
    let miss = edge.get("/a", "br, gzip, zstd");
    assert_eq!((miss.header("content-encoding"), miss.header("vary")), (None, Some("Accept-Encoding")));
    assert_eq!(miss.header("etag"), Some("\"one\""));
    assert_eq!(edge.made(), 0, "a miss makes nothing");

    for (accepts, coding) in [
        ("gzip, deflate, br, zstd", "br"),
        ("zstd", "zstd"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "zstd"),
        ("identity;q=0, gzip", "gzip"),
    ] {
        let packed = edge.packed("/a", accepts, coding);
        assert_eq!(packed.unpacked().unwrap(), text("GET /a").into_bytes(), "{accepts}");
        assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
        assert_eq!(packed.header("etag"), Some("W/\"one\""));
        assert_eq!(packed.header("content-length"), Some(packed.body.len().to_string().as_str()));
        assert_eq!(packed.header("accept-ranges"), None);
        assert!(packed.header("cache-status").is_some_and(|said| said.contains("; hit")));
        assert!(packed.body.len() < 1_000);
    }
    for accepts in ["", "identity", "gzip;q=0", "gzip;q=0.5, identity", "deflate"] {
        let whole = edge.get("/a", accepts);
        assert_eq!(whole.header("content-encoding"), None, "{accepts}");
        assert_eq!((whole.header("vary"), whole.header("etag")), (Some("Accept-Encoding"), Some("\"one\"")));
        assert_eq!(whole.text(), text("GET /a"));
    }
    let unsaid = edge.send(&Request::get("/a"));
    assert_eq!((unsaid.header("content-encoding"), unsaid.text()), (None, text("GET /a")));

    assert_eq!(node.received().len(), 1);
    let compress = edge.compress();
    assert_eq!((&compress["made"], &compress["waiting"]), (&json!(3), &json!(0)), "{compress}");
    assert!(compress["savedBytes"].as_u64().unwrap() > 30_000, "{compress}");
    let metrics = Client::new(edge.control).send(&Request::get("/metrics")).unwrap().text();
    assert!(metrics.contains("pando_edge_compress_made_total{coding=\"br\"} 1"), "{metrics}");
}

#[test]
fn conditions_and_parts_are_about_the_right_bytes() {
    let node = origin(HTML);
    let edge = Edge::start(&node, &[]);
    edge.get("/a", "br");
    let packed = edge.packed("/a", "br", "br");
    let asks = |method: &str, lines: &[(&str, &str)]| {
        let request = Request::new(method, "/a").header("Accept-Encoding", "br");
        edge.send(&lines.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };

    let head = asks("HEAD", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
        assert_eq!(head.header(name), packed.header(name), "{name}");
    }

    // The tag that it gave out is understood, and so is the origin's own.
    for tag in ["W/\"one\"", "\"one\"", "\"other\", W/\"one\"", "*"] {
        let known = asks("GET", &[("If-None-Match", tag)]);
        assert_eq!((known.status, known.body.len()), (304, 0), "{tag}");
        assert_eq!(
            (known.header("etag"), known.header("vary")),
            (Some("W/\"one\""), Some("Accept-Encoding"))
        );
        assert_eq!((known.header("content-encoding"), known.header("content-length")), (None, None));
    }
    assert_eq!(asks("GET", &[("If-None-Match", "\"other\"")]).body, packed.body);

    let whole = text("GET /a");
    for lines in [&[("Range", "bytes=5-24")][..], &[("Range", "bytes=5-24"), ("If-Range", "\"one\"")]] {
        let part = asks("GET", lines);
        assert_eq!((part.status, part.text().as_str()), (206, &whole[5..25]), "{lines:?}");
        assert_eq!((part.header("content-encoding"), part.header("etag")), (None, Some("\"one\"")));
        assert_eq!(
            part.header("content-range"),
            Some(format!("bytes 5-24/{}", whole.len()).as_str()),
            "{lines:?}"
        );
    }
    // A weak tag names no bytes, so that nobody joins a part to what was compressed.
    let joined = asks("GET", &[("Range", "bytes=5-24"), ("If-Range", "W/\"one\"")]);
    assert_eq!((joined.status, joined.text()), (200, whole));
    assert_eq!(asks("GET", &[("Cache-Control", "no-transform")]).header("content-encoding"), None);
    assert_eq!(node.received().len(), 1);

    // What the origin confirms is not made again.
    edge.purge(&json!({"all": true, "soft": true}));
    let confirmed = asks("GET", &[]);
    assert_eq!(confirmed.body, packed.body);
    assert_eq!((edge.made(), node.received().len()), (1, 2));
}

#[test]
fn what_must_not_be_compressed_is_left_as_it_is() {
    const TYPE: &str = "Content-Type: text/html\r\n";
    for headers in [
        "Cache-Control: max-age=600\r\nContent-Type: image/png\r\n",
        "Cache-Control: max-age=600, no-transform\r\nContent-Type: text/html\r\n",
        "Cache-Control: max-age=600\r\nContent-Type: text/html\r\nContent-Digest: sha-256=:x:\r\n",
        "Cache-Control: max-age=600\r\nContent-Type: text/html\r\nContent-MD5: x\r\n",
        "Cache-Control: max-age=600\r\nContent-Type: text/html\r\nVary: Accept-Encoding\r\n",
        "Cache-Control: max-age=600\r\nContent-Type: text/html\r\nVary: Cookie\r\n",
        "Cache-Control: s-maxage=600\r\nContent-Type: text/html\r\nVary: Authorization\r\n",
    ] {
        let node = origin(headers);
        let edge = Edge::start(&node, &[]);
        let plain = edge.plain("/a", "gzip, br, zstd");
        assert_eq!(plain.text(), text("GET /a"), "{headers}");
        let told = headers.contains("Vary: Accept-Encoding");
        assert_eq!(plain.header("vary") == Some("Accept-Encoding"), told, "{headers}: {:?}", plain.headers);
        assert_eq!((edge.made(), node.received().len()), (0, 1), "{headers}");
    }

    // A cookie that is part of the key makes it the answer of whoever has that cookie.
    let node = origin(HTML);
    let edge = Edge::start(&node, &[("PANDO_EDGE_KEY_COOKIES", "session")]);
    edge.plain("/a", "br");
    // What the origin calls public is nobody's secret.
    let node = origin("Cache-Control: public, max-age=600\r\nContent-Type: text/html\r\nVary: Cookie\r\n");
    let edge = Edge::start(&node, &[("PANDO_EDGE_KEY_COOKIES", "session")]);
    edge.packed("/a", "br", "br");

    let node = origin(HTML);
    let edge = Edge::start(&node, &[("PANDO_EDGE_COMPRESS", "false")]);
    assert_eq!(edge.compress(), Value::Null);
    assert_eq!(edge.plain("/a", "br").header("vary"), None);
    let edge = Edge::start(&node, &[("PANDO_EDGE_COMPRESS", "gzip")]);
    assert_eq!(edge.packed("/a", "br, gzip", "gzip").unpacked().unwrap(), text("GET /a").into_bytes());

    // Noise does not shrink: it is tried once for each coding, and never again.
    let noise: Vec<u8> = StdRng::seed_from_u64(5).random_iter().take(20_000).collect();
    let body = noise.clone();
    let node = Sink::answering(0, move |_| Reply {
        status: 200,
        headers: format!("Cache-Control: max-age=600\r\n{TYPE}"),
        body: body.clone(),
        ..Reply::default()
    })
    .unwrap();
    let edge = Edge::start(&node, &[]);
    until("all have been refused", || {
        assert_eq!(edge.get("/a", "br, gzip, zstd").body, noise);
        edge.refused() == 3
    });
    edge.plain("/a", "br, gzip, zstd");
}

/// Whatever a client takes, it unpacks to what the origin said.
#[test]
fn every_form_is_the_same_answer() {
    let mut rng = StdRng::seed_from_u64(6);
    let bodies: Arc<Vec<Vec<u8>>> = Arc::new((0..40).map(|_| random(&mut rng)).collect());
    let all = bodies.clone();
    let node = Sink::answering(0, move |request| {
        let number: usize = request.line.rsplit('/').next().unwrap().parse().unwrap();
        let headers = match number % 4 {
            0 => "Cache-Control: public, max-age=600, immutable\r\nContent-Type: application/json\r\n",
            _ => "Cache-Control: max-age=600\r\nContent-Type: text/plain\r\n",
        };
        Reply { status: 200, headers: headers.into(), body: all[number].clone(), ..Reply::default() }
    })
    .unwrap();
    let edge = Edge::start(&node, &[]);
    for round in 0..6 {
        for (number, body) in bodies.iter().enumerate() {
            for accepts in ["br", "zstd", "gzip", "br;q=0.1, gzip;q=0.2, zstd;q=0.3", "identity"] {
                let answer = edge.get(&format!("/{number}"), accepts);
                let unpacked = answer.unpacked().unwrap();
                assert!(unpacked == *body, "{number} in {accepts}, round {round}: {:?}", answer.headers);
            }
        }
        until("nothing waits", || edge.compress()["waiting"] == 0);
    }
    assert_eq!(node.received().len(), bodies.len());
    assert!(edge.made() >= 60, "{}", edge.compress());
}

/// Anything from one byte repeated to noise.
fn random(rng: &mut StdRng) -> Vec<u8> {
    let length = rng.random_range(1..40_000);
    let kinds = rng.random_range(1..=256_u32);
    let mut body: Vec<u8> = Vec::with_capacity(length);
    while body.len() < length {
        match body.is_empty() || rng.random_bool(0.6) {
            true => body.push(rng.random_range(0..kinds) as u8),
            false => {
                let from = rng.random_range(0..body.len());
                let to = (from + rng.random_range(1..300)).min(body.len());
                body.extend_from_within(from..to);
            }
        }
    }
    body.truncate(length);
    body
}

/// What was purged is not answered in any form, however the purge meets the work on a form.
#[test]
fn a_purge_takes_every_form_away() {
    let version = Arc::new(AtomicUsize::new(0));
    let now = version.clone();
    let node = Sink::answering(0, move |_| {
        let version = now.load(Ordering::SeqCst);
        Reply {
            status: 200,
            headers: format!("{HTML}Surrogate-Key: thing\r\n").replace("one", &format!("v{version}")),
            body: text(&format!("version {version:06}")).repeat(20).into(),
            ..Reply::default()
        }
    })
    .unwrap();
    let edge = Edge::start(&node, &[]);
    let seen = |accepts: &str| {
        let answer = edge.get("/a", accepts);
        let text = String::from_utf8(answer.unpacked().unwrap()).unwrap();
        let seen: usize = text["version ".len()..][..6].parse().unwrap();
        assert!(answer.header("etag").unwrap().contains(&format!("v{seen}")), "{:?}", answer.headers);
        seen
    };
    for round in 1..60 {
        for accepts in ["br", "gzip", "zstd", "identity"] {
            seen(accepts);
        }
        if round % 3 == 0 {
            edge.packed("/a", "br", "br");
        }
        version.store(round, Ordering::SeqCst);
        match round % 2 {
            0 => edge.purge(&json!({"tags": ["thing"]})),
            _ => edge.purge(&json!({"urls": ["/a"]})),
        }
        for accepts in ["br", "gzip", "zstd", "identity", "br", "gzip", "zstd"] {
            assert_eq!(seen(accepts), round, "{accepts}");
        }
    }
    let last = edge.packed("/a", "br", "br");
    assert!(String::from_utf8(last.unpacked().unwrap()).unwrap().starts_with("version 000059"));
}

#[test]
fn those_who_miss_together_in_many_forms_are_one_question() {
    const ALL: usize = 64;
    let go = Arc::new(AtomicBool::new(false));
    let (gone, asked) = (go.clone(), Arc::new(AtomicUsize::new(0)));
    let node = Sink::answering(0, move |_| {
        until("all have asked", || gone.load(Ordering::SeqCst));
        Reply { status: 200, headers: HTML.into(), body: text("all").into(), ..Reply::default() }
    })
    .unwrap();
    let edge = Edge::start(&node, &[]);
    std::thread::scope(|scope| {
        for number in 0..ALL {
            let (edge, asked) = (&edge, asked.clone());
            scope.spawn(move || {
                let accepts = ["br", "gzip", "zstd", "identity"][number % 4];
                asked.fetch_add(1, Ordering::SeqCst);
                for _ in 0..10 {
                    let answer = edge.get("/a", accepts);
                    assert!(answer.unpacked().unwrap() == text("all").into_bytes(), "{:?}", answer.headers);
                }
            });
        }
        until("all are there", || asked.load(Ordering::SeqCst) == ALL);
        go.store(true, Ordering::SeqCst);
    });
    for coding in ["br", "gzip", "zstd"] {
        edge.packed("/a", coding, coding);
    }
    assert_eq!((node.received().len(), edge.made()), (1, 3));
}

#[test]
fn forms_outlive_the_process_on_disk_and_count_there() {
    let node = origin(HTML);
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    let variables = [("PANDO_EDGE_DISK_DIR", disk.to_str().unwrap()), ("PANDO_EDGE_DISK_BYTES", "16777216")];
    let mut front = Front::start(BINARY.as_ref(), dir.path(), "edge", &node.url(""), &variables).unwrap();
    let get = |front: &Front, number: usize, accepts: &str| {
        let request = Request::get(&format!("/{number}")).header("Accept-Encoding", accepts);
        let answer = front.client().send(&request).unwrap();
        assert!(answer.unpacked().unwrap() == text(&format!("GET /{number}")).into_bytes());
        answer.header("content-encoding").map(str::to_owned)
    };
    for number in 0..10 {
        for coding in ["br", "gzip"] {
            until("it is made", || get(&front, number, coding).as_deref() == Some(coding));
        }
    }
    fault::terminate(front.daemon.pid());
    until("it lists what it leaves", || disk.join("index").exists());
    front.daemon.restart().unwrap();
    for number in 0..10 {
        for coding in ["br", "gzip"] {
            assert_eq!(get(&front, number, coding).as_deref(), Some(coding), "it lay on disk");
        }
        assert_eq!(get(&front, number, "identity"), None);
    }
    assert_eq!(node.received().len(), 10);

    // Killed, it leaves what must be confirmed; what was made of it is confirmed with it.
    front.daemon.restart().unwrap();
    for number in 0..10 {
        assert_eq!(get(&front, number, "br").as_deref(), Some("br"));
    }
    assert_eq!(node.received().len(), 20);
    // Without the codings, an edge reads the same directory.
    drop(front);
    let off = [&variables[..], &[("PANDO_EDGE_COMPRESS", "false")]].concat();
    let front = Front::start(BINARY.as_ref(), dir.path(), "edge", &node.url(""), &off).unwrap();
    assert_eq!(get(&front, 0, "br"), None);
    assert!(bytes_below(&disk) <= 16 << 20);
}

fn bytes_below(dir: &Path) -> u64 {
    std::fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.metadata().map_or(0, |about| about.len()))
        .sum()
}

/// Many more answers than there is memory for, each in all forms: the bound holds.
#[test]
fn forms_count_towards_the_memory() {
    let mut rng = StdRng::seed_from_u64(8);
    // Half of each is noise, so that its codings weigh something.
    let body: Arc<Vec<u8>> =
        Arc::new((0..200_000).map(|at| if at % 2 == 0 { rng.random() } else { b'x' }).collect());
    let node = Sink::answering(0, move |_| Reply {
        status: 200,
        headers: HTML.into(),
        body: body.to_vec(),
        ..Reply::default()
    })
    .unwrap();
    let edge = Edge::start(&node, &[("PANDO_EDGE_MEMORY_BYTES", "8388608")]);
    let mut most = 0;
    for number in 0..60 {
        for coding in ["gzip", "zstd"] {
            for _ in 0..3 {
                edge.get(&format!("/{number}"), coding);
            }
        }
        let status = Client::new(edge.control).send(&Request::get("/status")).unwrap().json();
        most = most.max(status["cache"]["bytes"].as_u64().unwrap());
        assert!(most <= 8 << 20, "{most}");
    }
    until("nothing waits", || edge.compress()["waiting"] == 0);
    assert!(edge.made() > 0 && most > 1 << 20, "{most}, {}", edge.compress());
    assert!(edge.dir.path().exists());
}
