//! Headers that say who asked: which of them are believed, and what a node is told in their place.
//!
//! A node is told one address in `X-Forwarded-For`: the client's. It is the peer's, or what a trusted proxy before this one
//! says: its list is read from the right, past further trusted proxies, to the first address that nobody vouches for.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base::limits::{FRONT_FORWARDED_MAX, FRONT_HOPS_MAX, REQUEST_ID_CHARS_MAX};
use hyper::Version;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::Context;
use crate::admit::{Gate, Refusal, Unreadable};

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// RFC 8586.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// What front doors call themselves in `Via`.
const VIA: &str = "pando";

/// Fields that only front doors write: a client's own say nothing.
pub const OWN: [HeaderName; 6] =
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_REAL_IP, X_REQUEST_ID, header::FORWARDED];

/// Addresses that belong together.
#[derive(Clone, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Each is a network such as `10.0.0.0/8`, or one address.
    pub fn read(key: &'static str, texts: &[String]) -> Result<Self, Unreadable> {
        let read = |text: &String| {
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            let unreadable = |_| Unreadable { key, value: text.clone(), kind: "network" };
            text.parse::<IpNet>().or_else(|_| alone()).map_err(unreadable)
        };
        texts.iter().map(read).collect::<Result<_, _>>().map(Networks)
    }

    /// With those of the other.
    pub fn and(mut self, other: &Networks) -> Self {
        self.0.extend(&other.0);
        self
    }

    pub fn contain(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.0.iter().any(|network| network.contains(&address))
    }
}

/// Headers by name.
pub struct Names {
    /// In order.
    whole: Vec<String>,
    beginnings: Vec<String>,
    /// A bit for each letter that one of them begins with.
    letters: u32,
}

impl Names {
    /// One that ends with `*` means all that begin so.
    pub fn read(texts: &[String]) -> Result<Self, Unreadable> {
        let (mut whole, mut beginnings) = (Vec::new(), Vec::new());
        for text in texts {
            let name = text.trim_end_matches('*');
            let unreadable =
                || Unreadable { key: "front.removed_headers", value: text.clone(), kind: "header's name" };
            let name = name.parse::<HeaderName>().map_err(|_| unreadable())?.as_str().to_owned();
            match text.ends_with('*') {
                true => beginnings.push(name),
                false => whole.push(name),
            }
        }
        whole.sort();
        let letters = whole.iter().chain(&beginnings).fold(0, |letters, name| letters | letter(name));
        Ok(Names { whole, beginnings, letters })
    }

    /// Servers that hand headers on as variables take `_` for `-`, so it is the same here.
    pub fn contain(&self, name: &str) -> bool {
        if self.letters & letter(name) == 0 {
            return false;
        }
        let name = match name.contains('_') {
            true => Cow::Owned(name.replace('_', "-")),
            false => Cow::Borrowed(name),
        };
        self.whole.binary_search_by(|own| own.as_str().cmp(&name)).is_ok()
            || self.beginnings.iter().any(|beginning| name.starts_with(beginning.as_str()))
    }
}

/// One of 32 bits: letters have one each, as a header's name has no other case, and `_` has that of `-`.
fn letter(name: &str) -> u32 {
    match name.as_bytes().first() {
        Some(b'_') => letter("-"),
        Some(first) => 1 << (first & 31),
        None => 0,
    }
}

/// Finds out who asks, before the headers that say so are taken away. Returns the request's id, if a proxy gave it one.
pub fn found(headers: &HeaderMap, context: &mut Context, gate: &Gate) -> Option<HeaderValue> {
    // The proof of an edge covers what it says of its client.
    if context.edge.is_none() && !gate.trusted.contain(context.client) {
        return None;
    }
    let client = match &context.edge {
        Some(_) => last(headers, &X_FORWARDED_FOR).and_then(address),
        None => walk(headers, &gate.trusted),
    };
    if let Some(client) = client {
        context.client = client;
    }
    match last(headers, &X_FORWARDED_PROTO) {
        Some("https") => context.secure = true,
        Some("http") => context.secure = false,
        _ => {}
    }
    headers.get(X_REQUEST_ID).filter(|id| is_id(id.as_bytes())).cloned()
}

/// The first address from the right that no trusted proxy has; the leftmost if all do. None when the nearest proxy said
/// nothing that can be read.
fn walk(headers: &HeaderMap, trusted: &Networks) -> Option<IpAddr> {
    let mut client = None;
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let parts = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for part in parts.take(FRONT_FORWARDED_MAX) {
        // What cannot be read was not written by a proxy that can be trusted with what stands before it.
        let Some(address) = address(part.trim()) else { break };
        client = Some(address);
        if !trusted.contain(address) {
            break;
        }
    }
    client
}

