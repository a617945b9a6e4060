//! What a filter's verdict depends on besides records.

use std::ops::BitOrAssign;

/// Read off the text: more than is so may be said, and never less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depends {
    /// Who asks.
    pub caller: bool,
    /// What else the request carries, or chance.
    pub request: bool,
    /// When it is asked.
    pub time: bool,
}

impl Depends {
    pub fn of(text: &str) -> Self {
        // Without a time of its own it takes the clock's.
        let mut found = Depends { time: text.contains("strftime"), ..Depends::default() };
        for (at, _) in text.match_indices('@') {
            let rest = &text[at + 1..];
            if rest.starts_with("request.auth") {
                found.caller = true;
            } else if rest.starts_with("request.") {
                found.request = true;
            } else if !rest.starts_with("collection.") {
                found.time = true;
            }
        }
        found
    }
}

impl BitOrAssign for Depends {
    fn bitor_assign(&mut self, other: Depends) {
        self.caller |= other.caller;
        self.request |= other.request;
        self.time |= other.time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_off() {
        let steady = Depends::default();
        for (text, expected) in [
            ("", steady),
            ("title = 'a' && @collection.tags.name ?= title", steady),
            ("@request.auth.id = owner", Depends { caller: true, ..steady }),
            ("@request.headers.x_a = 'b'", Depends { request: true, ..steady }),
            ("@request.method = 'GET'", Depends { request: true, ..steady }),
            ("created < @now", Depends { time: true, ..steady }),
            ("strftime('%Y') = '2024'", Depends { time: true, ..steady }),
            ("@request.auth.id != '' && end > @todayEnd", Depends { caller: true, time: true, ..steady }),
        ] {
            assert_eq!(Depends::of(text), expected, "{text}");
        }
    }
}
