//! Bodies of answers, as they come off a connection: by length, in chunks, or until the connection ends. Pure.

use base::limits::{FRONT_CHUNK_LINE_BYTES_MAX, FRONT_HEADERS_MAX, FRONT_TRAILERS_BYTES_MAX};
use bytes::{Buf, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use super::head::{Framing, Malformed};

#[derive(Debug, PartialEq)]
pub enum Step {
    Data(Bytes),
    /// The body's end, unless there is none.
    Trailers(HeaderMap),
    End,
    /// Nothing can be said before more bytes come.
    More,
}

/// One answer's body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// So many bytes are left.
    Length(u64),
    Close,
    ChunkLine,
    /// So many bytes are left of this chunk.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    End,
}

impl Decoder {
    pub fn new(framing: Framing) -> Decoder {
        let state = match framing {
            Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkLine,
            Framing::Close => State::Close,
        };
        Decoder { state }
    }

    /// What is left, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    pub fn is_at_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// The connection has ended: whether the body has, too.
    pub fn closed(&mut self) -> bool {
        if matches!(self.state, State::Close) {
            self.state = State::End;
        }
        self.is_at_end()
    }

    /// Takes off the buffer what it understands. After an error nothing of the connection can be used.
    pub fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match &mut self.state {
                State::End => return Ok(Step::End),
                _ if buffer.is_empty() => return Ok(Step::More),
                State::Close => return Ok(Step::Data(buffer.split().freeze())),
                State::Length(left) => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        self.state = State::End;
                    }
                    return Ok(Step::Data(data));
                }
                State::Chunk(left) => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    return Ok(Step::Data(data));
                }
                State::ChunkEnd => {
                    if buffer.len() < 2 {
                        return if buffer.starts_with(b"\r") {
                            Ok(Step::More)
                        } else {
                            Err(Malformed::Chunk)
                        };
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(Malformed::Chunk);
                    }
                    buffer.advance(2);
                    self.state = State::ChunkLine;
                }
                State::ChunkLine => match chunk_line(buffer)? {
                    None => return Ok(Step::More),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Chunk(size),
                },
                State::Trailers => {
                    let Some(trailers) = trailers(buffer)? else { return Ok(Step::More) };
                    self.state = State::End;
                    return Ok(if trailers.is_empty() { Step::End } else { Step::Trailers(trailers) });
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= now as u64;
    buffer.split_to(now).freeze()
}

/// The size of the next chunk; its extensions are nobody's, as nobody asked for them.
fn chunk_line(buffer: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    let Some(end) = buffer.iter().take(FRONT_CHUNK_LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return if buffer.len() < FRONT_CHUNK_LINE_BYTES_MAX { Ok(None) } else { Err(Malformed::Chunk) };
    };
    let line = buffer.split_to(end + 1);
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed::Chunk)?;
    if line.contains(&b'\r') || line.contains(&0) {
        return Err(Malformed::Chunk);
    }
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    // Spaces may stand before an extension, and nowhere else.
    let rest = rest.trim_ascii_start();
    if !(1..=15).contains(&digits) || !(rest.is_empty() || rest.starts_with(b";")) {
        return Err(Malformed::Chunk);
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    size.map(Some).ok_or(Malformed::Chunk)
}

fn trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let mut fields = [httparse::EMPTY_HEADER; FRONT_HEADERS_MAX];
    let (length, trailers) = match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Partial) if buffer.len() < FRONT_TRAILERS_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Complete((length, fields))) => {
            let mut trailers = HeaderMap::new();
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Trailers)?;
                let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed::Trailers)?;
                if may_trail(&name) {
                    trailers.append(name, value);
                }
            }
            (length, trailers)
        }
        _ => return Err(Malformed::Trailers),
    };
    buffer.advance(length);
    Ok(Some(trailers))
}

/// RFC 9110, section 6.5.1: what decides how the message is read, routed or judged has to come before it.
fn may_trail(name: &HeaderName) -> bool {
    ![
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::HOST,
        header::TRAILER,
        header::TE,
        header::UPGRADE,
        header::SET_COOKIE,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_RANGE,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, with its trailers, as far as it comes; fed in pieces of so many bytes.
    fn decoded(
        framing: Framing,
        text: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, HeaderMap, bool, usize), Malformed> {
        let (mut decoder, mut buffer) = (Decoder::new(framing), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
        let mut left = text;
        loop {
            match decoder.step(&mut buffer)? {
                Step::Data(bytes) => data.extend_from_slice(&bytes),
                Step::Trailers(found) => trailers = found,
                Step::End => return Ok((data, trailers, true, buffer.len() + left.len())),
                Step::More if left.is_empty() => return Ok((data, trailers, false, 0)),
                Step::More => {
                    let (now, later) = left.split_at(piece.min(left.len()));
                    buffer.extend_from_slice(now);
                    left = later;
                }
            }
        }
    }

    #[test]
    fn chunks_are_read_whatever_pieces_they_come_in() {
        let text =
            b"3;ext=\"x\"\r\nabc\r\n0A \r\n0123456789\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\nNEXT";
        for piece in 1..text.len() {
            let (data, trailers, is_whole, left) = decoded(Framing::Chunked, text, piece).unwrap();
            assert_eq!((&data[..], is_whole, left), (&b"abc0123456789"[..], true, 4), "{piece}");
            assert_eq!(trailers.len(), 1);
            assert_eq!(trailers.get("x-sum").unwrap(), "7");
        }
        let (data, _, is_whole, left) = decoded(Framing::Length(5), b"abcdeNEXT", 2).unwrap();
        assert_eq!((&data[..], is_whole, left), (&b"abcde"[..], true, 4));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for text in [
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "0x3\r\nabc",
            "+3\r\nabc",
            "-3\r\n",
            " 3\r\nabc",
            "3\nabc\n",
            "3 3\r\nabc",
            "3\r\nabcd",
            "3\r\nabc\n\n",
            "3;a\rb\r\nabc",
            "ffffffffffffffff1\r\n",
            "3\r\nabc\r\n0\r\na b\r\n\r\n",
        ] {
            for piece in [1, 2, 100] {
                assert!(decoded(Framing::Chunked, text.as_bytes(), piece).is_err(), "{text:?}");
            }
        }
        let endless = "1;".to_owned() + &"a".repeat(FRONT_CHUNK_LINE_BYTES_MAX);
        assert_eq!(decoded(Framing::Chunked, endless.as_bytes(), 100), Err(Malformed::Chunk));
        let endless = "0\r\nA: ".to_owned() + &"a".repeat(FRONT_TRAILERS_BYTES_MAX);
        assert_eq!(decoded(Framing::Chunked, endless.as_bytes(), 100), Err(Malformed::Trailers));
    }

    #[test]
    fn random_bytes_read_the_same_in_any_pieces() {
        let pieces: [&[u8]; 9] = [b"3\r\n", b"abc", b"\r\n", b"0\r\n", b"\n", b"a", b";", b"X: y\r\n", b"\r"];
        for seed in 0..20_000u64 {
            let mut state = seed;
            let mut text = Vec::new();
            for _ in 0..10 {
                state = crate::upstream::mix(state.wrapping_add(1));
                text.extend_from_slice(pieces[state as usize % pieces.len()]);
            }
            let (whole, bytewise) =
                (decoded(Framing::Chunked, &text, 1000), decoded(Framing::Chunked, &text, 1));
            assert_eq!(whole, bytewise, "{:?}", String::from_utf8_lossy(&text));
        }
    }
}
