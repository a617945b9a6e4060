//! What clients can unpack, in few forms: whatever else they say makes no further variants of an answer.

use hyper::header::{self, HeaderMap, HeaderValue};

use super::compress::{Accepted, Coding};

/// Puts `Accept-Encoding` in one of four forms, for the origin too: `br, gzip`, one of them alone, or none. One that refuses
/// what is not packed stays as it is.
pub fn normalise(headers: &mut HeaderMap, accepted: &Accepted) {
    if !headers.contains_key(header::ACCEPT_ENCODING) || accepted.refuses_identity() {
        return;
    }
    let form = match (accepted.takes(Coding::Brotli), accepted.takes(Coding::Gzip)) {
        (true, true) => "br, gzip",
        (true, false) => "br",
        (false, true) => "gzip",
        (false, false) => {
            headers.remove(header::ACCEPT_ENCODING);
            return;
        }
    };
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(form));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_has_four_forms() {
        for (said, form) in [
            (&["gzip, deflate, br, zstd"][..], Some("br, gzip")),
            (&["br", "gzip"], Some("br, gzip")),
            (&["GZIP;q=0.5"], Some("gzip")),
            (&["gzip;q=0, br"], Some("br")),
            (&["gzip;q=0"], None),
            (&["deflate"], None),
            (&["identity"], None),
            (&[""], None),
            (&["*"], Some("br, gzip")),
            (&["*, br;q=0"], Some("gzip")),
            (&["gzip;q=x"], None),
            (&["gzip, identity;q=0"], Some("gzip, identity;q=0")),
            (&["*;q=0"], Some("*;q=0")),
            (&["*;q=0, identity"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
            }
            let accepted = Accepted::of(&headers);
            normalise(&mut headers, &accepted);
            let form_now: Vec<_> = headers.get_all(header::ACCEPT_ENCODING).iter().collect();
            assert_eq!(form_now, form.into_iter().collect::<Vec<_>>(), "{said:?}");
        }
    }
}
