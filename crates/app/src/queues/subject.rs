//! Subjects and patterns of subjects: tokens with dots between them. In a pattern `*` stands for one token, and `>` at
//! its end for one or more.

use base::limits::{QUEUE_SUBJECT_BYTES_MAX, QUEUE_SUBJECT_TOKENS_MAX};

const ONE: &str = "*";
const REST: &str = ">";

/// Whether a message may have it as its subject.
pub fn is_subject(text: &str) -> bool {
    is_bounded(text) && text.split('.').all(is_token)
}

pub fn is_pattern(text: &str) -> bool {
    let last = text.split('.').count() - 1;
    let fits = |(at, token): (usize, &str)| token == ONE || (token == REST && at == last) || is_token(token);
    is_bounded(text) && text.split('.').enumerate().all(fits)
}

/// Neither needs to be well formed.
pub fn matches(pattern: &str, subject: &str) -> bool {
    let (mut wanted, mut tokens) = (pattern.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), tokens.next()) {
            (None, None) => return true,
            (Some(REST), Some(_)) => return true,
            (Some(ONE), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

/// Whether it names one subject only.
pub fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '>'])
}

fn is_bounded(text: &str) -> bool {
    text.len() <= QUEUE_SUBJECT_BYTES_MAX && text.split('.').count() <= QUEUE_SUBJECT_TOKENS_MAX
}

/// What neither an address nor a rule nor a topic of events reads as something else.
fn is_token(token: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'@' | b'=' | b'+');
    !token.is_empty() && token.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        for good in ["a", "orders.eu.created", "a-b_c:d@e=f+1", "A.1"] {
            assert!(is_subject(good) && is_pattern(good), "{good}");
        }
        for pattern in ["*", ">", "a.*", "a.>", "*.*.c", "*.>"] {
            assert!(is_pattern(pattern) && !is_subject(pattern), "{pattern}");
        }
        let (long, deep) = ("a".repeat(256), "a.".repeat(16) + "a");
        for bad in
            ["", ".", "a.", ".a", "a..b", "a b", "a/b", "a?b", "é", "a*", ">.a", "a.>.b", "a\n", &long, &deep]
        {
            assert!(!is_subject(bad) && !is_pattern(bad), "{bad:?}");
        }
    }

    /// By way of a regular expression's meaning, written out.
    fn naive(pattern: &[&str], subject: &[&str]) -> bool {
        match (pattern, subject) {
            ([], []) => true,
            ([REST], rest) => !rest.is_empty(),
            ([first, pattern @ ..], [token, subject @ ..]) => {
                (*first == ONE || first == token) && naive(pattern, subject)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_a_naive_matcher_does(
            pattern in proptest::collection::vec("[ab*]|>", 1..6),
            subject in proptest::collection::vec("[ab]", 1..6),
        ) {
            let (pattern, subject) = (pattern.join("."), subject.join("."));
            prop_assume!(is_pattern(&pattern));
            let parts: (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), subject.split('.').collect());
            prop_assert_eq!(matches(&pattern, &subject), naive(&parts.0, &parts.1));
        }

        #[test]
        fn anything_can_be_asked(pattern in ".*", subject in ".*") {
            let _ = (is_subject(&subject), is_pattern(&pattern), matches(&pattern, &subject));
            if is_subject(&subject) {
                prop_assert!(is_pattern(&subject) && matches(&subject, &subject) && matches(">", &subject));
            }
        }
    }
}
