//! A mail as a try, sent at once, so that whoever set up the mail server or a template sees what comes of it. Its
//! token and code open nothing.

use base::{Kind, Value};
use model::collection::SUPERUSERS;
use model::{Collection, FieldKind, Record, Violation, Violations};

use super::template::Values;
use super::{hand_over, template_of};
use crate::auth::account::check_email;
use crate::auth::token::{self, Purpose};
use crate::error::{Error, Result};
use crate::rules::Context;

const FAILED: &str = "Failed to send the test email.";
const TEMPLATES: [&str; 5] = ["verification", "password-reset", "email-change", "otp", "login-alert"];
/// Characters of the collection's name or id in the form.
const COLLECTION_CHARS: (usize, usize) = (1, 255);
const ID: &str = "__pando_test_id__";
const TEXT: &str = "__pando_test_name__";

pub struct SampleForm {
    pub email: String,
    /// One of [`TEMPLATES`].
    pub template: String,
    /// Name or id; empty for the superusers'.
    pub collection: String,
}

pub async fn send_sample(cx: &Context<'_>, form: &SampleForm) -> Result<()> {
    let violations = check(cx, form);
    if !violations.is_empty() {
        return Err(Error::invalid(FAILED, violations));
    }
    let name = if form.collection.is_empty() { SUPERUSERS } else { &form.collection };
    let collection = cx.collection(name).ok_or_else(Error::not_found)?;
    let options = collection.auth().ok_or_else(Error::not_found)?;
    let record = stranger(&collection, &form.email);
    let mailed = |purpose| token::issue_mailed(cx.parts, &record, purpose);
    let with_token = |token| Values { token: Some(token), ..Values::default() };
    let (template, values) = match form.template.as_str() {
        "verification" => {
            (template_of(&record, Purpose::Verification)?, with_token(mailed(Purpose::Verification)?))
        }
        "password-reset" => {
            (template_of(&record, Purpose::PasswordReset)?, with_token(mailed(Purpose::PasswordReset)?))
        }
        "email-change" => {
            let token = token::issue_email_change(cx.parts, &record, &form.email)?;
            (template_of(&record, Purpose::EmailChange)?, with_token(token))
        }
        "otp" => {
            let (otp, otp_id) = (Some("123456".to_string()), Some("__pando_test_otp_id__".to_string()));
            (&options.otp.email_template, Values { otp, otp_id, ..Values::default() })
        }
        _ => {
            let info = format!("{} - TEST_IP TEST_USER_AGENT", cx.parts.clock.now());
            (&options.auth_alert.email_template, Values { alert_info: Some(info), ..Values::default() })
        }
    };
    hand_over(cx.parts, &record, &form.email, template, &values)
        .await
        .map_err(|error| Error::new(Kind::Invalid, format!("{FAILED} Raw error: \n{error}.")))
}

fn check(cx: &Context<'_>, form: &SampleForm) -> Violations {
    let mut violations = Violations::default();
    if let Some(violation) = check_email(&form.email) {
        violations.add("email", violation);
    }
    if form.template.is_empty() {
        violations.add("template", Violation::required());
    } else if !TEMPLATES.contains(&form.template.as_str()) {
        violations.add("template", Violation::unknown_choice());
    }
    let (min, max) = COLLECTION_CHARS;
    if form.collection.chars().count() > max {
        violations.add("collection", Violation::length(min, max));
    } else if !form.collection.is_empty()
        && !cx.collection(&form.collection).is_some_and(|collection| collection.is_auth())
    {
        let message = "Must be a valid auth collection id or name.";
        violations.add("collection", Violation::new("validation_invalid_auth_collection", message));
    }
    violations
}

/// A record that nobody has, and whose tokens therefore nobody takes.
fn stranger(collection: &std::sync::Arc<Collection>, email: &str) -> Record {
    let mut record = Record::blank(collection.clone());
    for (position, field) in collection.fields.iter().enumerate() {
        if matches!(field.kind, FieldKind::Text(_)) {
            record.set_at(position, Value::from(TEXT));
        }
    }
    for (name, value) in [("id", ID), ("email", email), ("tokenKey", &base::id::record())] {
        record.set(name, Value::from(value));
    }
    record
}
