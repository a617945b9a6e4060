//! Which node is asked, what happens when it fails, and what passes through untouched.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::front::Front;
use testkit::sink::{Reply, Sink};
use testkit::{Request, tools};

use crate::candidate::BINARY;

/// Nodes are judged by their answers alone, so that nothing but the test's requests reaches them.
const UNCHECKED: (&str, &str) = ("PANDO_FRONT_CHECK_PATH", "");

fn front(dir: &tempfile::TempDir, nodes: &str, variables: &[(&str, &str)]) -> Front {
    let mut all = vec![UNCHECKED];
    all.extend_from_slice(variables);
    Front::start(BINARY.as_ref(), dir.path(), "balance", nodes, &all).unwrap()
}

/// A node that does with each connection what it is told; the connections are counted.
fn node(serve: impl Fn(BufReader<TcpStream>) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (serve, count) = (Arc::new(serve), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let serve = serve.clone();
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                serve(BufReader::new(stream));
            });
        }
    });
    (address, count)
}

/// A request's head, without its body; None when the connection has ended.
fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn say(stream: &mut BufReader<TcpStream>, text: &str) {
    let _ = stream.get_mut().write_all(text.as_bytes());
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_can_be_asked_again_is_asked_again_and_nothing_else() {
    // One reads requests and goes away without a word.
    let (broken, asked) = node(|mut stream| drop(head(&mut stream)));
    let good = Sink::answering(0, |request| Reply {
        status: 200,
        body: request.body.clone().into(),
        ..Reply::default()
    });
    let good = good.unwrap();
    let gone = format!("127.0.0.1:{}", tools::free_port());
    let dir = tempfile::tempdir().unwrap();
    let nodes = format!("{broken},{},{gone}", good.url(""));
    let front =
        front(&dir, &nodes, &[("PANDO_FRONT_STRATEGY", "round-robin"), ("PANDO_FRONT_RETRY_PERCENT", "100")]);
    for _ in 0..4 {
        assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 200);
        let kept = Request::new("PUT", "/").body("text/plain", "kept for a second time");
        let answer = front.client().send(&kept).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "kept for a second time"));
    }
    let (before, kept) = (asked.load(Ordering::SeqCst), good.received().len());
    let posts: Vec<u16> = (0..6)
        .map(|_| front.client().send(&Request::new("POST", "/").body("text/plain", "once")).unwrap().status)
        .collect();
    let failed = posts.iter().filter(|status| **status == 502).count();
    assert!(posts.iter().all(|status| matches!(status, 200 | 502)), "{posts:?}");
    assert_eq!(asked.load(Ordering::SeqCst) - before, failed, "a POST that was sent has one attempt");
    assert_eq!(good.received().len() - kept, posts.len() - failed);
}

#[test]
fn what_an_earlier_attempt_may_have_deleted_is_not_said_to_be_missing() {
    let (broken, _) = node(|mut stream| drop(head(&mut stream)));
    let good =
        Sink::answering(0, |request| Reply::status(if request.line.contains("/gone") { 404 } else { 204 }));
    let good = good.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let nodes = format!("{broken},{}", good.url(""));
    let front =
        front(&dir, &nodes, &[("PANDO_FRONT_STRATEGY", "round-robin"), ("PANDO_FRONT_RETRY_PERCENT", "100")]);
    let delete = |path: &str| front.client().send(&Request::new("DELETE", path)).unwrap().status;
    // Of two in a row one is sent to the broken one first.
    let answers = [delete("/gone"), delete("/gone")];
    assert!(
        answers.contains(&502) && answers.iter().all(|status| matches!(status, 404 | 502)),
        "{answers:?}"
    );
    assert!((0..4).all(|_| delete("/there") == 204));
}

#[test]
fn a_node_that_sends_elsewhere_is_believed_for_what_can_be_repeated() {
    let leaving = Sink::answering(0, |_| Reply {
        status: 503,
        headers: "Retry-After: 1\r\n".into(),
        ..Reply::default()
    });
    let (leaving, good) = (leaving.unwrap(), Sink::start(&[]).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let nodes = format!("{},{}", leaving.url(""), good.url(""));
    let front = front(&dir, &nodes, &[("PANDO_FRONT_STRATEGY", "round-robin")]);
    for _ in 0..4 {
        assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 204);
    }
}

