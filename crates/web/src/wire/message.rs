//! Messages of the application's own queues, as clients read and write them.

use app::Error;
use app::queues::publish::Outgoing;
use app::queues::pull::{Delivered, Message};
use base::Timestamp;
use base::json::write_string;
use model::Violation;
use serde_json::{Map, Value as Json};

/// What messages may be, the most urgent first.
const PRIORITIES: [&str; 3] = ["high", "normal", "low"];
const NORMAL: u8 = 1;

/// A message in a body.
pub fn outgoing(form: &Map<String, Json>, now: Timestamp) -> app::Result<Outgoing> {
    let text = |name: &str| match form.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::form(name, Violation::new("validation_invalid_type", "Must be a text."))),
    };
    let headers = match form.get("headers") {
        None | Some(Json::Null) => String::new(),
        Some(Json::Object(headers)) if headers.values().all(Json::is_string) => {
            if headers.is_empty() {
                String::new()
            } else {
                Json::Object(headers.clone()).to_string()
            }
        }
        Some(_) => {
            return Err(Error::form(
                "headers",
                Violation::new("validation_invalid_type", "Must be texts by name."),
            ));
        }
    };
    let rank = match text("priority")? {
        None => NORMAL,
        Some(name) => {
            let known = PRIORITIES.iter().position(|known| *known == name);
            let known = known.and_then(|rank| u8::try_from(rank).ok());
            known.ok_or_else(|| Error::form("priority", Violation::unknown_choice()))?
        }
    };
    let delay =
        number(form, "delayMs")?.map(|delay| now.0.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX)));
    let due = match form.get("at") {
        None | Some(Json::Null) => delay,
        Some(at) => Some(moment(at).ok_or_else(|| {
            Error::form("at", Violation::new("validation_invalid_date", "Must be a date or milliseconds."))
        })?),
    };
    Ok(Outgoing {
        subject: text("subject")?.unwrap_or_default(),
        data: form.get("data").unwrap_or(&Json::Null).to_string(),
        headers,
        id: text("id")?,
        due,
        rank,
    })
}

/// A date, or milliseconds since the epoch.
pub fn moment(at: &Json) -> Option<i64> {
    match at {
        Json::String(text) => Timestamp::parse(text).map(|at| at.0),
        Json::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// A whole number that is not negative.
pub fn number(form: &Map<String, Json>, name: &str) -> app::Result<Option<u64>> {
    let wrong =
        || Error::form(name, Violation::new("validation_not_a_number", "Must be a whole number, 0 or more."));
    match form.get(name) {
        None | Some(Json::Null) => Ok(None),
        // As texts numbers come from an address.
        Some(Json::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(value) => value.as_u64().map(Some).ok_or_else(wrong),
    }
}

pub fn message(out: &mut String, message: &Message) {
    out.push_str("{\"id\":");
    write_string(out, &message.id);
    fields(out, message);
    out.push('}');
}

pub fn delivered(out: &mut String, delivered: &Delivered) {
    out.push_str("{\"id\":");
    write_string(out, &delivered.message.id);
    out.push_str(",\"receipt\":");
    write_string(out, &delivered.receipt);
    out.push_str(&format!(",\"deliveries\":{}", delivered.deliveries));
    fields(out, &delivered.message);
    out.push('}');
}

/// What all have after the id. The number is left out while there is none.
pub fn fields(out: &mut String, message: &Message) {
    out.push_str(",\"subject\":");
    write_string(out, &message.subject);
    out.push_str(",\"data\":");
    out.push_str(if message.data.is_empty() { "null" } else { &message.data });
    out.push_str(",\"headers\":");
    out.push_str(if message.headers.is_empty() { "{}" } else { &message.headers });
    out.push_str(",\"time\":");
    write_string(out, &Timestamp(message.time).to_string());
    if message.seq > 0 {
        out.push_str(&format!(",\"seq\":{}", message.seq));
    }
}

pub fn list<T>(items: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut out = String::from("[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(&mut out, item);
    }
    out.push(']');
    out
}
