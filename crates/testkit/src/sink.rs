//! An HTTP server that keeps what it is sent and answers as it is told.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and path.
    pub line: String,
    pub headers: String,
    pub body: String,
}

/// What it answers.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// Whole lines, each with its end.
    pub headers: String,
    pub body: Vec<u8>,
    pub after: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }
}

pub struct Sink {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Sink {
    /// Answers the first requests with these statuses, and every further one with 204.
    pub fn start(statuses: &[u16]) -> Result<Sink> {
        let statuses = Mutex::new(VecDeque::from(statuses.to_vec()));
        Sink::answering(0, move |_| {
            let next = statuses.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front();
            Reply::status(next.unwrap_or(204))
        })
    }

    /// On that port, or any when it is 0. Each request has a thread of its own.
    pub fn answering(port: u16, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Result<Sink> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (received.clone(), Arc::new(answer));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || {
                    let Some((request, mut stream)) = receive(stream) else { return };
                    // A front door's checks come whenever they do, so that no script counts on them.
                    if request.headers.contains("pando-front-check") {
                        let _ = stream.write_all(
                            b"HTTP/1.1 200 Ready\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                        );
                        return;
                    }
                    kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(request.clone());
                    let Reply { status, headers, body, after } = answer(&request);
                    std::thread::sleep(after);
                    let head =
                        format!("HTTP/1.1 {status} Told\r\n{headers}Content-Length: {}\r\n", body.len());
                    let _ = write!(stream, "{head}Connection: close\r\n\r\n");
                    let _ = stream.write_all(&body);
                });
            }
        });
        Ok(Sink { port, received })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// One request and the connection that wants its answer.
pub fn receive(mut stream: TcpStream) -> Option<(Received, TcpStream)> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
            let length = headers.lines().find_map(|header| {
                let (name, value) = header.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let received = Received {
                    line: line.trim_end_matches(" HTTP/1.1").into(),
                    headers: headers.into(),
                    body: body.into(),
                };
                return Some((received, stream));
            }
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
