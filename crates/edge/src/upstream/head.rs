//! Heads of requests and answers as bytes (RFC 9112). Pure: what is read is judged strictly, as two readers that disagree
//! about where an answer ends would mix up answers.

use std::mem::MaybeUninit;

use base::limits::{FRONT_ANSWER_HEAD_BYTES_MAX, FRONT_HEADERS_MAX};
use bytes::{Buf, Bytes, BytesMut};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};

use super::exchange::Asked;
use crate::hop;

/// Where a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub framing: Framing,
    /// Whether the connection may be used again.
    pub keep: bool,
    /// The body, if it was there already and is short: no further bytes belong to the answer.
    pub body: Option<Bytes>,
}

/// What is wrong with what a node sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the answer's head is no HTTP/1")]
    Head,
    #[error("the answer's head is too long")]
    TooLong,
    #[error("the answer does not say clearly where it ends")]
    Framing,
    #[error("a chunk of the answer is broken")]
    Chunk,
    #[error("the answer's trailers are broken")]
    Trailers,
    #[error("the node changed the protocol unasked")]
    Switched,
}

/// The request's head, as a node is to see it. `framing` is None without a body; the head's own words about the body's
/// length are left out, so that there is never more than one.
pub fn write(out: &mut Vec<u8>, asked: &Asked<'_>, framing: Option<Framing>) {
    let Asked { head, upgrade, .. } = asked;
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with('/') && target != "*" {
        out.push(b'/');
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        if *name == header::CONTENT_LENGTH
            || *name == header::TRANSFER_ENCODING
            || *name == header::CONNECTION
            || *name == header::UPGRADE
        {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(introduction) = &asked.introduction {
        introduction.write(out, head.headers.get(header::HOST));
    }
    match framing {
        Some(Framing::Length(length)) => {
            out.extend_from_slice(b"content-length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Some(Framing::Chunked | Framing::Close) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        None if matches!(head.method, Method::POST | Method::PUT | Method::PATCH) => {
            out.extend_from_slice(b"content-length: 0\r\n");
        }
        None => {}
    }
    if let Some(protocol) = upgrade {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
        out.extend_from_slice(protocol.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, number: u64) {
    use std::io::Write;
    // A Vec takes whatever is written.
    let _ = write!(out, "{number}");
}

/// An answer's head, taken off the buffer, with its body if that is short and there. None until the head is whole. Fields
/// that belong to the connection are left out, except `Upgrade` where the protocol changes.
pub fn read(buffer: &mut BytesMut, asked: &Method, small: usize) -> Result<Option<Head>, Malformed> {
    let mut fields = [MaybeUninit::uninit(); FRONT_HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let state = config.parse_response_with_uninit_headers(&mut parsed, buffer, &mut fields);
    let length = match state {
        Ok(httparse::Status::Complete(length)) if length <= FRONT_ANSWER_HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Malformed::TooLong);
        }
        Ok(httparse::Status::Partial) if buffer.len() >= FRONT_ANSWER_HEAD_BYTES_MAX => {
            return Err(Malformed::TooLong);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed::Head),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::Head)?;
    let mut said = Said { keep: parsed.version == Some(1), ..Said::default() };
    for field in parsed.headers.iter() {
        said.note(field)?;
    }
    let framing = said.framing(status, asked)?;
    let switching = status == StatusCode::SWITCHING_PROTOCOLS;
    let here = match framing {
        Framing::Length(body) if body <= small as u64 => {
            let end = length + usize::try_from(body).unwrap_or(usize::MAX);
            (buffer.len() >= end && !switching).then_some(end)
        }
        _ => None,
    };
    // One allocation for all fields and the body, and none of the connection's buffer is held by whoever keeps them.
    let bytes = Bytes::copy_from_slice(buffer.get(..here.unwrap_or(length)).unwrap_or_default());
    let start = buffer.as_ptr() as usize;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + 2);
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Head)?;
        if name == header::UPGRADE && switching {
            // Stays, as it names the protocol.
        } else if hop::is_of_a_connection(name.as_str()) || said.names(&name) {
            continue;
        }
        let from = field.value.as_ptr() as usize - start;
        let value = bytes.slice(from..from + field.value.len());
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Head)?;
        if name != header::CONTENT_LENGTH {
            headers.append(name, value);
        } else if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
            // Said twice, it is said once.
            headers.insert(name, value);
        }
    }
    buffer.advance(here.unwrap_or(length));
    let body = here.map(|end| bytes.slice(length..end));
    Ok(Some(Head { status, headers, framing, keep: said.keep, body }))
}

