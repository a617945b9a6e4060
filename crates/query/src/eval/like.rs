//! `LIKE` without a regular expression.

/// Does the text match a pattern of `%`, `_` and backslash escapes? ASCII letters of either case are equal.
/// A backslash at the end that escapes nothing matches nothing.
/// On a mismatch only the last `%` is tried again, so the cost is bounded by the product of both lengths.
pub fn like(text: &str, pattern: &str) -> bool {
    if let Some(inner) = pattern.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'))
        && !inner.bytes().any(|byte| matches!(byte, b'%' | b'_' | b'\\'))
    {
        return contains(text.as_bytes(), inner.as_bytes());
    }
    matches(text.as_bytes(), pattern.as_bytes())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// The length of the UTF-8 character that starts with this byte.
fn width(first: u8) -> usize {
    match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut want) = (0, 0);
    // Where to go on when the text does not fit: after the last `%`, one character later in the text.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let fits = match pattern.get(want) {
            Some(b'%') => {
                retry = Some((at, want + 1));
                want += 1;
                continue;
            }
            None if at >= text.len() => return true,
            None => false,
            Some(_) if at >= text.len() => return false,
            Some(b'_') => {
                at += width(text[at]);
                want += 1;
                true
            }
            Some(&byte) => {
                let (byte, used) = match (byte, pattern.get(want + 1)) {
                    (b'\\', Some(&next)) => (next, 2),
                    (b'\\', None) => return false,
                    _ => (byte, 1),
                };
                let same = text[at].eq_ignore_ascii_case(&byte);
                if same {
                    at += 1;
                    want += used;
                }
                same
            }
        };
        if fits {
            continue;
        }
        match retry {
            Some((from, after)) if from < text.len() => {
                let next = from + width(text[from]);
                retry = Some((next, after));
                at = next;
                want = after;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "ABC", true),
            ("abc", "ab", false),
            ("abc", "%", true),
            ("", "%", true),
            ("", "", true),
            ("", "_", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("aéc", "a_c", true),
            ("éé", "%é", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("a\\c", "%\\\\%", true),
            ("a\\", "%\\", false),
            ("a\\", "%\\\\", true),
            ("aaab", "%a%ab", true),
            ("mississippi", "m%iss%ip%i", true),
            ("mississippi", "m%iss%ipx%", false),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn many_wildcards_stay_cheap() {
        let text = "a".repeat(4000);
        let pattern = format!("{}b", "%a".repeat(400));
        assert!(!like(&text, &pattern));
    }
}
