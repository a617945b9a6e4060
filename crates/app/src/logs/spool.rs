//! How a batch of log entries is written into one row of the spool: a list of `[created ms, level, message, data]`, with
//! the data as the JSON that it is. Escaping it into a text once more was a seventh of what a quick request costs.

use base::Timestamp;
use base::json::write_string;
use observe::LogEntry;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Of an entry, beside its texts.
const FRAME_BYTES: usize = 32;

pub fn write(entries: &[LogEntry]) -> String {
    let bytes: usize = entries.iter().map(|entry| entry.message.len() + entry.data.len() + FRAME_BYTES).sum();
    let mut text = String::with_capacity(bytes);
    text.push('[');
    for (at, entry) in entries.iter().enumerate() {
        text.push_str(if at == 0 { "[" } else { ",[" });
        for number in [entry.at.0, entry.level] {
            text.push_str(&number.to_string());
            text.push(',');
        }
        write_string(&mut text, &entry.message);
        text.push(',');
        text.push_str(&entry.data);
        text.push(']');
    }
    text.push(']');
    text
}

#[derive(Deserialize)]
struct Spooled<'a>(i64, i64, String, #[serde(borrow)] &'a RawValue);

/// What cannot be read is nobody's any more.
pub fn read(text: &str) -> Vec<LogEntry> {
    let entries: Vec<Spooled<'_>> = serde_json::from_str(text).unwrap_or_default();
    let entry = |Spooled(at, level, message, data)| {
        let data: &RawValue = data;
        // Earlier versions wrote the data as a text.
        let data = match data.get().starts_with('"') {
            true => serde_json::from_str(data.get()).unwrap_or_default(),
            false => data.get().to_owned(),
        };
        LogEntry { at: Timestamp(at), level, message, data }
    };
    entries.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let entry = |message: &str, data: &str| LogEntry {
            at: Timestamp(1_700_000_000_123),
            level: -4,
            message: message.into(),
            data: data.into(),
        };
        let entries = [entry("GET /a\"\n\u{2028}é", r#"{"b":1.50,"a":"x\\\"y","n":null}"#), entry("", "{}")];
        let told = |entries: &[LogEntry]| -> Vec<(i64, i64, String, String)> {
            entries.iter().map(|e| (e.at.0, e.level, e.message.clone(), e.data.clone())).collect()
        };
        assert_eq!(told(&read(&write(&entries))), told(&entries));
        assert_eq!(told(&read(&write(&[]))), told(&[]));
        let older = r#"[[5,0,"m","{\"a\":\"b\"}"]]"#;
        assert_eq!(told(&read(older)), [(5, 0, "m".into(), r#"{"a":"b"}"#.into())]);
    }
}
