//! The process's own messages, to standard error: as lines for people, or as one JSON object each for machines. Each
//! says when, how grave, from which part, and for which request, if it was for one.

use std::fmt;
use std::io::IsTerminal;

use base::json::write_string;
use base::{Clock, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::{RequestLog, request_id};

mod entries;

use entries::Entries;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Who speaks.
#[derive(Clone, Debug)]
pub struct Speaker {
    pub node: String,
    pub role: &'static str,
}

/// Installs the subscriber. `filter` is in the form of `RUST_LOG`, e.g. `info` or `store=debug`. What the log keeps of it is
/// the log's to say.
pub fn init(filter: &str, format: Format, speaker: Speaker, log: RequestLog) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = format == Format::Text && std::io::stderr().is_terminal();
    // A second call, as in tests, keeps the first subscriber.
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .event_format(Lines { format, speaker: speaker.clone() })
        .with_filter(filter);
    // Nothing below it is ever an entry, so that such messages cost what they cost without a log.
    let entries = Entries { log, speaker }.with_filter(LevelFilter::INFO);
    let _ = tracing_subscriber::registry().with(lines).with(entries).try_init();
}

struct Lines {
    format: Format,
    speaker: Speaker,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let request = request_id::current();
        let request = request.as_ref().map(request_id::RequestId::as_str);
        match self.format {
            Format::Json => writeln!(to, "{}", self.json(event, request)),
            Format::Text => {
                let level = event.metadata().level();
                let (colour, plain) = match to.has_ansi_escapes() {
                    true => (colour(level), "\x1b[0m"),
                    false => ("", ""),
                };
                let target = event.metadata().target();
                write!(to, "{} {colour}{level:>5}{plain} {target}: ", now())?;
                cx.format_fields(to.by_ref(), event)?;
                match request {
                    Some(request) => writeln!(to, " request={request}"),
                    None => writeln!(to),
                }
            }
        }
    }
}

/// As RFC 3339 has it.
fn now() -> String {
    SystemClock.now().to_string().replacen(' ', "T", 1)
}

fn colour(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}

impl Lines {
    fn json(&self, event: &Event<'_>, request: Option<&str>) -> String {
        let mut line = String::with_capacity(256);
        line.push('{');
        let meta = event.metadata();
        member(&mut line, "time", &now());
        member(&mut line, "level", meta.level().as_str());
        member(&mut line, "target", meta.target());
        member(&mut line, "node", &self.speaker.node);
        member(&mut line, "role", self.speaker.role);
        if let Some(request) = request {
            member(&mut line, "request", request);
        }
        event.record(&mut Members(&mut line));
        line.push('}');
        line
    }
}

/// Appends one to an object that is being written.
pub(crate) fn member(line: &mut String, name: &str, text: &str) {
    key(line, name);
    write_string(line, text);
}

pub(crate) fn key(line: &mut String, name: &str) {
    if line.len() > 1 {
        line.push(',');
    }
    write_string(line, name);
    line.push(':');
}

/// Names that every line has, and that no field may take.
const OWN: [&str; 8] = ["time", "level", "target", "node", "role", "request", "requestId", "type"];

/// Writes fields as members of an object.
struct Members<'a>(&'a mut String);

impl Members<'_> {
    fn key(&mut self, field: &Field) {
        match OWN.contains(&field.name()) {
            true => key(self.0, &format!("field.{}", field.name())),
            false => key(self.0, field.name()),
        }
    }

    fn literal(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        self.0.push_str(&value.to_string());
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        write_string(self.0, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.literal(field, value),
            false => self.record_str(field, &value.to_string()),
        }
    }
}
