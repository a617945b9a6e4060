//! The cookie that keeps a client with its node.

use hyper::HeaderMap;
use hyper::header::{self, HeaderValue};

/// The node that the client's cookie names.
pub fn asked(headers: &HeaderMap, name: &str) -> Option<u64> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = values.find(|(key, _)| *key == name)?;
    (value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u64::from_str_radix(value, 16).ok())?
}

/// Names the node from now on. None if the name is no cookie's.
pub fn cookie(name: &str, node: u64, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={node:016x}; Path=/; HttpOnly; SameSite=Lax{secure}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_names_the_node_it_was_made_for() {
        let set = cookie("node", 0xab, true).unwrap();
        let set = set.to_str().unwrap();
        assert_eq!(set, "node=00000000000000ab; Path=/; HttpOnly; SameSite=Lax; Secure");
        for (sent, found) in [
            ("a=b; node=00000000000000ab; c=d", Some(0xab)),
            ("node=00000000000000ab", Some(0xab)),
            ("xnode=00000000000000ab", None),
            ("node=ab", None),
            ("node=+0000000000000ab", None),
            ("node=", None),
            ("node", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, sent.parse().unwrap());
            assert_eq!(asked(&headers, "node"), found, "{sent}");
        }
    }
}
