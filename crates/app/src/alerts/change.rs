//! Making, changing and deleting rules.

use base::limits::{ALERT_FOR_MS_MAX, ALERT_RULES_MAX};
use base::{Kind, Value};
use model::{Violation, Violations};
use query::{Assign, Batch, Op};
use serde_json::{Map, Value as Json};

use super::rule::{Rule, RuleKind, Severity};
use super::{Progress, TABLE, all, insertion, text, view};
use crate::error::{Error, Result};
use crate::parts::Parts;

const NAME_CHARS_MAX: usize = 200;

pub async fn create(parts: &Parts, body: &Map<String, Json>) -> Result<(Rule, Progress)> {
    let mut rule = Rule { id: base::id::record(), ..Rule::default() };
    let mut violations = Violations::default();
    match body.get("kind").and_then(Json::as_str).and_then(RuleKind::read) {
        Some(kind) => rule.kind = kind,
        None => {
            violations.add("kind", Violation::new("validation_invalid_value", "Must be one of the kinds."))
        }
    }
    if body.get("threshold").is_none() {
        violations.add("threshold", Violation::required());
    }
    violations.merge(apply(&mut rule, body));
    if !violations.is_empty() {
        return Err(Error::form_with(violations));
    }
    if all(parts).await?.len() >= ALERT_RULES_MAX {
        return Err(Error::new(Kind::Invalid, format!("There may be at most {ALERT_RULES_MAX} rules.")));
    }
    let now = parts.clock.now().to_string();
    let op = insertion(&rule.id, &now, vec![("value".into(), Value::from(text(&rule)?))]);
    parts.store.commit(Batch::op(op)).await?;
    Ok((rule, Progress::default()))
}

/// A rule that is changed begins anew: what it fired for may be none any more.
pub async fn update(parts: &Parts, id: &str, body: &Map<String, Json>) -> Result<(Rule, Progress)> {
    let (mut rule, progress) = view(parts, id).await?;
    let violations = apply(&mut rule, body);
    if !violations.is_empty() {
        return Err(Error::form_with(violations));
    }
    let now = parts.clock.now().to_string();
    let value = Value::from(text(&rule)?);
    let op = match progress.has_row {
        true => Op::Update {
            table: TABLE.into(),
            id: id.into(),
            set: vec![
                ("value".into(), Assign::Set(value)),
                ("state".into(), Assign::Set(Value::from(""))),
                ("updated".into(), Assign::Set(Value::from(now))),
            ],
        },
        false => insertion(id, &now, vec![("value".into(), value)]),
    };
    parts.store.commit(Batch::op(op)).await?;
    Ok((rule, Progress::default()))
}

pub async fn delete(parts: &Parts, id: &str) -> Result<()> {
    view(parts, id).await?;
    parts.store.commit(Batch::op(Op::Delete { table: TABLE.into(), id: id.into(), row: None })).await?;
    Ok(())
}

fn apply(rule: &mut Rule, body: &Map<String, Json>) -> Violations {
    let mut violations = Violations::default();
    let invalid = |message: &str| Violation::new("validation_invalid_value", message);
    match body.get("name") {
        None => {}
        Some(Json::String(name)) if name.chars().count() <= NAME_CHARS_MAX => rule.name = name.trim().into(),
        Some(_) => violations.add("name", Violation::length(0, NAME_CHARS_MAX)),
    }
    match body.get("threshold").map(Json::as_f64) {
        None => {}
        Some(Some(threshold)) if threshold.is_finite() && threshold > 0.0 => rule.threshold = threshold,
        Some(_) => violations.add("threshold", invalid("Must be a number above 0.")),
    }
    match body.get("forSeconds").map(Json::as_u64) {
        None => {}
        Some(Some(seconds)) if seconds <= ALERT_FOR_MS_MAX / 1000 => rule.for_ms = seconds * 1000,
        Some(_) => violations.add("forSeconds", Violation::at_most((ALERT_FOR_MS_MAX / 1000) as i64)),
    }
    match body.get("severity").map(|severity| severity.as_str().and_then(Severity::read)) {
        None => {}
        Some(Some(severity)) => rule.severity = severity,
        Some(None) => violations.add("severity", invalid("Must be info, warning or critical.")),
    }
    match body.get("enabled") {
        None => {}
        Some(Json::Bool(enabled)) => rule.enabled = *enabled,
        Some(_) => violations.add("enabled", invalid("Must be true or false.")),
    }
    violations
}
