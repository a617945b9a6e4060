//! Messages as entries of the log, beside the requests that they are about.

use std::fmt;

use base::limits::LOG_MESSAGE_BYTES_MAX;
use base::{Clock, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{Members, Speaker, member};
use crate::requests::LogEntry;
use crate::{RequestLog, request_id};

const MESSAGE: &str = "message";

pub struct Entries {
    pub log: RequestLog,
    pub speaker: Speaker,
}

impl<S: Subscriber> Layer<S> for Entries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = number(event.metadata().level());
        if !self.log.keeps_message(level) {
            return;
        }
        let mut data = String::from("{");
        member(&mut data, "node", &self.speaker.node);
        if let Some(request) = request_id::current() {
            member(&mut data, "requestId", request.as_str());
        }
        member(&mut data, "role", self.speaker.role);
        member(&mut data, "target", event.metadata().target());
        member(&mut data, "type", MESSAGE);
        let mut fields = Fields { message: String::new(), data };
        event.record(&mut fields);
        let Fields { mut message, mut data } = fields;
        data.push('}');
        shorten(&mut message);
        self.log.add(&LogEntry { at: SystemClock.now(), level, message, data });
    }
}

/// As the log has them.
fn number(level: &Level) -> i64 {
    match *level {
        Level::ERROR => 8,
        Level::WARN => 4,
        Level::INFO => 0,
        _ => -4,
    }
}

fn shorten(text: &mut String) {
    let mut end = text.len().min(LOG_MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

struct Fields {
    message: String,
    data: String,
}

impl Fields {
    fn has_room(&self) -> bool {
        self.data.len() < LOG_MESSAGE_BYTES_MAX
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.message.push_str(value);
        } else if self.has_room() {
            let mut value = value.to_owned();
            shorten(&mut value);
            Members(&mut self.data).record_str(field, &value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.has_room() {
            Members(&mut self.data).record_i64(field, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.has_room() {
            Members(&mut self.data).record_u64(field, value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.has_room() {
            Members(&mut self.data).record_bool(field, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.has_room() {
            Members(&mut self.data).record_f64(field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[tokio::test]
    async fn messages_become_entries_from_a_level_on() {
        let log = RequestLog::default();
        let speaker = Speaker { node: "n1".into(), role: "worker" };
        let subscriber = tracing_subscriber::registry().with(Entries { log: log.clone(), speaker });
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("before anybody asked");
            log.set_enabled(true);
            log.set_message_level(4);
            tracing::info!("too light");
            tracing::warn!(count = 3, node = "mine", error = "a\"b", "lost {}", 7);
        });
        let entries = log.take().entries();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!((entries[0].level, entries[0].message.as_str()), (4, "lost 7"));
        assert!(
            entries[0].data.starts_with(r#"{"node":"n1","role":"worker","target":""#),
            "{}",
            entries[0].data
        );
        let fields = r#""type":"message","count":3,"field.node":"mine","error":"a\"b"}"#;
        assert!(entries[0].data.ends_with(fields), "{}", entries[0].data);
    }
}
