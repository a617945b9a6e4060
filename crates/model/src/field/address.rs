//! The syntax of email addresses, web addresses and domains, as strict and as lenient as the reference.

use std::sync::LazyLock;

use super::Pattern;
use crate::violation::{Violation, Violations};

fn is_wide(letter: char) -> bool {
    letter >= '\u{a0}'
}

/// An address with a plain local part and a domain of two labels or more, without quotes and literals.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom = |letter: char| {
        letter.is_ascii_alphanumeric() || is_wide(letter) || "!#$%&'*+-/=?^_`{|}~".contains(letter)
    };
    if !local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)) {
        return false;
    }
    let labels: Vec<&str> = domain.strip_suffix('.').unwrap_or(domain).split('.').collect();
    let edge = |letter: char, last: bool| {
        is_wide(letter) || if last { letter.is_ascii_alphabetic() } else { letter.is_ascii_alphanumeric() }
    };
    let inner = |letter: char| letter.is_ascii_alphanumeric() || is_wide(letter) || "-_~".contains(letter);
    labels.len() > 1
        && labels.iter().enumerate().all(|(index, label)| {
            let last = index + 1 == labels.len();
            label.chars().next().is_some_and(|letter| edge(letter, last))
                && label.chars().next_back().is_some_and(|letter| edge(letter, last))
                && label.chars().all(inner)
        })
}

/// A host name of two ASCII labels or more, the last of letters only.
pub(crate) fn is_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    labels.len() > 1
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        && labels.last().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// Bytes of an address, exclusive bounds.
const URL_BYTES_MIN: usize = 3;
const URL_CHARS_MAX: usize = 2083;

/// The outer shape of a web address. A host may be glued of a prefix of at least three characters, a main label
/// and one label of letters, which is what accepts `sub.example.com` and refuses `a.b.c.d`.
static URL_SHAPE: LazyLock<Pattern> = LazyLock::new(|| {
    let scheme = r"(?:(?:ftp|tcp|udp|wss?|https?)://)?";
    let user = r"(?:\S+@)?";
    let octet = r"(?:\d{1,2}|1\d\d|2[0-4]\d|25[0-5])";
    let ip4 = format!(r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3]|24\d|25[0-5])(?:\.{octet}){{3}}");
    let ip6 = r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%25[^\]\s]+)?\]";
    let ascii = "[a-zA-Z0-9]";
    let wide = r"a-zA-Z\x{a1}-\x{ffff}";
    let prefix = format!(
        r"(?:{ascii}[a-zA-Z0-9_-]+{ascii}(?:[-.]{ascii}+)*|www\.|{ascii}+(?:[-_.]?{ascii})*{ascii}\.{ascii}+)?"
    );
    let name = format!(r"{prefix}(?:[{wide}0-9]+-?-?)*[{wide}0-9]+(?:\.[{wide}]+)?");
    let rest = r"\.?(?::\d{1,5})?(?:[/?#]\S*)?";
    Pattern::new(format!(r"^{scheme}{user}(?:{ip4}|{ip6}|{name}){rest}$"))
});

/// Whether the text is a web address. The scheme may be missing.
pub fn is_url(text: &str) -> bool {
    if text.len() <= URL_BYTES_MIN || text.chars().count() >= URL_CHARS_MAX || text.starts_with('.') {
        return false;
    }
    let completed;
    let full = if text.contains(':') && !text.contains("://") {
        completed = format!("http://{text}");
        &completed
    } else {
        text
    };
    let Some(parts) = split(full) else { return false };
    if parts.host.starts_with('.')
        || (parts.host.is_empty() && !parts.path.is_empty() && !parts.path.contains('.'))
    {
        return false;
    }
    URL_SHAPE.matches(text)
}

/// The host of a web address with its port; empty without a scheme.
pub(crate) fn host(text: &str) -> &str {
    split(text).map_or("", |parts| parts.host)
}

struct Parts<'a> {
    host: &'a str,
    path: &'a str,
}

/// Takes an address apart by RFC 3986. `None` for what no such address can be.
fn split(text: &str) -> Option<Parts<'_>> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return None;
    }
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    if !escapes_are_valid(fragment) {
        return None;
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-.".contains(letter));
    let (has_scheme, rest) = match end {
        Some(0) if text.starts_with(':') => return None,
        Some(at) if text[at..].starts_with(':') && text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            (true, &text[at + 1..])
        }
        _ => (false, text),
    };
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    if !rest.starts_with('/') {
        if has_scheme {
            return Some(Parts { host: "", path: "" });
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return None;
        }
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(inner) if has_scheme || !inner.starts_with('/') => {
            inner.find('/').map_or((inner, ""), |at| (&inner[..at], &inner[at..]))
        }
        _ => ("", rest),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user_is_valid = user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c))
        && escapes_are_valid(user);
    (user_is_valid && host_is_valid(host) && escapes_are_valid(path)).then_some(Parts { host, path })
}

fn host_is_valid(host: &str) -> bool {
    let port_is_valid = |port: &str| {
        port.is_empty()
            || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    if let Some(inner) = host.strip_prefix('[') {
        let Some((literal, port)) = inner.split_once(']') else { return false };
        let address = literal.split('%').next().unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok() && port_is_valid(port);
    }
    let port = host.rfind(':').map_or("", |at| &host[at..]);
    port_is_valid(port) && !host.contains(['%', ' ', '\\', '^', '`', '{', '|', '}'])
}

/// Every `%` is followed by two hexadecimal digits.
fn escapes_are_valid(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.as_bytes()[..2].iter().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a domain passes the two lists of a field, of which at most one is filled. Letters are compared exactly.
pub(crate) fn is_allowed(domain: &str, only: &[String], except: &[String]) -> bool {
    (only.is_empty() || only.iter().any(|item| item == domain)) && !except.iter().any(|item| item == domain)
}

/// Judges the two lists of domains.
pub(crate) fn check_lists(only: &[String], except: &[String]) -> Violations {
    let mut found = Violations::default();
    if !only.is_empty() && !except.is_empty() {
        found.add("onlyDomains", Violation::not_empty());
        found.add("exceptDomains", Violation::not_empty());
        return found;
    }
    for (key, list) in [("onlyDomains", only), ("exceptDomains", except)] {
        let mut inner = Violations::default();
        for (index, domain) in list.iter().enumerate() {
            if !domain.is_empty() && !is_domain(domain) {
                inner.add(
                    index.to_string(),
                    Violation::new("validation_is_domain", "Must be a valid domain."),
                );
            }
        }
        found.nest(key, inner);
    }
    found
}
