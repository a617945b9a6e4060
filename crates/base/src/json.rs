//! JSON text written straight into a string, the way the reference writes it.

use std::fmt::Write;

/// Appends `text` as a JSON string. U+2028 and U+2029 are escaped, HTML characters are not.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..=0x1f => "",
            // E2 80 A8 and E2 80 A9, which older JavaScript read as line ends.
            0xe2 if bytes[index + 1] == 0x80 && bytes[index + 2] & 0xfe == 0xa8 => {
                out.push_str(&text[start..index]);
                out.push_str(if bytes[index + 2] == 0xa8 { "\\u2028" } else { "\\u2029" });
                index += 3;
                start = index;
                continue;
            }
            _ => {
                index += 1;
                continue;
            }
        };
        out.push_str(&text[start..index]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        index += 1;
        start = index;
    }
    out.push_str(&text[start..]);
    out.push('"');
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
        let _ = write!(out, "{}", number as i64);
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
