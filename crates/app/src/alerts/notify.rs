//! Telling the receivers: a job for each, made by the commit that notes what is told, and tried again until it is heard.

use std::fmt::Write;

use backing::fetch::{Body, Call, Reach};
use base::limits::{ALERT_RECIPIENTS_MAX, WEBHOOK_RESPONSE_BYTES_MAX};
use base::{Kind, Timestamp};
use model::collection::SUPERUSERS;
use query::{Batch, Column, ColumnType, Job, Select};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::progress::{Progress, Turn};
use super::receivers::{self, Receivers};
use super::rule::{Rule, RuleKind};
use crate::error::{Error, Result};
use crate::jobs::Work;
use crate::mail;
use crate::parts::Parts;
use crate::webhooks::{self, Secret};

/// What is told. The names are what jobs store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// The same at every attempt.
    pub id: String,
    /// `fired`, `reminder`, `resolved` or `test`.
    pub turn: String,
    pub rule: String,
    pub name: String,
    pub kind: String,
    pub severity: String,
    pub threshold: f64,
    pub value: Option<f64>,
    pub elements: Vec<String>,
    /// Since when it holds (ms); 0 when it is over.
    pub since: i64,
    /// When this was noted (ms).
    pub at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Mail(String),
    /// Its secret is looked up when it is called.
    Hook(String),
}

impl Notice {
    pub(super) fn of(rule: &Rule, progress: &Progress, turn: Turn, now: Timestamp) -> Notice {
        let turn = match turn {
            Turn::Fired => "fired",
            Turn::Reminder => "reminder",
            Turn::Resolved => "resolved",
        };
        Notice {
            id: format!("alert_{}", base::id::record()),
            turn: turn.into(),
            rule: rule.id.clone(),
            name: rule.name.clone(),
            kind: rule.kind.name().into(),
            severity: rule.severity.name().into(),
            threshold: rule.threshold,
            value: progress.value,
            elements: progress.elements.clone(),
            since: progress.since,
            at: now.0,
        }
    }
}

pub(super) async fn jobs(parts: &Parts, notice: &Notice, receivers: &Receivers) -> Result<Vec<Job>> {
    let mut targets: Vec<Target> = receivers.emails.iter().cloned().map(Target::Mail).collect();
    if receivers.superusers {
        let select = Select::table(SUPERUSERS, vec![Column::new("email", ColumnType::Text)])
            .limit(ALERT_RECIPIENTS_MAX as u64);
        for row in parts.store.select(&select).await? {
            let email = row.get(0).text_or_empty().to_owned();
            if !receivers.emails.contains(&email) {
                targets.push(Target::Mail(email));
            }
        }
    }
    targets.extend(receivers.webhooks.iter().map(|hook| Target::Hook(hook.url.clone())));
    Ok(targets.into_iter().map(|to| Work::Alert { notice: notice.clone(), to }.job()).collect())
}

/// Tells every receiver that this is a test. Returns how many there are.
pub async fn test(parts: &Parts) -> Result<usize> {
    let receivers = receivers::load(parts).await?;
    let rule = Rule { id: "test".into(), name: "Test".into(), ..Rule::default() };
    let now = parts.clock.now();
    let notice = Notice { turn: "test".into(), ..Notice::of(&rule, &Progress::default(), Turn::Fired, now) };
    let jobs = jobs(parts, &notice, &receivers).await?;
    let count = jobs.len();
    if count == 0 {
        return Err(Error::new(Kind::Invalid, "There is nobody who could be told."));
    }
    parts.store.commit(Batch { jobs, ..Batch::default() }).await?;
    Ok(count)
}

/// Does such a job. Fails if trying again later may help.
pub(crate) async fn deliver(parts: &Parts, notice: &Notice, to: &Target) -> Result<()> {
    match to {
        Target::Mail(address) => {
            let app = parts.settings.load().meta.app_name.clone();
            mail::tell(parts, address, &subject(&app, notice), &html(notice)).await
        }
        Target::Hook(url) => call(parts, notice, url).await,
    }
}