/// With or without a port, in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

/// The nearest proxy's word in a list.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// Short, and of letters that mean nothing in a log, a header or a shell.
fn is_id(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(byte);
    (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()) && text.iter().all(plain)
}

/// A client's address and scheme as nodes are told them. Found once for a connection, and anew where a proxy before this one
/// says who asks.
pub struct Asker {
    client: IpAddr,
    secure: bool,
    address: HeaderValue,
    /// All of it, as lines of a head.
    lines: String,
}

impl Asker {
    pub fn new(client: IpAddr, secure: bool) -> Arc<Asker> {
        let text = client.to_string();
        let scheme = scheme(secure);
        let lines =
            format!("x-real-ip: {text}\r\nx-forwarded-for: {text}\r\nx-forwarded-proto: {scheme}\r\n");
        let unknown = |_| HeaderValue::from_static("unknown");
        let address = HeaderValue::try_from(text).unwrap_or_else(unknown);
        Arc::new(Asker { client, secure, address, lines })
    }

    pub fn client(&self) -> IpAddr {
        self.client
    }

    pub fn is_secure(&self) -> bool {
        self.secure
    }

    pub fn is(&self, client: IpAddr, secure: bool) -> bool {
        self.client == client && self.secure == secure
    }
}

fn scheme(secure: bool) -> &'static str {
    if secure { "https" } else { "http" }
}

/// Says who asked, in place of whatever the client said.
pub struct Introduction<'a> {
    pub asker: &'a Asker,
    pub id: Option<&'a HeaderValue>,
    /// None where the request's own `Via` tells it.
    pub via: Option<&'static str>,
    /// In the form of RFC 7239 too.
    pub forwarded: bool,
}

impl Introduction<'_> {
    /// As lines of a head whose host is this.
    pub fn write(&self, out: &mut Vec<u8>, host: Option<&HeaderValue>) {
        out.extend_from_slice(self.asker.lines.as_bytes());
        if let Some(host) = host {
            if self.forwarded {
                line(out, b"forwarded: ", self.asker.forwarded(host).as_bytes());
            }
            line(out, b"x-forwarded-host: ", host.as_bytes());
        }
        if let Some(id) = self.id {
            line(out, b"x-request-id: ", id.as_bytes());
        }
        if let Some(via) = self.via {
            line(out, b"via: ", via.as_bytes());
        }
    }

    /// As fields, for whoever looks at them here.
    pub fn put(&self, headers: &mut HeaderMap) {
        let Asker { secure, address, .. } = self.asker;
        headers.insert(X_REAL_IP, address.clone());
        headers.insert(X_FORWARDED_FOR, address.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme(*secure)));
        if let Some(host) = headers.get(header::HOST).cloned() {
            if self.forwarded
                && let Ok(told) = HeaderValue::try_from(self.asker.forwarded(&host))
            {
                headers.insert(header::FORWARDED, told);
            }
            headers.insert(X_FORWARDED_HOST, host);
        }
        if let Some(id) = self.id {
            headers.insert(X_REQUEST_ID, id.clone());
        }
        if let Some(via) = self.via {
            headers.insert(header::VIA, HeaderValue::from_static(via));
        }
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

impl Asker {
    /// RFC 7239. What a host may hold is harmless between quotes.
    fn forwarded(&self, host: &HeaderValue) -> String {
        let (scheme, host) = (scheme(self.secure), host.to_str().unwrap_or_default());
        match self.client {
            IpAddr::V4(client) => format!("for={client};proto={scheme};host=\"{host}\""),
            IpAddr::V6(client) => format!("for=\"[{client}]\";proto={scheme};host=\"{host}\""),
        }
    }
}

/// A name that no request has had, not to be guessed either.
pub fn request_id() -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(base::id::record())).ok()
}

/// This front door's own word in `Via`.
pub fn own_via(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0 pando",
        Version::HTTP_2 => "2.0 pando",
        _ => "1.1 pando",
    }
}

/// Adds this front door to those that the request has passed already.
pub fn join_via(headers: &mut HeaderMap, own: &'static str) -> Result<(), Refusal> {
    let hops = headers.get_all(header::VIA).iter().map(|line| {
        let line = line.to_str().unwrap_or_default();
        line.split(',').filter(|hop| hop.trim().split(' ').nth(1) == Some(VIA)).count()
    });
    if hops.sum::<usize>() >= FRONT_HOPS_MAX {
        return Err(Refusal::Loop);
    }
    let mut lines = headers.get_all(header::VIA).iter();
    let joined = match (lines.next(), lines.next()) {
        (Some(before), None) => {
            HeaderValue::try_from([before.as_bytes(), b", ", own.as_bytes()].concat()).ok()
        }
        _ => None,
    };
    match joined {
        Some(joined) => headers.insert(header::VIA, joined).map_or((), drop),
        None => drop(headers.append(header::VIA, HeaderValue::from_static(own))),
    }
    Ok(())
}

