//! JSON text written straight into a string, the way the reference writes it.

use std::fmt::Write;

/// Appends `text` as a JSON string. U+2028 and U+2029 are escaped, HTML characters are not.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let bytes = text.as_bytes();
    // Everything before `start` is written, and nothing between `start` and `index` needs escaping.
    let (mut start, mut index) = (0, 0);
    while let Some(found) = special(&bytes[index..]) {
        index += found;
        let escape = match bytes[index] {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            // E2 80 A8 and E2 80 A9, which older JavaScript read as line ends.
            0xe2 => match &bytes[index..] {
                [_, 0x80, 0xa8, ..] => "\\u2028",
                [_, 0x80, 0xa9, ..] => "\\u2029",
                _ => {
                    index += 1;
                    continue;
                }
            },
            _ => "",
        };
        out.push_str(&text[start..index]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{:04x}", bytes[index]);
        } else {
            out.push_str(escape);
        }
        index += if bytes[index] == 0xe2 { 3 } else { 1 };
        start = index;
    }
    out.push_str(&text[start..]);
    out.push('"');
}

/// The position of the first byte that may need escaping. Blocks are tested whole, in a form that compiles to
/// vector instructions: most texts hold no such byte. What is shorter, such as an id, goes by smaller blocks.
fn special(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    const SMALL: usize = 8;
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\') | (*byte == 0xe2);
    let clean = |block: &[u8]| !block.iter().fold(false, |any, byte| any | is_special(byte));
    let mut at = 0;
    while bytes.len() - at >= BLOCK && clean(&bytes[at..at + BLOCK]) {
        at += BLOCK;
    }
    while bytes.len() - at >= SMALL && clean(&bytes[at..at + SMALL]) {
        at += SMALL;
    }
    bytes[at..].iter().position(is_special).map(|found| at + found)
}

/// Appends a number in the shortest form that reads back equal; exponents only below 1e-6 and from 1e21,
/// as ECMAScript and the reference do. Not-a-number and infinities have no JSON form and become 0.
pub fn write_number(out: &mut String, number: f64) {
    if !number.is_finite() {
        out.push('0');
        return;
    }
    if number == 0.0 {
        out.push_str(if number.is_sign_negative() { "-0" } else { "0" });
        return;
    }
    if number.fract() == 0.0 && number.abs() < 1e15 {
        out.push_str(itoa::Buffer::new().format(number as i64));
        return;
    }
    let size = number.abs();
    if (1e-6..1e21).contains(&size) {
        let _ = write!(out, "{number}");
        return;
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => {
            let _ = write!(out, "{digits}e+{power}");
        }
        _ => out.push_str(&text),
    }
}

/// [`write_number`] into a new string.
pub fn number_text(number: f64) -> String {
    let mut out = String::new();
    write_number(&mut out, number);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let mut out = String::new();
        write_string(&mut out, "a\"b\\\n\u{1}<é\u{2028}\u{2029}€");
        assert_eq!(out, "\"a\\\"b\\\\\\n\\u0001<é\\u2028\\u2029€\"");
    }

    #[test]
    fn numbers() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (0.000001, "0.000001"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }
}
