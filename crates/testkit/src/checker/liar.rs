//! A proxy that lies: it stands between the load and a real server, and does with each request what a test tells it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sse::{self, Event, Parser};
use crate::{Answer, Client, Request};

/// Hands a request on to the real server.
pub type Upstream<'a> = &'a dyn Fn(&Request) -> io::Result<Answer>;

type Lie = dyn Fn(&Request, Upstream) -> io::Result<Answer> + Send + Sync;
/// Says whether a subscriber is told of an event.
type Tells = dyn Fn(&Event) -> bool + Send + Sync;

pub struct Liar {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Liar {
    /// Answers each request as `lie` says. Ends with the process.
    pub fn start<F>(upstream: SocketAddr, lie: F) -> io::Result<Liar>
    where
        F: Fn(&Request, Upstream) -> io::Result<Answer> + Send + Sync + 'static,
    {
        Liar::with_streams(upstream, lie, |_| true)
    }

    /// The same, and hands on those events alone that `tells` names.
    pub fn with_streams<F, T>(upstream: SocketAddr, lie: F, tells: T) -> io::Result<Liar>
    where
        F: Fn(&Request, Upstream) -> io::Result<Answer> + Send + Sync + 'static,
        T: Fn(&Event) -> bool + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (lie, tells) = (Arc::new(lie), Arc::new(tells));
        let streams = Arc::new(Mutex::default());
        let kept = streams.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (lie, tells, kept) = (lie.clone(), tells.clone(), kept.clone());
                std::thread::spawn(move || serve(stream, upstream, &*lie, &*tells, &kept));
            }
        });
        Ok(Liar { address, streams })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all streams of events there are.
    pub fn end_streams(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// One connection of the load is one to the server, so that the order of requests stays.
fn serve(
    mut stream: TcpStream,
    upstream: SocketAddr,
    lie: &Lie,
    tells: &Tells,
    kept: &Mutex<Vec<TcpStream>>,
) {
    let client = Client::to(upstream).with_timeout(Duration::from_secs(30));
    let mut buffer = Vec::new();
    let _ = stream.set_nodelay(true);
    while let Ok(request) = receive(&mut stream, &mut buffer) {
        if request.method == "GET" && request.target == "/api/realtime" {
            kept.lock().unwrap().extend(stream.try_clone());
            let _ = relay(&mut stream, upstream, tells);
            return;
        }
        // What cannot be answered ends the connection, as a server does that dies.
        let Ok(answer) = lie(&request, &|request| client.send(request)) else { return };
        let head = format!(
            "HTTP/1.1 {} Told\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        if stream.write_all(&[head.as_bytes(), &answer.body].concat()).is_err() {
            return;
        }
    }
}

/// Hands events on until either side ends.
fn relay(stream: &mut TcpStream, upstream: SocketAddr, tells: &Tells) -> io::Result<()> {
    let mut source = sse::ask(upstream.port())?;
    stream.write_all(
        b"HTTP/1.1 200 Told\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut parser = Parser::default();
    let mut chunk = [0; 16 << 10];
    loop {
        let read = source.read(&mut chunk)?;
        let more = read > 0 && parser.feed(&chunk[..read]);
        for event in parser.events.drain(..).filter(|event| tells(event)) {
            let text = format!("id:{}\nevent:{}\ndata:{}\n\n", event.id, event.name, event.data);
            stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
        }
        if !more {
            return stream.write_all(b"0\r\n\r\n");
        }
    }
}

fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Request> {
    loop {
        if let Some((request, length)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(request);
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

/// A whole request and its length, if it is there.
fn parse(buffer: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let state = parsed.parse(buffer).map_err(io::Error::other)?;
    let httparse::Status::Complete(head) = state else { return Ok(None) };
    let mut request = Request::new(parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let mut length = 0;
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        match header.name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            // The client to the server writes its own.
            "host" => {}
            _ => request = request.header(header.name, &value),
        }
    }
    let Some(body) = buffer.get(head..head + length) else { return Ok(None) };
    request.body = body.to_vec();
    Ok(Some((request, head + length)))
}
