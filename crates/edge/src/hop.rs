//! Fields that belong to the connection that a message came over, and go no further.

use hyper::header::{self, HeaderMap, HeaderName};

/// RFC 9110, section 7.6.1, and what asks for HTTP/2 in the middle of HTTP/1.1. `Trailer` is none of them in an answer, whose
/// trailers are passed on.
pub fn is_of_a_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What of a request a node does not see.
pub fn is_of_a_client(name: &str) -> bool {
    is_of_a_connection(name) || name == "trailer"
}

/// Takes away what is about the connection that the request came over.
pub fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Nobody's connection decides where a message ends, or whom it is for.
        .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
        .collect();
    for name in named {
        headers.remove(name);
    }
    while let Some(name) = headers.keys().find(|name| is_of_a_client(name.as_str())).cloned() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_no_length_and_no_host_away() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "content-length, host, x-a"),
            ("content-length", "1"),
            ("host", "a"),
            ("x-a", "b"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>().len(), 2, "{headers:?}");
    }
}
