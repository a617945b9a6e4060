//! Which of the answers under one key a request selects: RFC 9111, section 4.1.
//!
//! Values are compared in one form, so that what means the same is the same: spaces around commas and the division into lines do
//! not count, and languages and encodings count by their weights, not by their order.

use base::limits::EDGE_LANGUAGES_MAX;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::directives::members;
use super::object::Object;

/// The names in `Vary`; None for what no request selects.
pub fn names(answer: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for value in answer.get_all(header::VARY) {
        for member in value.as_bytes().split(|&byte| byte == b',') {
            let member = member.trim_ascii();
            if member == b"*" {
                return None;
            }
            if member.is_empty() {
                continue;
            }
            let name = HeaderName::from_bytes(member).ok()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Some(names)
}

/// What a request says in those fields.
pub fn values(names: Vec<HeaderName>, request: &HeaderMap) -> Vec<(HeaderName, Option<Bytes>)> {
    let value = |name: HeaderName| {
        let value = normal(&name, request);
        (name, value)
    };
    names.into_iter().map(value).collect()
}

/// Whether a request selects the answer.
pub fn selects(object: &Object, request: &HeaderMap) -> bool {
    object.varies.iter().all(|(name, kept)| {
        let mut values = request.get_all(name).iter();
        match (kept, values.next(), values.next()) {
            (None, None, _) => true,
            (Some(_), None, _) | (None, Some(_), _) => false,
            // The common case: nothing to be put in another form.
            (Some(kept), Some(one), None) if kept == one.as_bytes() => true,
            _ => {
                normal(name, request) == *kept
                    || (*name == header::ACCEPT_LANGUAGE && is_best(object, request))
            }
        }
    })
}

/// The one form of a field's value; None for one that is absent.
fn normal(name: &HeaderName, request: &HeaderMap) -> Option<Bytes> {
    let mut values = request.get_all(name).iter().peekable();
    values.peek()?;
    if *name == header::ACCEPT_LANGUAGE || *name == header::ACCEPT_ENCODING {
        return Some(weighed(values));
    }
    let mut all = Vec::new();
    for value in values {
        for member in members(value.as_bytes()) {
            // What is not made of members stands for itself.
            let Some(member) = member else { return Some(joined(request, name)) };
            if !all.is_empty() {
                all.push(b',');
            }
            all.extend_from_slice(member);
        }
    }
    Some(all.into())
}

fn joined(request: &HeaderMap, name: &HeaderName) -> Bytes {
    let values: Vec<&[u8]> = request.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    values.join(&b", "[..]).into()
}

/// Each thing that is accepted with its weight, the most wanted first.
fn weighed<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Bytes {
    let mut all = accepted(values);
    all.sort_by(|(left, much), (right, more)| more.cmp(much).then_with(|| left.cmp(right)));
    let texts = all.into_iter().map(|(name, weight)| match weight {
        1_000 => name,
        0 => format!("{name};q=0"),
        weight => format!("{name};q=0.{weight:03}"),
    });
    texts.collect::<Vec<_>>().join(",").into()
}

/// In small letters, with weights in thousandths.
fn accepted<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Vec<(String, u16)> {
    let parts = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let parts = parts.map(|part| String::from_utf8_lossy(part).to_ascii_lowercase());
    let weigh = |part: String| {
        let (name, parameters) = part.split_once(';').unwrap_or((&part, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let weight = weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(1.0)).clamp(0.0, 1.0);
        (name.trim().to_owned(), (weight * 1_000.0).round() as u16)
    };
    parts.map(weigh).filter(|(name, _)| !name.is_empty()).take(EDGE_LANGUAGES_MAX).collect()
}

/// Whether the answer is in the language that is wanted more than any other: no other answer could suit better.
fn is_best(object: &Object, request: &HeaderMap) -> bool {
    let Some(language) = object.headers.get(header::CONTENT_LANGUAGE) else { return false };
    let wanted = accepted(request.get_all(header::ACCEPT_LANGUAGE).iter());
    let Some((name, most)) = wanted.iter().max_by_key(|(_, weight)| *weight) else { return false };
    let alone = wanted.iter().filter(|(_, weight)| weight == most).count() == 1;
    alone && *most > 0 && language.as_bytes().eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, values: &[&str]) -> Option<Bytes> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        normal(&HeaderName::from_static(name), &headers)
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        for (name, left, right, same) in [
            ("foo", &["1,2"][..], &[" 1 , 2 "][..], true),
            ("foo", &["1", "2"], &["1, 2"], true),
            ("foo", &["1, 2"], &["2, 1"], false),
            ("foo", &["\"1,2\""], &["\"1, 2\""], false),
            ("foo", &[], &[""], false),
            ("foo", &["a"], &["A"], false),
            ("accept-language", &["en, de"], &["De,eN"], true),
            ("accept-language", &["en, de;q=0.5"], &["de; q=0.500 ,en"], true),
            ("accept-language", &["en;q=0.5, de"], &["en, de;q=0.5"], false),
            ("accept-encoding", &["gzip, br"], &["br,gzip"], true),
        ] {
            assert_eq!(of(name, left) == of(name, right), same, "{name}: {left:?} {right:?}");
        }
    }

    #[test]
    fn a_form_is_its_own_form() {
        for text in ["a , b", "\"x, y\" ,z", "en;q=0.1234, *;q=0, de-AT", "\"open", ";;q=,,q", "en;q=nan"] {
            for name in ["foo", "accept-language", "accept-encoding"] {
                let once = of(name, &[text]).unwrap();
                let again = of(name, &[std::str::from_utf8(&once).unwrap()]).unwrap();
                assert_eq!(once, again, "{name}: {text}");
            }
        }
    }

    #[test]
    fn a_star_selects_nothing() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::VARY, text.parse().unwrap());
            names(&headers)
        };
        assert_eq!(of("a, B,, a").map(|names| names.len()), Some(2));
        for none in ["*", "a, *", ", *", "a b"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
