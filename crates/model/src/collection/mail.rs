//! What mails say until the owner of a collection writes something better.

use super::MailTemplate;

/// A short mail: a subject, paragraphs, and the sender's name below.
fn template(subject: &str, paragraphs: &[&str]) -> MailTemplate {
    let mut body = String::new();
    for paragraph in paragraphs {
        body.push_str("<p>");
        body.push_str(paragraph);
        body.push_str("</p>\n");
    }
    body.push_str("<p>{APP_NAME}</p>");
    MailTemplate { subject: subject.into(), body }
}

pub fn verification() -> MailTemplate {
    template(
        "Confirm your email address for {APP_NAME}",
        &[
            "Please confirm that this email address is yours:",
            "<a href=\"{APP_URL}/_/#/auth/confirm-verification/{TOKEN}\" target=\"_blank\" rel=\"noopener\">\
             Confirm email address</a>",
            "If you did not sign up, nothing more needs to be done.",
        ],
    )
}

pub fn reset_password() -> MailTemplate {
    template(
        "Choose a new password for {APP_NAME}",
        &[
            "A new password was requested for your account. Choose one here:",
            "<a href=\"{APP_URL}/_/#/auth/confirm-password-reset/{TOKEN}\" target=\"_blank\" rel=\"noopener\">\
             Choose a new password</a>",
            "If it was not you, your password stays as it is.",
        ],
    )
}

pub fn confirm_email_change() -> MailTemplate {
    template(
        "Confirm your new email address for {APP_NAME}",
        &[
            "Please confirm that your account should use this email address from now on:",
            "<a href=\"{APP_URL}/_/#/auth/confirm-email-change/{TOKEN}\" target=\"_blank\" rel=\"noopener\">\
             Confirm new email address</a>",
            "If it was not you, your account stays as it is.",
        ],
    )
}

pub fn otp() -> MailTemplate {
    template(
        "Your sign-in code for {APP_NAME}",
        &["Your one-time code is <strong>{OTP}</strong>", "If you did not ask for it, do not pass it on."],
    )
}

pub fn auth_alert() -> MailTemplate {
    template(
        "New sign-in to your {APP_NAME} account",
        &[
            "Someone signed in to your account from a place that is new to us:",
            "<em>{ALERT_INFO}</em>",
            "If it was not you, change your password now: that ends all other sign-ins.",
        ],
    )
}
