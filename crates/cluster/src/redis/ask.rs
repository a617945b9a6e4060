//! Asking Redis how it is, by its own protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base::limits::NODE_ASK_MS;

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// How a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub is_primary: bool,
    /// Whether a replica hears its primary.
    pub is_linked: bool,
}

pub(crate) fn answers(address: SocketAddr) -> bool {
    ask(address, "PING").is_some_and(|answer| answer == "PONG")
}

pub(crate) fn look(address: SocketAddr) -> Option<State> {
    let info = ask(address, "INFO replication")?;
    let is_primary = value(&info, "role:")? == "master";
    let is_linked = value(&info, "master_link_status:") == Some("up");
    Some(State { is_primary, is_linked })
}

/// Who a Sentinel says is the primary.
pub(super) fn primary(sentinel: SocketAddr) -> Option<SocketAddr> {
    let info = ask(sentinel, "INFO sentinel")?;
    part(&info, "address=")?.parse().ok()
}

/// Whether a Sentinel sees a primary that answers, so many replicas, and so many Sentinels with itself.
pub(super) fn sees(sentinel: SocketAddr, replicas: usize, sentinels: usize) -> bool {
    let Some(info) = ask(sentinel, "INFO sentinel") else { return false };
    let count = |key: &str| part(&info, key).and_then(|count| count.parse::<usize>().ok());
    part(&info, "status=") == Some("ok")
        && count("slaves=").is_some_and(|count| count >= replicas)
        && count("sentinels=") == Some(sentinels)
}

/// Whether a member of a Redis Cluster knows so many members, and that all keys are somebody's.
pub(super) fn is_joined(address: SocketAddr, members: usize) -> bool {
    let Some(info) = ask(address, "CLUSTER INFO") else { return false };
    value(&info, "cluster_state:") == Some("ok")
        && value(&info, "cluster_slots_ok:") == Some("16384")
        && value(&info, "cluster_known_nodes:").and_then(|count| count.parse().ok()) == Some(members)
}

/// The rest of the line that begins so.
fn value<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

/// A value in the list that a Sentinel tells of its primary.
fn part<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    value(info, "master0:")?.split(',').find_map(|part| part.strip_prefix(key))
}

/// The text of a short answer or a long one. Errors are none.
fn ask(address: SocketAddr, command: &str) -> Option<String> {
    let wait = Duration::from_millis(NODE_ASK_MS);
    let mut stream = TcpStream::connect_timeout(&address, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.set_write_timeout(Some(wait)).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    read(stream)
}

fn read(stream: impl Read) -> Option<String> {
    let mut reader = BufReader::new(stream.take(ANSWER_BYTES_MAX));
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let line = line.trim_end();
    if let Some(said) = line.strip_prefix('+') {
        return Some(said.to_owned());
    }
    let length: u64 = line.strip_prefix('$')?.parse().ok()?;
    let mut text = String::new();
    reader.take(length).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(read(&b"+PONG\r\n"[..]).as_deref(), Some("PONG"));
        assert_eq!(read(&b"$4\r\na:b\r\n\r\n"[..]).as_deref(), Some("a:b\r"));
        for other in ["", "-ERR unknown\r\n", "$-1\r\n", "$x\r\n", ":1\r\n"] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_a_sentinel_tells_is_taken_apart() {
        let info = "# Sentinel\r\nsentinel_masters:1\r\n\
                    master0:name=pando,status=ok,address=127.0.0.1:6379,slaves=2,sentinels=3\r\n";
        assert_eq!(part(info, "address="), Some("127.0.0.1:6379"));
        assert_eq!((part(info, "slaves="), part(info, "sentinels=")), (Some("2"), Some("3")));
        assert_eq!(part(info, "epoch="), None);
    }
}
