//! Whether a node answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The status and body of a GET, or nothing if there was no answer in time.
pub(crate) fn get(address: SocketAddr, path: &str, wait: Duration) -> Option<(u16, String)> {
    ask(address, "GET", path, "", wait)
}

/// One plain request on a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    wait: Duration,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.set_write_timeout(Some(wait)).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    // A connection that is reset after the answer has still brought it.
    let _ = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let status = text.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Some((status, body))
}

/// Whether a web node takes requests. One that does not know the question yet is asked for its health instead.
pub(crate) fn web(address: SocketAddr, wait: Duration) -> bool {
    match get(address, "/readyz", wait) {
        Some((404, _)) => get(address, "/api/health", wait).is_some_and(|(status, _)| status == 200),
        answer => answer.is_some_and(|(status, _)| status == 200),
    }
}
