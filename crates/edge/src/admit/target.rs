//! What counts as the same path, and which paths are refused.
//!
//! A target is passed on as it came, byte by byte, and its bytes are what an answer is kept under: `/a`, `/%61` and `//a`
//! are three things here, whatever a node makes of them. So nobody can have one thing kept under the name of another, and
//! at worst one thing is kept under several names.
//!
//! What two servers are known to read differently is refused: dot segments, plain, encoded, behind `%2f` or before `;`,
//! backslashes, NUL and other control characters. A fragment has been cut off before anybody here sees the target.

use std::borrow::Cow;

use base::limits::FRONT_TARGET_BYTES_MAX;

use super::Refusal;

/// Whether the target of a request may pass.
pub fn check(path: &str, length: usize) -> Result<(), Refusal> {
    if length > FRONT_TARGET_BYTES_MAX {
        return Err(Refusal::LongTarget);
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Refusal::Target);
    };
    if is_plain(path.as_bytes()) {
        return Ok(());
    }
    // Nodes differ in whether they decode before they split; what is a segment to any of them is judged as one.
    let rest = decoded(rest.as_bytes());
    if rest.iter().any(|byte| matches!(byte, b'\\' | 0x7f | 0..=0x1f)) {
        return Err(Refusal::Target);
    }
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    };
    match rest.split(|byte| *byte == b'/').any(is_dots) {
        true => Err(Refusal::Target),
        false => Ok(()),
    }
}

/// Whether nothing in it has to be looked at twice: no escape, no segment that begins with a dot, none of the letters that are
/// refused.
fn is_plain(path: &[u8]) -> bool {
    let mut before = b'/';
    path.iter().all(|byte| {
        let is_dot = *byte == b'.' && before == b'/';
        before = *byte;
        !is_dot && !matches!(byte, b'%' | b'\\' | 0x7f | 0..=0x20)
    })
}

/// Escapes of two digits become what they stand for; what is none stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match escaped(text, at) {
            Some(meant) => {
                bytes.push(meant);
                at += 3;
            }
            None => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    bytes
}

fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let &[b'%', high, low, ..] = text.get(at..)? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The form that all spellings of a target have in common by RFC 3986, section 6.2.2: escapes of what needs none are
/// undone, and the digits of the others are upper case. `//`, `;` and `%2f` stay, for they may mean something to a node.
/// Targets that were let in have no dot segments. For those who compare what people wrote by hand, such as URLs to purge.
pub fn normal(target: &str) -> Cow<'_, str> {
    if !target.contains('%') {
        return Cow::Borrowed(target);
    }
    let text = target.as_bytes();
    let (mut normal, mut from, mut at) = (String::with_capacity(target.len()), 0, 0);
    while at < text.len() {
        let Some(meant) = escaped(text, at) else {
            at += 1;
            continue;
        };
        // Escapes are ASCII, so both ends are at characters' ends.
        normal.push_str(target.get(from..at).unwrap_or_default());
        match char::from(meant) {
            plain if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => normal.push(plain),
            _ => normal.push_str(&target.get(at..at + 3).unwrap_or_default().to_ascii_uppercase()),
        }
        at += 3;
        from = at;
    }
    normal.push_str(target.get(from..).unwrap_or_default());
    Cow::Owned(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_read_differently_is_refused() {
        for good in [
            "/",
            "/a",
            "/a/b.c",
            "//a",
            "/a//",
            "/a;b",
            "/a/b;c.css",
            "/.well-known/acme-challenge/x",
            "/a/.b",
            "/a/..b",
            "/a/b..",
            "/...",
            "/a%2fb",
            "/%61",
            "/a%20b",
            "/%",
            "/%zz",
            "/%2",
            "/é",
            "/%C3%A9",
            "/%252e%252e/a",
            "/a;..",
        ] {
            assert_eq!(check(good, good.len()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "*",
            "a",
            "http://a/",
            "/..",
            "/.",
            "/../a",
            "/a/..",
            "/a/./b",
            "/a/../b",
            "/%2e",
            "/%2E%2e/a",
            "/.%2e/a",
            "/a%2f..%2fb",
            "/a%2F%2e%2E",
            "/..;/a",
            "/a/..;x=y/b",
            "/.;",
            "/a\\b",
            "/a%5cb",
            "/a%5Cb",
            "/a%00",
            "/%00",
            "/a%0d%0ab",
            "/a%7f",
            "/..%2f",
            "/a/..%5c",
            "/%2e%2e%3b/a",
        ] {
            assert_eq!(check(bad, bad.len()), Err(Refusal::Target), "{bad}");
        }
        assert_eq!(check("/", FRONT_TARGET_BYTES_MAX + 1), Err(Refusal::LongTarget));
    }

    #[test]
    fn spellings_of_one_target_have_one_form() {
        for (target, expected) in [
            ("/a?b=c", "/a?b=c"),
            ("/%61%2Db%7e", "/a-b~"),
            ("/%c3%a9", "/%C3%A9"),
            ("/a%2fb", "/a%2Fb"),
            ("/%2e%2E", "/.."),
            ("/é%61é", "/éaé"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%%41", "/%A"),
            ("/%é1", "/%é1"),
            ("/a?x=%3a", "/a?x=%3A"),
        ] {
            assert_eq!(normal(target), expected);
            assert_eq!(normal(&normal(expected)), normal(expected), "a normal form stays as it is");
        }
    }
}