async fn call(parts: &Parts, notice: &Notice, url: &str) -> Result<()> {
    let receivers = receivers::load(parts).await?;
    // Who is no receiver any more is not told.
    let Some(hook) = receivers.webhooks.iter().find(|hook| hook.url == url) else { return Ok(()) };
    let secret = Secret { key: hook.secret.clone(), until: 0 };
    let (now, body) = (parts.clock.now(), body(notice));
    let mut call = Call::get(url, Reach::Public)
        .header("webhook-id", &*notice.id)
        .header("webhook-timestamp", now.seconds().to_string())
        .header("webhook-signature", webhooks::signatures([&secret].into_iter(), &notice.id, now, &body))
        .body(Body::Json(body));
    (call.bytes_max, call.is_cut) = (WEBHOOK_RESPONSE_BYTES_MAX, true);
    let failed =
        |why: String| Error::new(Kind::Unavailable, "A receiver of alerts was not told.").details(why);
    let answer = parts.fetch.send(call).await.map_err(|error| failed(error.to_string()))?;
    match answer.is_success() {
        true => Ok(()),
        false => Err(failed(format!("it answered {}", answer.status))),
    }
}

/// As webhooks write times.
fn time(ms: i64) -> String {
    if ms > 0 { Timestamp(ms).to_string().replacen(' ', "T", 1) } else { String::new() }
}

fn body(notice: &Notice) -> String {
    let data = json!({
        "rule": notice.rule, "name": notice.name, "kind": notice.kind, "severity": notice.severity,
        "threshold": notice.threshold, "value": notice.value, "elements": notice.elements,
        "since": time(notice.since),
    });
    json!({"type": format!("alert.{}", notice.turn), "timestamp": time(notice.at), "data": data}).to_string()
}

fn subject(app: &str, notice: &Notice) -> String {
    let what = if notice.name.is_empty() { &notice.rule } else { &notice.name };
    let plain = |text: &str| text.chars().filter(|letter| !letter.is_control()).collect::<String>();
    format!("[{}] {} alert {}: {}", plain(app), notice.severity, notice.turn, plain(what))
}

fn html(notice: &Notice) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if notice.turn == "test" {
        return "<p>This is a test. Alerts of this system reach you.</p>".into();
    }
    let what = RuleKind::read(&notice.kind).map_or("", RuleKind::words);
    let name = if notice.name.is_empty() { &notice.rule } else { &notice.name };
    let mut html = format!("<p><strong>{}</strong>: {what}</p>", escaped(name));
    let _ = match notice.value {
        Some(value) => write!(html, "<p>It is {value:.4}; the threshold is {}.</p>", notice.threshold),
        None => write!(html, "<p>It is better than its threshold of {} again.</p>", notice.threshold),
    };
    for element in &notice.elements {
        let _ = write!(html, "<p>{}</p>", escaped(element));
    }
    let since = if notice.since > 0 { notice.since } else { notice.at };
    let _ = write!(html, "<p>Since {}</p>", Timestamp(since));
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_cannot_be_misread() {
        let rule = Rule { name: "<b>&\r\nBcc: x".into(), ..Rule::shipped().remove(0) };
        let mut progress = Progress::default();
        (progress.value, progress.elements, progress.since) = (Some(0.5), vec!["web:<a>".into()], 5);
        let notice = Notice::of(&rule, &progress, Turn::Fired, Timestamp(7));
        assert!(!subject("App\n", &notice).contains(['\r', '\n']));
        let html = html(&notice);
        assert!(html.contains("&lt;b&gt;&amp;") && html.contains("web:&lt;a&gt;"), "{html}");
        let told: serde_json::Value = serde_json::from_str(&body(&notice)).unwrap();
        assert_eq!(told["type"], "alert.fired");
        assert_eq!(told["data"]["elements"], json!(["web:<a>"]));
        assert_eq!(told["timestamp"], "1970-01-01T00:00:00.007Z");
    }
}
