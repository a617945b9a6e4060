//! Shortening a JSON object to so many bytes of its text, and closing what was open then.

/// The object with as many members as fit; a value that does not fit whole is null. The text is compact JSON.
pub fn object(text: &str, bytes_max: usize) -> String {
    let bytes = &text.as_bytes()[..bytes_max.min(text.len())];
    let mut open: Vec<u8> = Vec::new();
    // What is kept: the text up to here, whether a value is missing there, and what was open.
    let mut kept = (0, false, Vec::new());
    let mut is_key = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                open.push(if *byte == b'{' { b'}' } else { b']' });
                is_key = *byte == b'{';
                at += 1;
                kept = (at, false, open.clone());
            }
            b'}' | b']' => {
                open.pop();
                at += 1;
                kept = (at, false, open.clone());
            }
            b':' => {
                is_key = false;
                at += 1;
                kept = (at, true, open.clone());
            }
            b',' => {
                is_key = open.last() == Some(&b'}');
                at += 1;
            }
            b'"' => {
                let Some(length) = string(&bytes[at..]) else { break };
                at += length;
                if !is_key {
                    kept = (at, false, open.clone());
                }
            }
            _ => {
                let rest = &bytes[at..];
                let Some(length) = rest.iter().position(|byte| b",}]".contains(byte)) else { break };
                at += length;
                kept = (at, false, open.clone());
            }
        }
    }
    let (end, is_missing, open) = kept;
    let mut out = text[..end].to_string();
    if is_missing {
        out.push_str("null");
    }
    out.extend(open.iter().rev().map(|byte| char::from(*byte)));
    out
}

/// The length of the string at the start, its quotes included.
fn string(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn what_is_cut_is_null_or_gone() {
        let text = r#"{"a":"x\"y","b":{"c":[1,{"d":true}]},"e":25}"#;
        for (max, expected) in [
            (0, ""),
            (3, "{}"),
            (5, r#"{"a":null}"#),
            (8, r#"{"a":null}"#),
            (11, r#"{"a":"x\"y"}"#),
            (14, r#"{"a":"x\"y"}"#),
            (16, r#"{"a":"x\"y","b":null}"#),
            (17, r#"{"a":"x\"y","b":{}}"#),
            (23, r#"{"a":"x\"y","b":{"c":[]}}"#),
            (30, r#"{"a":"x\"y","b":{"c":[1,{"d":null}]}}"#),
            (43, r#"{"a":"x\"y","b":{"c":[1,{"d":true}]},"e":null}"#),
            (99, text),
        ] {
            assert_eq!(object(text, max), expected, "{max}");
        }
        // Every cut is JSON.
        for max in 1..text.len() {
            let cut = object(text, max);
            assert!(serde_json::from_str::<serde_json::Value>(&cut).is_ok(), "{max}: {cut}");
        }
    }
}