#[test]
fn nobody_there_is_said_in_the_apis_words() {
    let gone = format!("127.0.0.1:{}", tools::free_port());
    let dir = tempfile::tempdir().unwrap();
    let front = Front::start(
        BINARY.as_ref(),
        dir.path(),
        "balance",
        &gone,
        &[("PANDO_FRONT_CHECK_INTERVAL_MS", "100"), ("PANDO_FRONT_CHECK_FALL", "1")],
    )
    .unwrap();
    wait_until("checks find that it is gone", || {
        let answer = front.client().send(&Request::get("/")).unwrap();
        assert!(matches!(answer.status, 502 | 503), "{answer:?}");
        assert_eq!(answer.json()["status"], answer.status);
        answer.status == 503 && answer.header("retry-after").is_some()
    });
    // It comes back, and is asked again by itself.
    let port = gone.rsplit_once(':').unwrap().1.parse().unwrap();
    let _node = Sink::answering(port, |_| Reply::status(200)).unwrap();
    wait_until("it is found again", || front.client().send(&Request::get("/")).unwrap().status == 200);
}

#[test]
fn a_frozen_node_is_left_for_another_one() {
    let sink = Sink::start(&[]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let frozen = front(&dir, &sink.url(""), &[]);
    let nodes = format!("{},{}", frozen.address(), sink.url(""));
    let variables = [
        ("PANDO_FRONT_CHECK_INTERVAL_MS", "100"),
        ("PANDO_FRONT_CHECK_TIMEOUT_MS", "500"),
        ("PANDO_FRONT_STRATEGY", "round-robin"),
    ];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &nodes, &variables).unwrap();
    for _ in 0..4 {
        assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 204);
    }
    frozen.daemon.freeze();
    for _ in 0..4 {
        assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 204);
    }
}

#[test]
fn nothing_of_a_broken_answer_reaches_another_request() {
    let (address, connections) = node(|mut stream| {
        while let Some(head) = head(&mut stream) {
            let more = if head.starts_with("GET /more") {
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
            } else {
                ""
            };
            match head.split(' ').nth(1) {
                Some("/both") => say(
                    &mut stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                ),
                Some("/cut") => {
                    say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort");
                    return;
                }
                _ => say(&mut stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{more}")),
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let front = front(&dir, &address, &[("PANDO_FRONT_THREADS", "1")]);
    let get = |path: &str| front.client().send(&Request::get(path)).unwrap();
    for _ in 0..3 {
        assert_eq!(get("/more").text(), "ok");
        assert_eq!(get("/").text(), "ok");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4, "each that sent too much was given up");
    for path in ["/both", "/cut"] {
        assert_eq!(get(path).status, 502, "{path}");
        assert_eq!(get("/").text(), "ok");
    }
}

#[test]
fn connections_become_websockets() {
    let (address, _) = node(|mut stream| {
        let head = head(&mut stream).unwrap().to_ascii_lowercase();
        assert!(
            head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"),
            "{head}"
        );
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello ",
        );
        let mut said = [0; 5];
        stream.read_exact(&mut said).unwrap();
        stream.get_mut().write_all(&said).unwrap();
        // Half of it ends; the other half goes on.
        assert_eq!(stream.read(&mut said).unwrap(), 0);
        say(&mut stream, " bye");
    });
    let dir = tempfile::tempdir().unwrap();
    let front = front(&dir, &address, &[]);
    let mut client = TcpStream::connect(front.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .unwrap();
    let mut client = BufReader::new(client);
    let answer = head(&mut client).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 101") && answer.to_ascii_lowercase().contains("upgrade: websocket"),
        "{answer}"
    );
    client.get_mut().write_all(b"there").unwrap();
    let mut text = [0; 11];
    client.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello there");
    client.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " bye");
}

#[test]
fn events_pass_at_once_and_a_client_that_leaves_is_noticed() {
    let ended = Arc::new(AtomicUsize::new(0));
    let noted = ended.clone();
    let (address, _) = node(move |mut stream| {
        head(&mut stream).unwrap();
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n",
        );
        // Nothing more comes, and nothing more is read, until the other side goes.
        assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)));
        noted.fetch_add(1, Ordering::SeqCst);
    });
    let dir = tempfile::tempdir().unwrap();
    let front = front(&dir, &address, &[]);
    let mut client = TcpStream::connect(front.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut client = BufReader::new(client);
    head(&mut client).unwrap();
    let mut event = [0; 10];
    client.read_exact(&mut event).unwrap();
    assert_eq!(&event, b"7\r\ndata: 1");
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    drop(client);
    wait_until("the node sees the client go", || ended.load(Ordering::SeqCst) == 1);
}

