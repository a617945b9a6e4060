//! What an answer is found by: scheme, host, path and query, and what an operator adds or takes away.

use hyper::header::{self, HeaderMap, HeaderName};

use super::object::Key;

/// What of a request counts. By default that is the whole address and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub query: Query,
    /// Fields of requests whose values count, beside those that answers name in `Vary`.
    pub headers: Vec<HeaderName>,
    /// Cookies whose values count.
    pub cookies: Vec<String>,
}

/// Which parameters of a query count.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// These alone, unless it is empty.
    pub only: Vec<String>,
    /// Not these. One that ends with `*` stands for all that begin so.
    pub without: Vec<String>,
    /// Whether their order does not matter.
    pub sorted: bool,
}

impl Keys {
    /// Two requests have the same key only if all that counts is the same.
    pub fn of(&self, secure: bool, host: &str, target: &str, request: &HeaderMap) -> Key {
        let mut bytes = Vec::with_capacity(host.len() + target.len() + 16);
        bytes.push(if secure { b's' } else { b'p' });
        bytes.extend(host.bytes().map(|byte| byte.to_ascii_lowercase()));
        bytes.push(0);
        bytes.extend_from_slice(target.as_bytes());
        for name in &self.headers {
            for value in request.get_all(name) {
                add(&mut bytes, value.as_bytes());
            }
            bytes.push(1);
        }
        for name in &self.cookies {
            for value in cookies(request, name) {
                add(&mut bytes, value.as_bytes());
            }
            bytes.push(1);
        }
        Key(bytes.into())
    }

    /// Whether an address alone says what the key is.
    pub fn is_address(&self) -> bool {
        self.headers.is_empty() && self.cookies.is_empty()
    }

    /// Path and query with what counts of it.
    pub fn target(&self, target: &str) -> String {
        let Query { only, without, sorted } = &self.query;
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        if only.is_empty() && without.is_empty() && !sorted {
            return target.to_owned();
        }
        let names = |list: &[String], name: &str| {
            list.iter().any(|known| match known.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => known == name,
            })
        };
        let counts = |parameter: &&str| {
            let name = parameter.split('=').next().unwrap_or_default();
            !parameter.is_empty() && (only.is_empty() || names(only, name)) && !names(without, name)
        };
        let mut parameters: Vec<&str> = query.split('&').filter(counts).collect();
        if *sorted {
            // By name alone: the order of values of one name is a statement.
            parameters.sort_by_key(|parameter| parameter.split('=').next().unwrap_or_default());
        }
        match parameters.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", parameters.join("&")),
        }
    }
}

/// With its length before it, so that nothing in it can be taken for the next.
fn add(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.push(2);
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn cookies<'a>(request: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_counts_as_it_is_told() {
        let keys = |only: &[&str], without: &[&str], sorted| {
            let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Keys { query: Query { only: list(only), without: list(without), sorted }, ..Keys::default() }
        };
        for (keys, target, expected) in [
            (keys(&[], &[], false), "/a?b=1&a=2", "/a?b=1&a=2"),
            (keys(&["a"], &[], false), "/a?b=1&a=2", "/a?a=2"),
            (keys(&[], &["utm_*", "x"], false), "/a?utm_source=1&a=2&x", "/a?a=2"),
            (keys(&[], &["a"], false), "/a?a=2", "/a"),
            (keys(&[], &[], true), "/a?b=1&a=2&a=1", "/a?a=2&a=1&b=1"),
            (keys(&[], &[], true), "/a", "/a"),
        ] {
            assert_eq!(keys.target(target), expected);
        }
    }

    #[test]
    fn different_things_have_different_keys() {
        let keys = Keys {
            headers: vec![HeaderName::from_static("a")],
            cookies: vec!["c".into()],
            ..Keys::default()
        };
        let of = |lines: &[(&'static str, &'static str)], secure, host| {
            let pairs =
                lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append::<HeaderName>(name, value);
            }
            keys.of(secure, host, "/x", &headers)
        };
        let all = [
            of(&[], false, "h"),
            of(&[], true, "h"),
            of(&[], false, "h2"),
            of(&[("a", "1")], false, "h"),
            of(&[("a", "")], false, "h"),
            of(&[("a", "1"), ("a", "2")], false, "h"),
            of(&[("cookie", "b=0; c=1")], false, "h"),
            of(&[("cookie", "c=2")], false, "h"),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| one != other), "{place}");
        }
        assert_eq!(of(&[("cookie", "b=0; c=1")], false, "H"), of(&[("cookie", "c=1; d=3")], false, "h"));
    }
}
