//! HTTP/2 from clients: by prior knowledge, as a stream of events, to its end, and against those who misuse it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use testkit::front::Front;
use testkit::h2::{self, Outcome, Raw};
use testkit::sink::{Reply, Sink};
use testkit::{Request, fault};

use crate::candidate::BINARY;

const WAIT: Duration = Duration::from_secs(60);

// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// The head and the stream end with this frame.
const END_BOTH: u8 = 0x5;
const ACK: u8 = 0x1;

/// A client that sends whatever frames it likes.
struct Wire(TcpStream);

impl Wire {
    fn open(front: &Front) -> Wire {
        let mut stream = TcpStream::connect(front.address()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut wire = Wire(stream);
        wire.send(SETTINGS, 0, 0, &[]).unwrap();
        wire
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame)
    }

    /// `GET /` of the host `a`, in the words of HPACK's static table.
    fn ask(&mut self, stream: u32) -> std::io::Result<()> {
        self.send(HEADERS, END_BOTH, stream, &[0x82, 0x86, 0x84, 0x41, 0x01, b'a'])
    }

    /// Kind, stream and payload of the next frame; none at the end. Answers what must be answered.
    fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let (kind, flags) = (head[3], head[4]);
        if (kind == SETTINGS || kind == PING) && flags & ACK == 0 {
            let body = if kind == PING { payload.as_slice() } else { &[] };
            self.send(kind, ACK, 0, body).ok()?;
        }
        Some((kind, u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    fn until(&mut self, wanted: u8) -> Option<(u32, Vec<u8>)> {
        loop {
            let (kind, stream, payload) = self.next()?;
            if kind == wanted {
                return Some((stream, payload));
            }
        }
    }
}

fn balancer(dir: &std::path::Path, node: &str) -> Front {
    Front::start(BINARY.as_ref(), dir, "balance", node, &[]).unwrap()
}

#[test]
fn a_connection_is_told_that_it_ends_and_its_requests_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let after = Duration::from_millis(500);
    let node = Sink::answering(0, move |_| Reply { status: 200, after, ..Reply::default() }).unwrap();
    let mut front = balancer(dir.path(), &node.url(""));
    let mut wire = Wire::open(&front);
    wire.ask(1).unwrap();
    while node.received().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    fault::terminate(front.daemon.pid());
    assert!(wire.until(GOAWAY).is_some(), "nothing was said");
    let (stream, head) = wire.until(HEADERS).expect("the request under way was dropped");
    // `:status: 200`, as the static table has it.
    assert_eq!((stream, head.first()), (1, Some(&0x88)));
    assert!(front.daemon.ended(WAIT), "{}", front.daemon.said());
}

#[test]
fn who_asks_and_takes_back_without_end_is_cut_off_and_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let node = Sink::answering(0, |_| Reply { status: 200, ..Reply::default() }).unwrap();
    let front = balancer(dir.path(), &node.url(""));
    let mut wire = Wire::open(&front);
    let mut asked = 0;
    for number in 0..100_000 {
        let stream = number * 2 + 1;
        let sent = wire.ask(stream).and_then(|()| wire.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        if sent.is_err() {
            break;
        }
        asked += 1;
    }
    assert!(asked < 100_000, "it takes as many as a client likes");
    assert_eq!(front.client().send(&Request::get("/")).unwrap().status, 200);
}

#[test]
fn events_come_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (next, turns) = mpsc::channel::<()>();
    let turns = std::sync::Mutex::new(turns);
    let turns = std::sync::Arc::new(turns);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let turns = turns.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).unwrap_or(0);
                if !String::from_utf8_lossy(&request[..read]).starts_with("GET /events") {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    return;
                }
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                let turns = turns.lock().unwrap();
                for number in 0..3 {
                    let _ = write!(stream, "9\r\ndata: {number}\n\n\r\n");
                    if turns.recv_timeout(WAIT).is_err() {
                        return;
                    }
                }
                let _ = stream.write_all(b"0\r\n\r\n");
            });
        }
    });
    let front = balancer(dir.path(), &address.to_string());
    let mut curl = Command::new("curl")
        .args(["-sSN", "--http2-prior-knowledge", "-w", "%{http_version}"])
        .arg(format!("http://{}/events", front.address()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = curl.stdout.take().unwrap();
    for number in 0..3 {
        // The next event is sent only once this one is here.
        let mut event = [0; 9];
        said.read_exact(&mut event).unwrap();
        assert_eq!(event, *format!("data: {number}\n\n").as_bytes());
        next.send(()).unwrap();
    }
    let mut version = String::new();
    said.read_to_string(&mut version).unwrap();
    assert!(curl.wait().unwrap().success());
    assert_eq!(version, "2");
}

#[test]
fn an_answer_has_to_be_taken_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    let node = Sink::answering(0, move |_| {
        let large = if count.fetch_add(1, Ordering::SeqCst) == 0 { 4 << 20 } else { 0 };
        Reply { status: 200, body: vec![b'x'; large], ..Reply::default() }
    })
    .unwrap();
    let variables = [("PANDO_FRONT_CLIENT_STALL_MS", "1000"), ("PANDO_FRONT_CLIENT_IDLE_MS", "0")];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(""), &variables).unwrap();
    let mut wire = Wire::open(&front);
    wire.ask(1).unwrap();
    // The window of 65,535 bytes is never opened again.
    let (stream, why) = wire.until(RST_STREAM).expect("the connection ended");
    assert_eq!((stream, why), (1, 8_u32.to_be_bytes().to_vec()));
    wire.ask(3).unwrap();
    let (stream, head) = wire.until(HEADERS).expect("the connection ended");
    assert_eq!((stream, head.first()), (3, Some(&0x88)));
}

