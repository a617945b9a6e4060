//! Templates of mails: texts with placeholders, filled in one go, so that what a record holds is never read as a
//! placeholder itself.

use base::Value;
use model::Record;
use model::collection::MailTemplate;

use crate::settings::Meta;

/// What one mail says beyond its record. A placeholder without a value stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub token: Option<String>,
    pub otp: Option<String>,
    pub otp_id: Option<String>,
    pub alert_info: Option<String>,
}

/// The subject, which is plain text, and the body, which is HTML.
pub(super) fn fill(
    template: &MailTemplate,
    meta: &Meta,
    record: &Record,
    values: &Values,
) -> (String, String) {
    let value = |name: &str, html: bool| -> Option<String> {
        let safe = |text: &str| if html { escape(text) } else { text.to_string() };
        match name {
            // The superuser's own, who may write HTML.
            "APP_NAME" => Some(meta.app_name.clone()),
            "APP_URL" => Some(meta.app_url.clone()),
            "TOKEN" => values.token.clone(),
            "OTP" => values.otp.clone(),
            "OTP_ID" => values.otp_id.clone(),
            "ALERT_INFO" => values.alert_info.as_deref().map(safe),
            _ => shown(record, name.strip_prefix("RECORD:")?).map(|text| safe(&text)),
        }
    };
    (replace(&template.subject, |name| value(name, false)), replace(&template.body, |name| value(name, true)))
}

/// A field's value as text; `None` for fields that are hidden or not there.
fn shown(record: &Record, name: &str) -> Option<String> {
    let field = record.collection.field(name).filter(|field| !field.hidden)?;
    Some(match record.get(name) {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => {
            let mut out = String::new();
            base::json::write_number(&mut out, *number);
            out
        }
        Value::Text(text) => text.to_string(),
        // The reference has no text for lists.
        Value::Json(_) if field.is_multiple() => String::new(),
        Value::Json(json) => json.to_string(),
    })
}

fn replace(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(['{', '}']).filter(|end| rest[*end..].starts_with('}'));
        match end.and_then(|end| Some((end, value(&rest[..end])?))) {
            Some((end, text)) => {
                out.push_str(&text);
                rest = &rest[end + 1..];
            }
            None => out.push('{'),
        }
    }
    out.push_str(rest);
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once() {
        let value = |name: &str| match name {
            "A" => Some("{B}".to_string()),
            "B" => Some("b".to_string()),
            _ => None,
        };
        for (template, expected) in [
            ("{A} {B}", "{B} b"),
            ("{{B}}", "{b}"),
            ("{C} {B", "{C} {B"),
            ("{}{ B}{{{", "{}{ B}{{{"),
            ("", ""),
        ] {
            assert_eq!(replace(template, value), expected, "{template}");
        }
    }

    #[test]
    fn records_are_text_in_html() {
        let users = model::collection::system::all("").into_iter().find(|all| &*all.name == "users").unwrap();
        let mut record = Record::blank(std::sync::Arc::new(users));
        record.set("name", "<b>O'Neil</b> {TOKEN}".into());
        record.set("tokenKey", "secret".into());
        let template = MailTemplate {
            subject: "{RECORD:name} at {APP_NAME}".into(),
            body: "{RECORD:name}|{RECORD:tokenKey}|{RECORD:verified}|{RECORD:x}|{TOKEN}|{OTP}".into(),
        };
        let values = Values { token: Some("t".into()), ..Values::default() };
        let meta = Meta { app_name: "A & B".into(), ..Meta::default() };
        let (subject, body) = fill(&template, &meta, &record, &values);
        assert_eq!(subject, "<b>O'Neil</b> {TOKEN} at A & B");
        assert_eq!(body, "&lt;b&gt;O&#39;Neil&lt;/b&gt; {TOKEN}|{RECORD:tokenKey}|false|{RECORD:x}|t|{OTP}");
    }
}
