//! One look at each field of a request, so that what few requests have is looked for once.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::forwarded::{Names, OWN};
use crate::hop;

/// What is there.
#[derive(Default)]
pub struct Seen<'a> {
    pub host: Option<&'a HeaderValue>,
    /// Whether there is another.
    pub hosts: bool,
    /// `Content-Length` or `Transfer-Encoding`.
    pub framing: bool,
    pub expect: bool,
    pub cookies: usize,
    pub via: bool,
    /// `Connection`, and others of its kind.
    pub connection: bool,
    /// What no node is to see.
    pub removed: SmallVec<[HeaderName; 4]>,
}

impl<'a> Seen<'a> {
    pub fn of(headers: &'a HeaderMap, removed: &Names) -> Seen<'a> {
        let mut seen = Seen::default();
        for (name, value) in headers {
            match name.as_str() {
                "host" => {
                    seen.hosts = seen.host.is_some();
                    seen.host = Some(value);
                }
                "cookie" => seen.cookies += 1,
                "content-length" => seen.framing = true,
                "transfer-encoding" => (seen.framing, seen.connection) = (true, true),
                "expect" => seen.expect = true,
                "via" => seen.via = true,
                text => seen.connection |= hop::is_of_a_client(text),
            }
            if OWN.contains(name) || removed.contain(name.as_str()) {
                seen.removed.push(name.clone());
            }
        }
        seen
    }
}