/// What the fields say about connection and body.
#[derive(Default)]
struct Said {
    keep: bool,
    length: Option<u64>,
    is_chunked: bool,
    /// Further fields that `Connection` names.
    named: Vec<HeaderName>,
}

impl Said {
    fn note(&mut self, field: &httparse::Header<'_>) -> Result<(), Malformed> {
        // By length first, as few fields have these.
        match field.name.len() {
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                let length = decimal_value(field.value).ok_or(Malformed::Framing)?;
                if self.length.is_some_and(|before| before != length) {
                    return Err(Malformed::Framing);
                }
                self.length = Some(length);
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                // Whatever else there may be in the list, nobody behind this asked for it.
                if self.is_chunked || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::Framing);
                }
                self.is_chunked = true;
            }
            10 if field.name.eq_ignore_ascii_case("connection") => {
                for option in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        self.keep = false;
                    } else if !option.is_empty()
                        && !option.eq_ignore_ascii_case(b"keep-alive")
                        && !option.eq_ignore_ascii_case(b"upgrade")
                        && let Ok(name) = HeaderName::from_bytes(option)
                    {
                        self.named.push(name);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn names(&self, name: &HeaderName) -> bool {
        !self.named.is_empty() && self.named.contains(name)
    }

    /// RFC 9112, section 6.3; stricter where it leaves a choice.
    fn framing(&mut self, status: StatusCode, asked: &Method) -> Result<Framing, Malformed> {
        if self.is_chunked && self.length.is_some() {
            return Err(Malformed::Framing);
        }
        let is_bodiless = *asked == Method::HEAD
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        Ok(match (is_bodiless, self.length) {
            (true, _) => Framing::Length(0),
            (false, _) if self.is_chunked => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => {
                self.keep = false;
                Framing::Close
            }
        })
    }
}

