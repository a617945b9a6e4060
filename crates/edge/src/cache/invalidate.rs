//! What a successful change makes untrue: RFC 9111, section 4.4.

use hyper::Uri;
use hyper::header::{self, HeaderMap};

use super::flow::Asked;

/// The changed address, and those that the answer names, as far as they are of the same origin: host and target.
pub(super) fn changed(asked: &Asked, secure: bool, answer: &HeaderMap) -> Vec<(String, String)> {
    let own = (asked.host.to_string(), asked.target.to_string());
    let named = [header::LOCATION, header::CONTENT_LOCATION];
    let named = named.iter().filter_map(|name| answer.get(name)?.to_str().ok());
    let named = named.filter_map(|place| resolve(place, &own, secure)).collect::<Vec<_>>();
    std::iter::once(own).chain(named).collect()
}

/// None for another origin, and for what is no address.
fn resolve(place: &str, (host, target): &(String, String), secure: bool) -> Option<(String, String)> {
    let place = place.split('#').next().unwrap_or_default();
    if let Some(rest) = place.strip_prefix("//") {
        return resolve(
            &format!("{}://{rest}", if secure { "https" } else { "http" }),
            &(host.clone(), target.clone()),
            secure,
        );
    }
    if place.starts_with('/') {
        return Some((host.clone(), place.to_owned()));
    }
    if place.contains("://") {
        let uri: Uri = place.parse().ok()?;
        let same = uri.scheme_str() == Some(if secure { "https" } else { "http" })
            && uri.authority()?.as_str().eq_ignore_ascii_case(host);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        return same.then(|| (host.clone(), target.to_owned()));
    }
    let path = target.split('?').next().unwrap_or_default();
    if place.is_empty() {
        return Some((host.clone(), target.clone()));
    }
    let start = path.rfind('/').map_or("/", |end| &path[..=end]);
    Some((host.clone(), dotless(&format!("{start}{place}"))))
}

/// RFC 3986, section 5.2.4, for a path that begins with a slash.
fn dotless(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next().unwrap_or_default();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if matches!(last, "." | "..") {
        kept.push("");
    }
    let path = format!("/{}", kept.join("/"));
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_same_origin_are_found() {
        let own = ("h:1".to_owned(), "/a/b?c".to_owned());
        for (place, secure, expected) in [
            ("/x?y", false, Some("/x?y")),
            ("d", false, Some("/a/d")),
            ("../d/./e?f", false, Some("/d/e?f")),
            ("..", false, Some("/")),
            ("", false, Some("/a/b?c")),
            ("http://H:1/z#part", false, Some("/z")),
            ("//h:1/z", true, Some("/z")),
            ("http://h:1/z", true, None),
            ("http://other/z", false, None),
            ("http://h:1", false, Some("/")),
        ] {
            assert_eq!(
                resolve(place, &own, secure).map(|(_, target)| target).as_deref(),
                expected,
                "{place}"
            );
        }
    }
}
