//! Which regular expressions mean the same in RE2, which the fields are checked with, and in ECMAScript, which JSON
//! Schema speaks. In doubt, none.

/// Whether ECMAScript (with its `u` flag) reads the pattern as RE2 does.
pub fn is_portable(pattern: &str) -> bool {
    if pattern.is_empty() {
        return false;
    }
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = chars.next() {
        match letter {
            '\\' => match chars.next() {
                // `\s` and `\b` mean more in one than in the other.
                // No range begins with a class of letters.
                Some('d' | 'D' | 'w' | 'W') if in_class && chars.peek() == Some(&'-') => return false,
                Some('d' | 'D' | 'w' | 'W' | 'n' | 'r' | 't' | 'f') => {}
                Some('-') if in_class => {}
                Some(escaped) if r"^$\.*+?()[]{}|/".contains(escaped) => {}
                _ => return false,
            },
            '[' if in_class => return false,
            '-' if in_class && chars.peek() == Some(&'\\') => return false,
            '[' => {
                in_class = true;
                // An empty class, or one that begins with its end.
                let mut rest = chars.clone();
                let first = rest.next().filter(|first| *first != '^').or_else(|| rest.next());
                if first == Some(']') {
                    return false;
                }
            }
            ']' if in_class => in_class = false,
            ']' | '}' => return false,
            '{' if !in_class => {
                let mut count = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(digit @ ('0'..='9' | ',')) => count.push(digit),
                        _ => return false,
                    }
                }
                let well_formed = count.chars().filter(|letter| *letter == ',').count() <= 1
                    && count.starts_with(|first: char| first.is_ascii_digit());
                if !well_formed {
                    return false;
                }
            }
            '(' if !in_class && chars.peek() == Some(&'?') => {
                chars.next();
                if chars.next() != Some(':') {
                    return false;
                }
            }
            _ => {}
        }
    }
    !in_class
}

#[cfg(test)]
mod tests {
    use super::is_portable;

    #[test]
    fn only_what_both_read_alike() {
        for same in ["^[a-z0-9]+$", r"^\d{4}-\d{2}$", r"^(?:a|b)\.c{2,}$", r"[\w\-]+", "^a.b$"] {
            assert!(is_portable(same), "{same}");
        }
        for other in [
            "",
            "(?i)a",
            r"\pL",
            r"\x{10}",
            "[[:alpha:]]",
            r"\s",
            r"\Qa\E",
            "a{,2}",
            "a}",
            "[]a]",
            r"[\w-a]",
            r"[a-\w]",
            "(?P<n>a)",
            r"\_",
            "[",
        ] {
            assert!(!is_portable(other), "{other}");
        }
    }
}
