//! A node that keeps every byte that it is sent, and answers with bytes as they are. It reads requests as strictly as can
//! be, over connections that stay open, so that what a proxy let through by mistake shows as a request, or as junk.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;

/// A connection on which nothing comes for so long is given up.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// One request as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wired {
    /// The first line.
    pub line: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// What the head says is the body, without the marks of chunks.
    pub body: Vec<u8>,
    /// The connection that it came over, counted from 0.
    pub connection: usize,
}

impl Wired {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Seen {
    requests: Vec<Wired>,
    /// What was sent and is no request, or breaks off in the middle of one.
    junk: Vec<Vec<u8>>,
}

pub struct Wire {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What is to be written, and whether the connection stays open.
pub type Answer = (Vec<u8>, bool);

impl Wire {
    /// Answers each request with its first line as the body.
    pub fn echo() -> Result<Wire> {
        Wire::start(|request| {
            let body = &request.line;
            let length = body.len();
            (format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(), true)
        })
    }

    pub fn start(answer: impl Fn(&Wired) -> Answer + Send + Sync + 'static) -> Result<Wire> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(IDLE_MAX));
                    let _ = stream.set_nodelay(true);
                    let rest = converse(stream, connection, &kept, &*answer);
                    if !rest.is_empty() {
                        lock(&kept).junk.push(rest);
                    }
                });
            }
        });
        Ok(Wire { port, seen })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<Wired> {
        lock(&self.seen).requests.clone()
    }

    pub fn junk(&self) -> Vec<Vec<u8>> {
        lock(&self.seen).junk.clone()
    }

    /// Forgets what came so far.
    pub fn clear(&self) {
        *lock(&self.seen) = Seen::default();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Answers until the connection ends. What is left over was no request.
fn converse(
    mut stream: TcpStream,
    connection: usize,
    seen: &Mutex<Seen>,
    answer: &dyn Fn(&Wired) -> Answer,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes) {
            Parsed::Whole(mut request, used) => {
                bytes.drain(..used);
                request.connection = connection;
                // A front door asks by itself how its nodes are.
                if request.header("user-agent") != Some("pando-front-check") {
                    lock(seen).requests.push(request.clone());
                }
                let (text, stays) = answer(&request);
                if stream.write_all(&text).is_err() || !stays {
                    return bytes;
                }
                continue;
            }
            Parsed::Junk => return bytes,
            Parsed::Part => {}
        }
        let mut chunk = [0; 8192];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return bytes,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

enum Parsed {
    Whole(Wired, usize),
    Part,
    Junk,
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Parsed::Part };
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else { return Parsed::Junk };
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let mut request = Wired { line, ..Wired::default() };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Parsed::Junk };
        if name.is_empty() || name.contains([' ', '\t', '\n']) || value.contains(['\n', '\r', '\0']) {
            return Parsed::Junk;
        }
        request.headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    if request.line.split(' ').count() != 3 || !request.line.ends_with(" HTTP/1.1") {
        return Parsed::Junk;
    }
    let lengths: Vec<&str> = request.all("content-length").collect();
    let codings: Vec<&str> = request.all("transfer-encoding").collect();
    let rest = &bytes[end + 4..];
    match (&lengths[..], &codings[..]) {
        ([], []) => Parsed::Whole(request, end + 4),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let Ok(length) = length.parse::<usize>() else { return Parsed::Junk };
            if rest.len() < length {
                return Parsed::Part;
            }
            request.body = rest[..length].to_vec();
            Parsed::Whole(request, end + 4 + length)
        }
        ([], ["chunked"]) => chunks(request, rest, end + 4),
        _ => Parsed::Junk,
    }
}

fn chunks(mut request: Wired, rest: &[u8], head: usize) -> Parsed {
    let mut at = 0;
    loop {
        let Some(line) = find(&rest[at..], b"\r\n") else { return Parsed::Part };
        let size = std::str::from_utf8(&rest[at..at + line]).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            return Parsed::Junk;
        };
        at += line + 2;
        if rest.len() < at + size + 2 {
            return Parsed::Part;
        }
        if &rest[at + size..at + size + 2] != b"\r\n" {
            return Parsed::Junk;
        }
        request.body.extend_from_slice(&rest[at..at + size]);
        at += size + 2;
        if size == 0 {
            return Parsed::Whole(request, head + at);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Writes bytes over a connection of its own, and reads until the other side ends it. What was read, however it ended.
pub fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return Vec::new() };
    let _ = stream.set_read_timeout(Some(IDLE_MAX));
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The statuses of the answers, one after another, by their first lines. Those before the answer itself do not count.
pub fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let status = |(at, _): (usize, &str)| match text.get(at + 7..at + 9)? {
        "0 " | "1 " => text.get(at + 9..at + 12)?.parse().ok(),
        _ => None,
    };
    text.match_indices("HTTP/1.").filter_map(status).filter(|status: &u16| *status >= 200).collect()
}
