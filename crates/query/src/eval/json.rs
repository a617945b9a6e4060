//! Reads one place of a JSON text without building the rest. The text is valid by construction; what is not is
//! read as missing.

use std::borrow::Cow;

use base::Name;

use super::value::Seen;

/// The raw text of the value at a path. An all-digit segment is an index into an array.
pub fn at<'a>(text: &'a str, path: &[Name]) -> Option<&'a str> {
    let mut rest = text.trim_start();
    for segment in path {
        rest = step(rest, segment)?;
    }
    let end = skip(rest.as_bytes())?;
    rest.get(..end)
}

/// The text from the value under `segment` on.
fn step<'a>(text: &'a str, segment: &str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'[' => {
            let mut index: usize = segment.parse().ok()?;
            let mut from = 1 + blank(&bytes[1..]);
            loop {
                if bytes.get(from) == Some(&b']') {
                    return None;
                }
                if index == 0 {
                    return text.get(from..);
                }
                index -= 1;
                from += skip(bytes.get(from..)?)?;
                from += blank(bytes.get(from..)?);
                if bytes.get(from) != Some(&b',') {
                    return None;
                }
                from += 1;
                from += blank(bytes.get(from..)?);
            }
        }
        b'{' => {
            let mut from = 1 + blank(&bytes[1..]);
            loop {
                if bytes.get(from) != Some(&b'"') {
                    return None;
                }
                let end = from + skip(bytes.get(from..)?)?;
                let key = text.get(from..end)?;
                from = end + blank(bytes.get(end..)?);
                if bytes.get(from) != Some(&b':') {
                    return None;
                }
                from += 1;
                from += blank(bytes.get(from..)?);
                if unquote(key)? == segment {
                    return text.get(from..);
                }
                from += skip(bytes.get(from..)?)?;
                from += blank(bytes.get(from..)?);
                if bytes.get(from) != Some(&b',') {
                    return None;
                }
                from += 1;
                from += blank(bytes.get(from..)?);
            }
        }
        _ => None,
    }
}

fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The length of the value that the bytes start with. Never recursive: nesting is counted.
fn skip(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += 1;
                loop {
                    match bytes.get(at)? {
                        b'"' => break,
                        b'\\' => at += 2,
                        _ => at += 1,
                    }
                }
                at += 1;
            }
            b'[' | b'{' => {
                depth += 1;
                at += 1;
                continue;
            }
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' => {
                at += 1;
                continue;
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            _ => {
                while bytes
                    .get(at)
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
                {
                    at += 1;
                    if at == bytes.len() {
                        break;
                    }
                }
                if !bytes[..at].last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.') {
                    return None;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The content of a quoted JSON string.
pub fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// What a comparison sees of a JSON value: booleans are 1 and 0, objects and arrays their compact text.
pub fn seen(raw: &str) -> Seen<'_> {
    let raw = raw.trim();
    match raw.as_bytes().first() {
        None | Some(b'n') => Seen::Missing,
        Some(b't') => Seen::Number(1.0),
        Some(b'f') => Seen::Number(0.0),
        Some(b'"') => unquote(raw).map_or(Seen::Missing, Seen::Text),
        Some(b'{' | b'[') => Seen::Text(compact(raw)),
        Some(_) => raw.parse().map_or(Seen::Missing, Seen::Number),
    }
}

fn compact(raw: &str) -> Cow<'_, str> {
    let mut quoted = false;
    let mut escaped = false;
    let mut outside = |byte: u8| {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            return false;
        }
        quoted = byte == b'"';
        byte.is_ascii_whitespace()
    };
    if !raw.bytes().any(&mut outside) {
        return Cow::Borrowed(raw);
    }
    (quoted, escaped) = (false, false);
    let mut out = String::with_capacity(raw.len());
    for char in raw.chars() {
        let drop = if char.is_ascii() {
            let byte = char as u8;
            if quoted {
                quoted = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
                false
            } else {
                quoted = byte == b'"';
                byte.is_ascii_whitespace()
            }
        } else {
            escaped = false;
            false
        };
        if !drop {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

/// The elements of an array; `None` when the text is none, be it only in part.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'[') || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return None;
    }
    let mut found = Vec::new();
    let mut from = 1 + blank(&bytes[1..]);
    while bytes.get(from)? != &b']' {
        let end = from + skip(bytes.get(from..)?)?;
        found.push(text.get(from..end)?);
        from = end + blank(bytes.get(end..)?);
        match bytes.get(from)? {
            b',' => from += 1 + blank(bytes.get(from + 1..)?),
            b']' => {}
            _ => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Name> {
        text.split('.').filter(|part| !part.is_empty()).map(Into::into).collect()
    }

    #[test]
    fn places() {
        let text = r#"{"a":{"b":1},"l":[1,"x",[3]],"s":"q\"]","n":null,"é":true}"#;
        for (at_path, expected) in [
            ("", Some(text)),
            ("a", Some(r#"{"b":1}"#)),
            ("a.b", Some("1")),
            ("a.b.c", None),
            ("l.0", Some("1")),
            ("l.1", Some(r#""x""#)),
            ("l.2.0", Some("3")),
            ("l.3", None),
            ("s", Some(r#""q\"]""#)),
            ("n", Some("null")),
            ("é", Some("true")),
            ("zz", None),
        ] {
            assert_eq!(at(text, &path(at_path)), expected, "{at_path}");
        }
        assert_eq!(at(" [ 1 , 2 ] ", &path("1")), Some("2"));
        for broken in ["", "[", "{", "{\"a\"", "[1", "\"", "]", ",", "{\"a\":}", "[[[["] {
            let _ = at(broken, &path("a.0"));
            let _ = at(broken, &path("0"));
            let _ = elements(broken);
            let _ = seen(broken);
        }
    }

    #[test]
    fn lists() {
        assert_eq!(elements(r#"["a", "b,]", {"x":1}, 5]"#).unwrap(), ["\"a\"", "\"b,]\"", "{\"x\":1}", "5"]);
        assert_eq!(elements("[]").unwrap().len(), 0);
        assert_eq!(elements("x"), None);
        assert_eq!(compact(r#"{ "a b" : [ 1 , "\" " ] }"#), r#"{"a b":[1,"\" "]}"#);
    }
}
