//! Which client a request comes from. A header counts only if the settings name it, for otherwise anybody could claim
//! any address.

use std::net::IpAddr;

use app::settings::TrustedProxy;
use axum::http::{HeaderMap, HeaderName};

/// Headers that proxies commonly name the client in: pointed out to superusers, never trusted by themselves.
const COMMON: [&str; 3] = ["CF-Connecting-IP", "Fly-Client-IP", "X-Forwarded-For"];

/// The headers that name the client, in the order in which they count.
pub struct Proxies {
    headers: Vec<(String, HeaderName)>,
    leftmost: bool,
}

impl Proxies {
    pub fn new(settings: &TrustedProxy) -> Self {
        // What is no header's name can be in no request.
        let named = settings.headers.iter().filter_map(|name| Some((name.clone(), name.parse().ok()?)));
        Proxies { headers: named.collect(), leftmost: settings.use_leftmost_ip }
    }

    /// The client that a trusted header names.
    pub fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        self.headers.iter().find_map(|(_, name)| {
            // A header that came twice: the last is the nearest proxy's.
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            let mut addresses = value.split(',').filter_map(|part| parse(part.trim()));
            if self.leftmost { addresses.next() } else { addresses.next_back() }
        })
    }

    /// The header of this request that may name its client: a hint for whoever sets up a proxy.
    pub fn hint<'a>(&'a self, headers: &HeaderMap) -> &'a str {
        let trusted = self.headers.iter().map(|(name, _)| name.as_str());
        trusted
            .chain(COMMON)
            .find(|name| headers.get_all(*name).iter().next_back().is_some_and(|value| !value.is_empty()))
            .unwrap_or_default()
    }
}

/// The zone of a link-local address means something to its own host only.
fn parse(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((address, _)) => address.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok(),
    }
}

/// An address as the reference writes it: IPv6 without shortening.
pub fn spelled(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|part| format!("{part:04x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(settings: (&[&str], bool), lines: &[(&'static str, &str)]) -> Option<String> {
        let headers = settings.0.iter().map(|name| name.to_string()).collect();
        let proxies = Proxies::new(&TrustedProxy { headers, use_leftmost_ip: settings.1 });
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        proxies.client(&map).map(spelled)
    }

    #[test]
    fn only_named_headers_count() {
        let far = "x-forwarded-for";
        let right: (&[&str], bool) = (&["X-Forwarded-For"], false);
        let left: (&[&str], bool) = (&["X-Forwarded-For"], true);
        for (settings, lines, expected) in [
            ((&[][..], false), &[(far, "1.1.1.1")][..], None),
            (right, &[(far, "1.1.1.1, 2.2.2.2")], Some("2.2.2.2")),
            (left, &[(far, "junk, 1.1.1.1, 2.2.2.2")], Some("1.1.1.1")),
            (right, &[(far, "1.1.1.1, junk, ")], Some("1.1.1.1")),
            (right, &[(far, "junk")], None),
            (right, &[(far, "1.1.1.1:80")], None),
            (right, &[(far, "::1")], Some("0000:0000:0000:0000:0000:0000:0000:0001")),
            (right, &[(far, "1.1.1.1"), (far, "2.2.2.2")], Some("2.2.2.2")),
            (left, &[(far, "1.1.1.1"), (far, "2.2.2.2")], Some("2.2.2.2")),
            (
                (&["X-Real-IP", "x-forwarded-for"], false),
                &[(far, "1.1.1.1"), ("x-real-ip", "x")],
                Some("1.1.1.1"),
            ),
            ((&["", "x y"], false), &[(far, "1.1.1.1")], None),
        ] {
            assert_eq!(client(settings, lines).as_deref(), expected, "{settings:?} {lines:?}");
        }
    }
}
