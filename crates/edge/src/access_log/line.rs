//! A line of the access log. Whatever a client wrote is in it so that it can neither end the line nor mean anything to a
//! terminal.
//!
//! JSON: `time` (RFC 3339), `client`, `method`, `scheme`, `host`, `target`, `protocol`, `status`, `bytes` (of the body, as
//! sent), `complete` (whether the client got all of it), `duration_ms`, `node`, `attempts`, `cache`, `request_id`,
//! `user_agent`, `referer`. What there is not is left out.

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use base::Timestamp;
use base::json::write_string;
use base::limits::FRONT_LOG_FIELD_BYTES_MAX;
use hyper::Version;
use hyper::header::HeaderValue;

use super::{Format, Record};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends the line with its end.
pub fn append(out: &mut String, record: &Record, format: Format) {
    match format {
        Format::Json => json(out, record),
        Format::Combined => combined(out, record),
    }
    out.push('\n');
}

/// One JSON object.
pub fn object(record: &Record) -> String {
    let mut out = String::with_capacity(256);
    json(&mut out, record);
    out
}

fn json(out: &mut String, record: &Record) {
    let time = time(record).to_string().replacen(' ', "T", 1);
    let _ = write!(out, "{{\"time\":\"{time}\"");
    let mut text = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = write!(out, ",\"{name}\":");
            write_string(out, short(value));
        }
    };
    text("client", record.client.map(|client| client.to_string()).as_deref());
    text("method", Some(record.method.as_str()));
    text("scheme", Some(if record.secure { "https" } else { "http" }));
    text("host", said(&record.host).as_deref());
    text("target", Some(target(record)));
    text("protocol", Some(protocol(record.version)));
    text("node", record.node.as_ref().map(|node| node.name.as_str()));
    text("cache", record.cache);
    text("request_id", said(&record.id).as_deref());
    text("user_agent", said(&record.agent).as_deref());
    text("referer", said(&record.referer).as_deref());
    let _ = write!(
        out,
        ",\"status\":{},\"bytes\":{},\"complete\":{},\"attempts\":{},\"duration_ms\":{:.3}}}",
        record.status.as_u16(),
        record.bytes,
        record.complete,
        record.attempts,
        record.took.as_secs_f64() * 1_000.0,
    );
}

/// `client - - [time] "method target protocol" status bytes "referer" "agent"`.
fn combined(out: &mut String, record: &Record) {
    match record.client {
        Some(client) => drop(write!(out, "{client}")),
        None => out.push('-'),
    }
    let time = time(record).civil();
    let month = usize::try_from(time.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    let _ = write!(
        out,
        " - - [{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000] \"",
        time.day(),
        time.year(),
        time.hour(),
        time.minute(),
        time.second(),
    );
    quoted(out, record.method.as_str());
    out.push(' ');
    quoted(out, target(record));
    let _ = write!(out, " {}\" {} {}", protocol(record.version), record.status.as_u16(), record.bytes);
    for value in [&record.referer, &record.agent] {
        out.push_str(" \"");
        quoted(out, said(value).as_deref().unwrap_or("-"));
        out.push('"');
    }
}

fn time(record: &Record) -> Timestamp {
    let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn target(record: &Record) -> &str {
    record.target.path_and_query().map_or("-", |target| target.as_str())
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

fn said(value: &Option<HeaderValue>) -> Option<std::borrow::Cow<'_, str>> {
    value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()))
}

fn short(text: &str) -> &str {
    let mut end = text.len().min(FRONT_LOG_FIELD_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// As Apache and nginx do: what is no plain letter is written by its number.
fn quoted(out: &mut String, text: &str) {
    for letter in short(text).chars() {
        match letter {
            '"' | '\\' => {
                let _ = write!(out, "\\x{:02X}", u32::from(letter));
            }
            ' '..='~' => out.push(letter),
            _ => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\x{byte:02X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::body::Body;

    fn record() -> Box<Record> {
        let request = Request::builder()
            .uri("/a?b={c}")
            .header("host", "x")
            .header("user-agent", HeaderValue::from_bytes(b"a\"\\\xff\tb").unwrap())
            .body(Body::Empty)
            .unwrap();
        let mut record = Record::of(&request, std::time::Instant::now());
        record.time = UNIX_EPOCH + std::time::Duration::from_millis(1_000_000_000_123);
        record.client = Some("2001:db8::1".parse().unwrap());
        record.took = std::time::Duration::from_micros(1_500);
        record.bytes = 7;
        record
    }

    fn lines(format: Format) -> String {
        let mut out = String::new();
        append(&mut out, &record(), format);
        out
    }

    #[test]
    fn no_client_ends_a_line() {
        assert_eq!(
            lines(Format::Json),
            "{\"time\":\"2001-09-09T01:46:40.123Z\",\"client\":\"2001:db8::1\",\"method\":\"GET\",\"scheme\":\"http\",\
             \"host\":\"x\",\"target\":\"/a?b={c}\",\"protocol\":\"HTTP/1.1\",\
             \"user_agent\":\"a\\\"\\\\\u{fffd}\\tb\",\"status\":200,\"bytes\":7,\"complete\":false,\"attempts\":0,\
             \"duration_ms\":1.500}\n"
        );
        assert_eq!(
            lines(Format::Combined),
            "2001:db8::1 - - [09/Sep/2001:01:46:40 +0000] \"GET /a?b={c} HTTP/1.1\" 200 7 \"-\" \
             \"a\\x22\\x5C\\xEF\\xBF\\xBD\\x09b\"\n"
        );
    }
}
