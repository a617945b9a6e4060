//! Entries of the log as they wait, in memory and in the spool: a line each. A request is its fields one after the other, as
//! a quick one takes less time than making JSON of it; anything else is `[created ms, level, message, data]`, with the data
//! as the JSON that it is.

use base::Timestamp;
use base::json::write_string;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::LogEntry;
use super::answered::Answered;
use super::line::{self, Before, Reader};

#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    count: usize,
    before: Before,
}

#[derive(Deserialize)]
struct Written<'a>(i64, i64, String, #[serde(borrow)] &'a RawValue);

impl Written<'_> {
    fn entry(self) -> LogEntry {
        let Written(at, level, message, data) = self;
        // Earlier versions wrote the data as a text.
        let data = match data.get().starts_with('"') {
            true => serde_json::from_str(data.get()).unwrap_or_default(),
            false => data.get().to_owned(),
        };
        LogEntry { at: Timestamp(at), level, message, data }
    }
}

impl Lines {
    pub fn push(&mut self, entry: &LogEntry) {
        let (text, mut digits) = (&mut self.text, itoa::Buffer::new());
        text.push('[');
        for number in [entry.at.0, entry.level] {
            text.push_str(digits.format(number));
            text.push(',');
        }
        write_string(text, &entry.message);
        text.push(',');
        text.push_str(&entry.data);
        text.push_str("]\n");
        self.count += 1;
    }

    pub fn push_answered(&mut self, answered: &Answered<'_>) {
        if !line::write(answered, &mut self.before, &mut self.text) {
            return self.push(&answered.entry());
        }
        self.text.push('\n');
        self.count += 1;
    }

    /// Nothing yet, with room for as much as here.
    pub fn successor(&self) -> Lines {
        Lines { text: String::with_capacity(self.text.len()), ..Lines::default() }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What the spool keeps.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn into_text(self) -> String {
        self.text
    }

    pub fn entries(&self) -> Vec<LogEntry> {
        entries(&self.text)
    }
}

/// The entries of a text that was [`Lines`]. A line that cannot be read is nobody's any more.
pub fn entries(text: &str) -> Vec<LogEntry> {
    let (mut entries, mut reader) = (Vec::new(), Reader::default());
    for line in text.lines() {
        if line.starts_with("[[") {
            // Earlier versions wrote one list of all.
            let list: Vec<Written<'_>> = serde_json::from_str(line).unwrap_or_default();
            entries.extend(list.into_iter().map(Written::entry));
        } else if line.starts_with('[') {
            entries.extend(serde_json::from_str(line).ok().map(Written::entry));
        } else {
            entries.extend(reader.read(line).map(|answered| answered.entry()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_read_as_they_were_written() {
        let entry = |message: &str, data: &str| LogEntry {
            at: Timestamp(1_700_000_000_123),
            level: -4,
            message: message.into(),
            data: data.into(),
        };
        let told =
            [entry("GET /a\"\n\u{2028}\r\u{1f}é", r#"{"b":1.50,"a":"x\\\"y","n":null}"#), entry("", "{}")];
        let quick =
            Answered {
                at: Timestamp(-5), nanos: 7, url: "/é[\"", user_agent: "a\"b", ..Answered::default()
            };
        let broken = Answered { user_agent: "a\u{1f}b", referer: "\n", ..quick };
        let failed = Answered { failure: Some(("[]", "why\n")), ..quick };
        let far = Answered { remote: Some([10, 0, 0, 1].into()), user: Some([0; 16].into()), ..quick };
        let near = Answered { user: far.remote, referer: "r", node: "n", url: "", ..far };
        let marked = Answered { referer: "\u{1e}", ..near };
        let mut lines = Lines::default();
        told.iter().for_each(|entry| lines.push(entry));
        let answered = [quick, quick, broken, near, near, failed, far, near, marked, near, quick];
        answered.iter().for_each(|answered| lines.push_answered(answered));
        assert_eq!((lines.len(), lines.text().lines().count()), (13, 13));
        let all: Vec<LogEntry> = told.into_iter().chain(answered.map(|answered| answered.entry())).collect();
        assert_eq!(lines.entries(), all);
        assert_eq!(entries(&lines.into_text()), all);
    }

    #[test]
    fn older_texts_are_read_and_broken_ones_are_not() {
        let one = [LogEntry { at: Timestamp(5), level: 0, message: "m".into(), data: r#"{"a":"b"}"#.into() }];
        assert_eq!(entries(r#"[[5,0,"m",{"a":"b"}]]"#), one);
        assert_eq!(entries(r#"[[5,0,"m","{\"a\":\"b\"}"]]"#), one);
        let mut line = String::new();
        assert!(line::write(&Answered::default(), &mut Before::default(), &mut line));
        assert_eq!(entries(&line).len(), 1);
        for broken in
            ["", "[]", "[[", "[5,0", "x", &line[1..], &line[..line.len() - 1], &line.replace('\u{1f}', ",")]
        {
            assert_eq!(entries(broken), [], "{broken:?}");
        }
    }
}
