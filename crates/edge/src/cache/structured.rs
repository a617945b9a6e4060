//! Structured fields (RFC 9651): dictionaries, read strictly, as whoever does not follow the grammar is to be ignored.

/// A member's value. Parameters say nothing here, and are only checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Integer(i64),
    Boolean(bool),
    /// What a string holds between its quotes.
    Text(&'a [u8]),
    Other,
}

/// The members in their order, the last of each name; None for what is no dictionary.
pub fn dictionary(text: &[u8]) -> Option<Vec<(&str, Value<'_>)>> {
    let mut text = Text(text.trim_ascii());
    let mut members: Vec<(&str, Value)> = Vec::new();
    while !text.0.is_empty() {
        let name = text.key()?;
        let value = if text.skip(b'=') { text.item_or_list()? } else { Value::Boolean(true) };
        text.parameters()?;
        members.retain(|(known, _)| *known != name);
        members.push((name, value));
        text.0 = text.0.trim_ascii_start();
        if text.0.is_empty() {
            break;
        }
        if !text.skip(b',') {
            return None;
        }
        text.0 = text.0.trim_ascii_start();
        if text.0.is_empty() {
            return None;
        }
    }
    Some(members)
}

struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn take(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !accepts(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Option<&'a str> {
        let first = *self.0.first()?;
        if !first.is_ascii_lowercase() && first != b'*' {
            return None;
        }
        let key =
            self.take(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte));
        std::str::from_utf8(key).ok()
    }

    fn parameters(&mut self) -> Option<()> {
        while self.skip(b';') {
            self.0 = self.0.trim_ascii_start();
            self.key()?;
            if self.skip(b'=') {
                self.bare()?;
            }
        }
        Some(())
    }

    fn item_or_list(&mut self) -> Option<Value<'a>> {
        if !self.skip(b'(') {
            return self.bare();
        }
        loop {
            self.take(|byte| byte == b' ');
            if self.skip(b')') {
                return Some(Value::Other);
            }
            self.bare()?;
            self.parameters()?;
            if !matches!(self.0.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn bare(&mut self) -> Option<Value<'a>> {
        match *self.0.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Value::Text),
            b':' => {
                self.skip(b':');
                self.take(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                self.skip(b':').then_some(Value::Other)
            }
            b'?' => {
                self.skip(b'?');
                let value = *self.0.first()?;
                self.0 = &self.0[1..];
                matches!(value, b'0' | b'1').then_some(Value::Boolean(value == b'1'))
            }
            b'@' => {
                self.skip(b'@');
                matches!(self.number()?, Value::Integer(_)).then_some(Value::Other)
            }
            b'%' => {
                self.skip(b'%');
                self.string().map(|_| Value::Other)
            }
            first if first.is_ascii_alphabetic() || first == b'*' => {
                self.take(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Some(Value::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value<'a>> {
        const DIGITS_MAX: usize = 15;
        let negative = self.skip(b'-');
        let digits = self.take(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > DIGITS_MAX {
            return None;
        }
        if self.skip(b'.') {
            let fraction = self.take(|byte| byte.is_ascii_digit());
            return (1..=3).contains(&fraction.len()).then_some(Value::Other);
        }
        let number: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Value::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        if !self.skip(b'"') {
            return None;
        }
        let whole = self.0;
        let mut length = 0;
        loop {
            let byte = *self.0.first()?;
            self.0 = &self.0[1..];
            match byte {
                b'"' => return Some(&whole[..length]),
                b'\\' => {
                    matches!(self.0.first()?, b'"' | b'\\').then_some(())?;
                    self.0 = &self.0[1..];
                    length += 1;
                }
                b' '..=b'~' => {}
                _ => return None,
            }
            length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dictionaries_are_read() {
        let found =
            dictionary(b"max-age=60, a, b=?0;x=1, c=\"d, e\", f=(1 2);q=0.5, g=:YQ==:, max-age=5").unwrap();
        assert_eq!(found.last(), Some(&("max-age", Value::Integer(5))));
        assert_eq!(found[0], ("a", Value::Boolean(true)));
        assert_eq!(found[2], ("c", Value::Text(b"d, e")));
        assert_eq!(found.len(), 6);
        for bad in [
            "a,",
            "A",
            "a=",
            "a b",
            "a=&",
            "a=\"b",
            "a=1.",
            "a=1234567890123456",
            "a=(1",
            ",",
            "a==1",
            "a=?2",
        ] {
            assert_eq!(dictionary(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(dictionary(b" "), Some(Vec::new()));
    }
}
