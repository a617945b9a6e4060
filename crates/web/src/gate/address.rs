//! Which client a request comes from. A header counts only if the settings name it, for otherwise anybody could claim
//! any address.

use std::net::IpAddr;
use std::sync::Arc;

use app::settings::TrustedProxy;
use app::settings::validate::network;
use axum::http::{HeaderMap, HeaderName};
use base::limits::FRONT_FORWARDED_MAX;
use ipnet::IpNet;

use super::contains;

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

/// Proxies that whoever runs this process put before it, such as front doors. They are believed by their addresses, without
/// a word in the settings; what the settings name counts before.
#[derive(Clone, Default)]
pub struct Behind(Arc<[IpNet]>);

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Behind {
    /// Networks and addresses, separated by commas; otherwise the one that is none.
    pub fn read(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| network(part).ok_or_else(|| part.to_owned())).collect::<Result<_, _>>().map(Behind)
    }

    /// The first address from the right of the list that is none of these proxies', if one of them is the peer.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if self.0.is_empty() || !contains(&self.0, peer) {
            return None;
        }
        let mut client = None;
        let lines = headers.get_all(FORWARDED).iter().rev();
        let parts = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for part in parts.take(FRONT_FORWARDED_MAX) {
            // What cannot be read was written by nobody who can be believed about what stands before it.
            let Some(address) = parse(part.trim()) else { break };
            let address = address.to_canonical();
            client = Some(address);
            if !contains(&self.0, address) {
                break;
            }
        }
        client
    }
}

/// The zone of a link-local address means something to its own host only.
fn parse(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((address, _)) => address.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use base::address::spelled;

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
    fn proxies_are_believed_by_their_addresses() {
        let behind = Behind::read("10.0.0.0/8, ::1").unwrap();
        for (peer, line, expected) in [
            ("10.0.0.1", "1.1.1.1", Some("1.1.1.1")),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", Some("1.1.1.1")),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", Some("10.0.0.3")),
            ("10.0.0.1", "1.1.1.1, junk", None),
            ("10.0.0.1", "", None),
            ("::1", "::ffff:1.1.1.1", Some("1.1.1.1")),
            ("1.1.1.1", "2.2.2.2", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED, line.parse().unwrap());
            let found = behind.client(peer.parse().unwrap(), &headers);
            assert_eq!(found.map(|found| found.to_string()).as_deref(), expected, "{peer} {line}");
        }
        assert_eq!(Behind::read("10.0.0.0/8,x").err().as_deref(), Some("x"));
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, "1.1.1.1".parse().unwrap());
        assert_eq!(Behind::default().client("10.0.0.1".parse().unwrap(), &headers), None);
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
