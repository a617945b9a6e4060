//! HTTP/2 by hand, so that a client can say what no library would: frames as they are, header fields that are none.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WAIT: Duration = Duration::from_secs(30);

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    Reset,
}

/// What a server did until it closed the connection, or answered what was waited for.
#[derive(Debug, Default)]
pub struct Seen {
    pub streams: BTreeMap<u32, Outcome>,
    /// The error that it ended the connection with.
    pub goaway: Option<u32>,
    pub closed: bool,
}

pub struct Raw(pub TcpStream);

impl Raw {
    /// A connection on which the preface and empty settings were sent.
    pub fn connect(port: u16) -> Raw {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let _ = stream.write_all(PREFACE);
        let mut raw = Raw(stream);
        raw.send(&frame(SETTINGS, 0, 0, &[]));
        raw
    }

    /// Whether it could be written: a server may have ended the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Reads until `stream` has an outcome, or the connection ends. Acknowledges settings on the way.
    pub fn until(&mut self, stream: u32) -> Seen {
        let mut seen = Seen::default();
        while !seen.streams.contains_key(&stream) {
            let mut head = [0; 9];
            if self.0.read_exact(&mut head).is_err() {
                seen.closed = true;
                break;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let number = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            if self.0.read_exact(&mut payload).is_err() {
                seen.closed = true;
                break;
            }
            match kind {
                SETTINGS if flags & ACK == 0 => drop(self.send(&frame(SETTINGS, ACK, 0, &[]))),
                HEADERS => drop(seen.streams.entry(number).or_insert(Outcome::Status(status(&payload)))),
                RST_STREAM => drop(seen.streams.entry(number).or_insert(Outcome::Reset)),
                GOAWAY => {
                    let code = payload.get(4..8).and_then(|code| code.try_into().ok());
                    seen.goaway = code.map(u32::from_be_bytes);
                }
                _ => {}
            }
        }
        seen
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Header fields in full, one after another, whatever is in them.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// With a prefix of seven bits: RFC 7541, section 5.1.
fn integer(block: &mut Vec<u8>, number: usize) {
    if number < 127 {
        block.push(number as u8);
        return;
    }
    block.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The first field of an answer: from the static table, or by its digits in Huffman's code.
fn status(block: &[u8]) -> u16 {
    const TABLE: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // A change of the table's size may come before.
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    match block {
        [index @ 0x88..=0x8e, ..] => TABLE[usize::from(index - 0x88)],
        [_, length, digits @ ..] if length & 0x80 != 0 => huffman(&digits[..usize::from(length & 0x7f)]),
        [_, length, digits @ ..] => std::str::from_utf8(&digits[..usize::from(*length)])
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        _ => 0,
    }
}

/// Digits only: 0 to 2 have five bits, the others six.
fn huffman(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1))).collect();
    let value = |from: usize, count: usize| bits[from..from + count].iter().fold(0, |sum, bit| sum * 2 + bit);
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        if at + 5 > bits.len() {
            break;
        }
        let (digit, length) = match value(at, 5) {
            short @ 0..=2 => (short, 5),
            _ if at + 6 <= bits.len() => (value(at, 6).wrapping_sub(22), 6),
            _ => break,
        };
        number = number * 10 + digit;
        at += length;
    }
    number
}
