//! Who is told of alerts. Stored as one row, sealed as the settings are, since webhooks have secrets.

use base::Value;
use base::limits::ALERT_RECIPIENTS_MAX;
use model::{Violation, Violations};
use query::{Assign, Batch, ColumnType, Guard, Op, Operand, Select};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{RECEIVERS, TABLE, insertion, read, row, text};
use crate::auth::account::check_email;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::webhooks::{Secret, url_problem};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receivers {
    /// All superusers, by mail.
    pub superusers: bool,
    pub emails: Vec<String>,
    pub webhooks: Vec<Hook>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    pub url: String,
    pub secret: String,
}

impl Receivers {
    pub fn is_empty(&self) -> bool {
        !self.superusers && self.emails.is_empty() && self.webhooks.is_empty()
    }
}

pub async fn load(parts: &Parts) -> Result<Receivers> {
    match parts.store.first(&row(RECEIVERS)).await? {
        Some(stored) => decode(parts, stored.get(0).text_or_empty()),
        None => Ok(Receivers::default()),
    }
}

fn decode(parts: &Parts, stored: &str) -> Result<Receivers> {
    let opened = parts.cipher.open(stored).map_err(|error| {
        Error::new(base::Kind::Unsupported, "The stored receivers of alerts cannot be read.").details(error)
    })?;
    read(&opened, "The stored receivers of alerts")
}

/// Lays the body over what is stored.
pub async fn change(parts: &Parts, body: &Map<String, Json>) -> Result<Receivers> {
    let stored = parts.store.first(&row(RECEIVERS)).await?;
    let mut receivers = match &stored {
        Some(stored) => decode(parts, stored.get(0).text_or_empty())?,
        None => Receivers::default(),
    };
    let violations = apply(parts, &mut receivers, body)?;
    if !violations.is_empty() {
        return Err(Error::form_with(violations));
    }
    let plain = text(&receivers)?;
    let value = Value::from(parts.cipher.seal(&plain).map_err(Error::internal)?.unwrap_or(plain));
    let now = parts.clock.now().to_string();
    let (guard, op) = match &stored {
        Some(stored) => {
            let seen = query::Expr::eq(Operand::base("value", ColumnType::Text), stored.get(0).clone());
            let set =
                vec![("value".into(), Assign::Set(value)), ("updated".into(), Assign::Set(Value::from(now)))];
            (
                Guard::Exists(row(RECEIVERS).filter(seen)),
                Op::Update { table: TABLE.into(), id: RECEIVERS.into(), set },
            )
        }
        None => {
            let absent = Select::by_ids(TABLE, Vec::new(), vec![RECEIVERS.into()]);
            (Guard::Absent(absent), insertion(RECEIVERS, &now, vec![("value".into(), value)]))
        }
    };
    let batch = Batch { guards: vec![guard], ops: vec![op], ..Batch::default() };
    parts.store.commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => Error::new(base::Kind::Conflict, "Somebody else changed this. Try again."),
        other => other.into(),
    })?;
    Ok(receivers)
}

fn apply(parts: &Parts, receivers: &mut Receivers, body: &Map<String, Json>) -> Result<Violations> {
    let mut violations = Violations::default();
    let invalid = |message: &str| Violation::new("validation_invalid_value", message);
    match body.get("superusers") {
        None => {}
        Some(Json::Bool(superusers)) => receivers.superusers = *superusers,
        Some(_) => violations.add("superusers", invalid("Must be true or false.")),
    }
    match body.get("emails") {
        None => {}
        Some(Json::Array(emails)) if emails.len() <= ALERT_RECIPIENTS_MAX => {
            receivers.emails =
                emails.iter().filter_map(Json::as_str).map(|email| email.trim().to_owned()).collect();
            let is_wrong = |email: &String| email.is_empty() || check_email(email).is_some();
            if receivers.emails.len() != emails.len() || receivers.emails.iter().any(is_wrong) {
                violations.add("emails", invalid("Must be addresses of mail."));
            }
        }
        Some(_) => violations.add("emails", Violation::length(0, ALERT_RECIPIENTS_MAX)),
    }
    match body.get("webhooks") {
        None => {}
        Some(Json::Array(hooks)) if hooks.len() <= ALERT_RECIPIENTS_MAX => {
            let before = std::mem::take(&mut receivers.webhooks);
            for given in hooks {
                let url = given.get("url").and_then(Json::as_str).unwrap_or_default().trim().to_owned();
                if let Some(why) = url_problem(&url, parts.fetch.allows_private()) {
                    violations.add("webhooks", Violation::new("validation_is_url", why));
                    continue;
                }
                let known = before.iter().find(|hook| hook.url == url).map(|hook| hook.secret.clone());
                let secret =
                    match given.get("secret").and_then(Json::as_str).filter(|secret| !secret.is_empty()) {
                        Some(given) => match Secret::read(given) {
                            Some(secret) => secret.key,
                            None => {
                                violations
                                    .add("webhooks", invalid("A secret is whsec_ and bytes in base64."));
                                continue;
                            }
                        },
                        None => known.map_or_else(|| Secret::make().map(|secret| secret.key), Ok)?,
                    };
                receivers.webhooks.push(Hook { url, secret });
            }
        }
        Some(_) => violations.add("webhooks", Violation::length(0, ALERT_RECIPIENTS_MAX)),
    }
    Ok(violations)
}