#[test]
fn the_ends_of_answers_that_nobody_takes_do_not_keep_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    let node =
        Sink::answering(0, |_| Reply { status: 200, body: vec![b'x'; 100], ..Reply::default() }).unwrap();
    let variables = [("PANDO_FRONT_CLIENT_STALL_MS", "700"), ("PANDO_FRONT_CLIENT_IDLE_MS", "700")];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(""), &variables).unwrap();
    let mut wire = Wire::open(&front);
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    wire.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).unwrap();
    wire.ask(1).unwrap();
    assert!(wire.until(HEADERS).is_some());
    assert!(wire.until(u8::MAX).is_none(), "it is open to the end of the test");
}

/// A handshake of RFC 8441, for that protocol.
fn extended_connect(protocol: &str) -> Vec<u8> {
    h2::fields(&[
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/ws?room=1"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ])
}

/// Answers with that head whatever it is asked, says something, and sends back what it is told.
fn echoing(head: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    let Ok(read @ 1..) = stream.read(&mut bytes) else { return };
                    request.push_str(&String::from_utf8_lossy(&bytes[..read]));
                }
                let _ = tell.send(request);
                let _ = stream.write_all(head.as_bytes());
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(&bytes[..read]);
                }
                let _ = stream.write_all(b" bye");
            });
        }
    });
    (address, asked)
}

#[test]
fn a_stream_becomes_a_websocket() {
    let dir = tempfile::tempdir().unwrap();
    let (address, asked) = echoing(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello ",
    );
    for role in ["balance", "edge"] {
        let unchecked = [("PANDO_FRONT_CHECK_PATH", "")];
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &address, &unchecked).unwrap();
        let mut wire = Wire::open(&front);
        // SETTINGS_ENABLE_CONNECT_PROTOCOL is 1.
        let (_, settings) = wire.until(SETTINGS).unwrap();
        assert!(settings.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]), "{settings:?}");
        wire.send(HEADERS, h2::END_HEADERS, 1, &extended_connect("websocket")).unwrap();
        let (stream, head) = wire.until(HEADERS).expect("no answer");
        assert_eq!((stream, head.first()), (1, Some(&0x88)), "{head:?}");
        let request = asked.recv_timeout(WAIT).unwrap().to_ascii_lowercase();
        assert!(request.starts_with("get /ws?room=1 http/1.1\r\n"), "{request}");
        for line in [
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-protocol: chat",
            "host: a",
        ] {
            assert!(request.contains(&format!("{line}\r\n")), "{line}: {request}");
        }
        assert!(request.contains("sec-websocket-key: "), "{request}");
        wire.send(DATA, 0, 1, b"there").unwrap();
        let mut said = Vec::new();
        while said.len() < "hello there".len() {
            said.extend(wire.until(DATA).expect("it ended").1);
        }
        assert_eq!(said, b"hello there");
        // One end ends; what the other still has to say arrives.
        wire.send(DATA, h2::END_STREAM, 1, b"").unwrap();
        let mut rest = Vec::new();
        while rest.len() < " bye".len() {
            rest.extend(wire.until(DATA).expect("it ended").1);
        }
        assert_eq!(rest, b" bye");
    }
}

#[test]
fn a_stream_becomes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let unchecked = [("PANDO_FRONT_CHECK_PATH", "")];
    for (protocol, said, expected) in [
        ("connect-udp", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 405),
        // A node that knows no WebSocket has not agreed to one.
        ("websocket", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        ("websocket", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404),
    ] {
        let (address, _asked) = echoing(said);
        let front = Front::start(BINARY.as_ref(), dir.path(), "edge", &address, &unchecked).unwrap();
        let mut raw = Raw::connect(front.port());
        raw.send(&h2::frame(HEADERS, h2::END_HEADERS, 1, &extended_connect(protocol)));
        let seen = raw.until(1);
        assert_eq!(seen.streams.get(&1), Some(&Outcome::Status(expected)), "{protocol} {said}: {seen:?}");
    }
}