#[test]
fn heads_without_bodies_and_trailers_pass() {
    let (address, _) = node(|mut stream| {
        while let Some(head) = head(&mut stream) {
            match head.split(' ').next() {
                Some("HEAD") => say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 4242\r\n\r\n"),
                _ => say(
                    &mut stream,
                    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
                ),
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let front = front(&dir, &address, &[]);
    for _ in 0..3 {
        let answer = front.client().send(&Request::new("HEAD", "/")).unwrap();
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("4242")));
        assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 304);
    }
}

#[test]
fn a_cookie_keeps_a_client_with_its_node() {
    let nodes: Vec<Sink> = ["a", "b", "c"]
        .map(|name| {
            Sink::answering(0, move |_| Reply { status: 200, body: name.into(), ..Reply::default() }).unwrap()
        })
        .into();
    let list = nodes.iter().map(|node| node.url("")).collect::<Vec<_>>().join(",");
    let dir = tempfile::tempdir().unwrap();
    let front =
        front(&dir, &list, &[("PANDO_FRONT_STICKY", "node"), ("PANDO_FRONT_STRATEGY", "round-robin")]);
    let first = front.client().send(&Request::get("/")).unwrap();
    let cookie = first.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    for _ in 0..6 {
        let next = front.client().send(&Request::get("/").header("Cookie", cookie)).unwrap();
        assert_eq!((next.text(), next.header("set-cookie")), (first.text(), None));
    }
    let other = front.client().send(&Request::get("/").header("Cookie", "node=00000000deadbeef")).unwrap();
    assert!(other.header("set-cookie").is_some());
}

#[test]
fn much_passes_through_little_memory() {
    const BYTES: usize = 200 << 20;
    let (address, _) = node(|mut stream| {
        let head = head(&mut stream).unwrap();
        if head.starts_with("PUT") {
            let read = std::io::copy(&mut (&mut stream).take(BYTES as u64), &mut std::io::sink()).unwrap();
            say(
                &mut stream,
                &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{read}", read.to_string().len()),
            );
            return;
        }
        say(&mut stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n"));
        let piece = vec![b'x'; 1 << 20];
        (0..BYTES / piece.len()).for_each(|_| stream.get_mut().write_all(&piece).unwrap());
    });
    let dir = tempfile::tempdir().unwrap();
    let front = front(&dir, &address, &[]);
    let mut client = TcpStream::connect(front.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    // Whoever does not read holds the node up, and fills nobody's memory.
    std::thread::sleep(Duration::from_millis(200));
    let mut client = BufReader::new(client);
    head(&mut client).unwrap();
    assert_eq!(std::io::copy(&mut client, &mut std::io::sink()).unwrap(), BYTES as u64);
    let mut client = TcpStream::connect(front.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(client, "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {BYTES}\r\n\r\n")
        .unwrap();
    let piece = vec![b'x'; 1 << 20];
    (0..BYTES / piece.len()).for_each(|_| client.write_all(&piece).unwrap());
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(&BYTES.to_string()), "{answer}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", front.daemon.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(peak < 128 << 10, "{peak} KiB at most");
}