/// Digits alone: no sign, no list, no spaces within.
fn decimal_value(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter()
        .try_fold(0u64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hyper::http::request::Parts;

    use super::*;

    fn parsed(text: &str, asked: &Method) -> Result<Option<Head>, Malformed> {
        read(&mut BytesMut::from(text), asked, 1024)
    }

    #[test]
    fn answers_end_where_they_say() {
        use Framing::*;
        for (head, framing, keep) in [
            ("200 OK\r\nContent-Length: 5000\r\n", Ok(Length(5000)), true),
            ("200 OK\r\nContent-Length: 5000\r\nContent-Length: 5000\r\n", Ok(Length(5000)), true),
            ("200 OK\r\nTransfer-Encoding: Chunked\r\n", Ok(Chunked), true),
            ("200 OK\r\nContent-Length: 5000\r\nConnection: x, Close\r\n", Ok(Length(5000)), false),
            ("200 OK\r\n", Ok(Close), false),
            ("204 No Content\r\n", Ok(Length(0)), true),
            ("304 Not Modified\r\nContent-Length: 5000\r\n", Ok(Length(0)), true),
            ("100 Continue\r\n", Ok(Length(0)), true),
            ("200 OK\r\nContent-Length: 5000\r\nContent-Length: 5\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nContent-Length: 5, 5\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nContent-Length: +5\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nContent-Length: -5\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nContent-Length:\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nContent-Length: 99999999999999999999\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Malformed::Framing), true),
            ("200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", Err(Malformed::Framing), true),
            (
                "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(Malformed::Framing),
                true,
            ),
            ("200 OK\r\nA : b\r\n", Err(Malformed::Head), true),
            ("200 OK\r\nA: b\r\n c\r\n", Err(Malformed::Head), true),
            ("abc\r\n", Err(Malformed::Head), true),
        ] {
            let found = parsed(&format!("HTTP/1.1 {head}\r\n"), &Method::GET);
            match (found, framing) {
                (Ok(Some(found)), Ok(framing)) => {
                    assert_eq!((found.framing, found.keep), (framing, keep), "{head}")
                }
                (Err(found), Err(error)) => assert_eq!(found, error, "{head}"),
                (found, framing) => panic!("{head}: {found:?} and not {framing:?}"),
            }
        }
        let head = parsed("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", &Method::HEAD).unwrap().unwrap();
        assert_eq!(head.framing, Framing::Length(0));
        assert_eq!(head.headers.get("content-length").unwrap(), "5000");
        assert!(!parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", &Method::GET).unwrap().unwrap().keep);
    }

    #[test]
    fn what_belongs_to_the_connection_stays_with_it() {
        let text = "HTTP/1.1 200 OK\r\nConnection: x-own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nX-Other: 2\r\nUpgrade: h2c\r\n\
                    Content-Length: 2\r\n\r\nabHTTP";
        let mut buffer = BytesMut::from(text);
        let head = read(&mut buffer, &Method::GET, 1024).unwrap().unwrap();
        let names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-other", "content-length"]);
        assert_eq!(head.body.as_deref(), Some(&b"ab"[..]));
        assert_eq!(&buffer[..], b"HTTP");
    }

    #[test]
    fn heads_come_in_pieces_and_within_bounds() {
        let text = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..text.len() {
            assert!(parsed(&text[..end], &Method::GET).unwrap().is_none(), "{end}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(FRONT_ANSWER_HEAD_BYTES_MAX));
        assert_eq!(parsed(&long, &Method::GET).unwrap_err(), Malformed::TooLong);
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(FRONT_HEADERS_MAX + 1));
        assert_eq!(parsed(&many, &Method::GET).unwrap_err(), Malformed::TooLong);
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let pieces = [
            "HTTP/1.1 200 OK\r\n",
            "Content-Length: 3\r\n",
            "\r\n",
            "abc",
            "Transfer-Encoding: chunked\r\n",
            "\u{0}",
            ":",
            "\n",
            "HTTP/1.1 99\r\n",
        ];
        for seed in 0..20_000u64 {
            let mut state = seed;
            let mut text = String::new();
            for _ in 0..8 {
                state = crate::upstream::mix(state.wrapping_add(1));
                text.push_str(pieces[state as usize % pieces.len()]);
            }
            let mut buffer = BytesMut::from(text.as_str());
            if let Ok(Some(head)) = read(&mut buffer, &Method::GET, 1024) {
                assert!(!(head.headers.contains_key("transfer-encoding")));
                assert!(head.body.is_none_or(|body| head.framing == Framing::Length(body.len() as u64)));
            }
        }
    }

    fn asked<'a>(head: &'a Parts, upgrade: Option<&'a HeaderValue>) -> Asked<'a> {
        let first_byte = Duration::from_secs(1);
        let deadline = Instant::now() + first_byte;
        Asked { head, introduction: None, upgrade, first_byte, deadline, is_repeatable: false }
    }

    #[test]
    fn a_request_says_once_how_long_its_body_is() {
        let request = hyper::Request::builder()
            .method("PUT")
            .uri("/a?b")
            .header("content-length", "7")
            .header("transfer-encoding", "chunked")
            .header("connection", "keep-alive")
            .header("x", "y");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        write(&mut out, &asked(&head, None), Some(Framing::Length(3)));
        assert_eq!(String::from_utf8(out).unwrap(), "PUT /a?b HTTP/1.1\r\nx: y\r\ncontent-length: 3\r\n\r\n");
        let mut out = Vec::new();
        write(&mut out, &asked(&head, Some(&HeaderValue::from_static("websocket"))), None);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.ends_with("content-length: 0\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
            "{text}"
        );
    }
}
