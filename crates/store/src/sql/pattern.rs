//! The pattern of `Like`, from the value on its right.

/// What `LIKE … ESCAPE '\'` takes: the text itself when it holds an unescaped `%`, else the text taken
/// literally between two `%`.
pub fn pattern(text: &str) -> String {
    if has_wildcard(text) {
        let mut out = text.to_owned();
        // A lone backslash at the end is an error on one engine and matches nothing on the other.
        if out.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            out.push('\\');
        }
        return out;
    }
    let mut out = String::with_capacity(text.len() + 4);
    out.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

fn has_wildcard(text: &str) -> bool {
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            b'%' if !escaped => return true,
            _ => {}
        }
        escaped = false;
    }
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns() {
        for (text, expected) in [
            ("", "%%"),
            ("ab", "%ab%"),
            ("a_b", r"%a\_b%"),
            ("a%", "a%"),
            (r"a\%", r"%a\\\%%"),
            (r"%a\", r"%a\\"),
            (r"\\%", r"\\%"),
        ] {
            assert_eq!(super::pattern(text), expected, "{text}");
        }
    }
}
