//! Times as HTTP headers carry them, in whole seconds.

use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

use super::Timestamp;

impl Timestamp {
    /// `Sat, 21 Nov 2026 11:15:44 GMT`; `None` for times that HTTP cannot say.
    pub fn to_http(self) -> Option<String> {
        let time = jiff::Timestamp::from_second(self.seconds()).ok()?;
        DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
    }

    pub fn parse_http(text: &str) -> Option<Self> {
        let time = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
        text.trim().ends_with("GMT").then_some(Timestamp(time.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        let text = "Sat, 21 Nov 2026 11:15:44 GMT";
        let time = Timestamp::parse_http(text).unwrap();
        assert_eq!(time.to_http().unwrap(), text);
        assert_eq!(Timestamp(time.0 + 999).to_http().unwrap(), text);
        assert_eq!(Timestamp::parse_http("garbage"), None);
        assert_eq!(Timestamp::parse_http("Sat, 21 Nov 2026 11:15:44 +0100"), None);
    }
}