/// Adds this edge to the networks for content that the request has passed, and refuses what has been here before (RFC 8586).
pub fn enter_network(headers: &mut HeaderMap, own: &str) -> Result<(), Refusal> {
    let mut passed = headers.get_all(&CDN_LOOP).iter().filter_map(|line| line.to_str().ok());
    let is_own = |member: &str| member.split(';').next().is_some_and(|id| id.trim() == own);
    if passed.any(|line| line.split(',').any(is_own)) {
        return Err(Refusal::Loop);
    }
    if let Ok(own) = HeaderValue::from_str(own) {
        headers.append(CDN_LOOP, own);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        let texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
        Networks::read("x", &texts).unwrap()
    }

    #[test]
    fn who_has_been_here_goes_no_further() {
        let mut headers = HeaderMap::new();
        for id in ["a", "b"] {
            enter_network(&mut headers, id).unwrap();
        }
        assert_eq!(headers.get_all(CDN_LOOP).iter().collect::<Vec<_>>(), ["a", "b"]);
        headers.append(CDN_LOOP, HeaderValue::from_static("other; x=\"y\" , own ; v=1"));
        for own in ["a", "b", "own", "other"] {
            assert_eq!(enter_network(&mut headers.clone(), own), Err(Refusal::Loop), "{own}");
        }
        assert_eq!(enter_network(&mut headers, "ow"), Ok(()));
    }

    #[test]
    fn proxies_are_walked_from_the_right() {
        for (lines, expected) in [
            (&["1.1.1.1"][..], Some("1.1.1.1")),
            (&["9.9.9.9, 1.1.1.1"], Some("1.1.1.1")),
            (&["9.9.9.9, 1.1.1.1, 10.0.0.2"], Some("1.1.1.1")),
            (&["9.9.9.9", "1.1.1.1,10.0.0.2", "10.0.0.3"], Some("1.1.1.1")),
            (&["10.0.0.1, 10.0.0.2"], Some("10.0.0.1")),
            (&["1.1.1.1, junk, 10.0.0.2"], Some("10.0.0.2")),
            (&["1.1.1.1, junk"], None),
            (&[""], None),
            (&[], None),
            (&["1.1.1.1:80"], Some("1.1.1.1")),
            (&["[2001:db8::1]:80, fd00::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["::ffff:1.1.1.1"], Some("1.1.1.1")),
            (&["2.2.2.2, ::ffff:10.0.0.9"], Some("2.2.2.2")),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(X_FORWARDED_FOR, line.parse().unwrap());
            }
            let found = walk(&headers, &networks(&["10.0.0.0/8", "fd00::1"]));
            assert_eq!(found.map(|found| found.to_string()).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_list_without_end_is_read_in_part() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, "10.0.0.1,".repeat(5_000).trim_end_matches(',').parse().unwrap());
        assert!(walk(&headers, &networks(&["10.0.0.0/8"])).is_some());
    }

    #[test]
    fn what_is_no_network_is_said() {
        for bad in ["", "x", "10.0.0.0/33", "10.0.0"] {
            assert!(Networks::read("front.trusted", &[bad.into()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_that_steer_servers_are_known_by_any_spelling() {
        let names = Names::read(&crate::admit::options::REMOVED.map(str::to_owned)).unwrap();
        for known in [
            "x-forwarded-host",
            "x_forwarded_host",
            "x-forwarded",
            "x-original-url",
            "x-http-method-override",
        ] {
            assert!(names.contain(known), "{known}");
        }
        for other in ["x-forward", "host", "x-request-id", "x-token", "authorization"] {
            assert!(!names.contain(other), "{other}");
        }
    }

    #[test]
    fn lines_and_fields_say_the_same() {
        for (client, secure, forwarded, id) in [
            ("1.2.3.4", false, false, None),
            ("1.2.3.4", true, true, Some(HeaderValue::from_static("a"))),
            ("2001:db8::1", true, true, None),
        ] {
            let asker = Asker::new(client.parse().unwrap(), secure);
            let introduction =
                Introduction { asker: &asker, id: id.as_ref(), via: Some("1.1 pando"), forwarded };
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("a.example:80"));
            let mut out = Vec::new();
            introduction.write(&mut out, headers.get(header::HOST));
            introduction.put(&mut headers);
            headers.remove(header::HOST);
            let mut fields: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            fields.sort();
            let text = String::from_utf8(out).unwrap();
            let mut lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
            lines.sort();
            assert_eq!(lines, fields);
        }
    }
}
