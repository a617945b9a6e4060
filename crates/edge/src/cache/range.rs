//! Parts of kept answers: RFC 9110, section 14.

use hyper::header::{self, HeaderMap, HeaderValue};

/// What a request wants of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// From a byte to one behind the last.
    From(usize, usize),
    /// Nothing of what there is.
    None,
}

/// One range of bytes. Several are answered by the whole, which is always allowed, and what cannot be read is ignored.
pub fn wanted(request: &HeaderMap, length: usize) -> Part {
    let mut values = request.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Part::Whole };
    let range = value.to_str().ok().and_then(|text| text.split_once('='));
    match range {
        Some((unit, range)) if unit.trim().eq_ignore_ascii_case("bytes") => part(range.trim(), length),
        _ => Part::Whole,
    }
}

fn part(range: &str, length: usize) -> Part {
    let Some((first, last)) = range.split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Some(first), _)
            if first >= length && (last.is_empty() || number(last).is_some_and(|last| last >= first)) =>
        {
            Part::None
        }
        (Some(first), None) if last.is_empty() => Part::From(first, length),
        (Some(first), Some(last)) if first <= last => Part::From(first, last.saturating_add(1).min(length)),
        (None, Some(0)) if first.is_empty() => Part::None,
        (None, Some(count)) if first.is_empty() && length > 0 => {
            Part::From(length - count.min(length), length)
        }
        (None, Some(_)) if first.is_empty() => Part::None,
        _ => Part::Whole,
    }
}

/// Digits alone; a number that is too large is as good as any beyond the end.
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

/// `Content-Range` for a part, or for none.
pub fn content_range(part: Part, length: usize) -> Option<HeaderValue> {
    let text = match part {
        Part::Whole => return None,
        Part::From(from, to) => format!("bytes {from}-{}/{length}", to.saturating_sub(1)),
        Part::None => format!("bytes */{length}"),
    };
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part() {
        for (text, length, expected) in [
            ("bytes=0-1", 10, Part::From(0, 2)),
            ("Bytes = 1-", 10, Part::From(1, 10)),
            ("bytes=-3", 10, Part::From(7, 10)),
            ("bytes=-30", 10, Part::From(0, 10)),
            ("bytes=5-99999999999999999999999999", 10, Part::From(5, 10)),
            ("bytes=10-", 10, Part::None),
            ("bytes=10-12", 10, Part::None),
            ("bytes=-0", 10, Part::None),
            ("bytes=0-", 0, Part::None),
            ("bytes=-1", 0, Part::None),
            ("bytes=3-1", 10, Part::Whole),
            ("bytes=0-1,4-5", 10, Part::Whole),
            ("bytes=a-b", 10, Part::Whole),
            ("bytes=-", 10, Part::Whole),
            ("bytes=", 10, Part::Whole),
            ("lines=1-2", 10, Part::Whole),
        ] {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
            assert_eq!(wanted(&headers, length), expected, "{text} of {length}");
        }
    }
}
