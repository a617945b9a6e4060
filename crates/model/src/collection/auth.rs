//! The options of an auth collection, and their JSON.

use serde_json::{Map, Value as Json, json};

use super::mail;
use super::oauth2::OAuth2Options;
use crate::field::Malformed;
use crate::field::read::Reader;

/// The options of an auth collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthOptions {
    pub auth_rule: Option<String>,
    pub manage_rule: Option<String>,
    pub password_auth: PasswordAuth,
    pub auth_token: TokenOptions,
    pub password_reset_token: TokenOptions,
    pub email_change_token: TokenOptions,
    pub verification_token: TokenOptions,
    pub file_token: TokenOptions,
    pub mfa: MfaOptions,
    pub otp: OtpOptions,
    pub oauth2: OAuth2Options,
    pub auth_alert: AuthAlert,
    pub verification_template: MailTemplate,
    pub reset_password_template: MailTemplate,
    pub confirm_email_change_template: MailTemplate,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PasswordAuth {
    pub enabled: bool,
    pub identity_fields: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenOptions {
    /// Never part of an answer.
    pub secret: String,
    /// Seconds.
    pub duration: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct MfaOptions {
    pub enabled: bool,
    pub duration: i64,
    pub rule: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtpOptions {
    pub enabled: bool,
    pub duration: i64,
    pub length: i64,
    pub email_template: MailTemplate,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthAlert {
    pub enabled: bool,
    pub email_template: MailTemplate,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct MailTemplate {
    pub subject: String,
    pub body: String,
}

/// Characters of a generated token secret.
const SECRET_LEN: usize = 50;

/// A new token secret.
pub fn new_secret() -> String {
    base::id::random(SECRET_LEN, base::id::ALPHANUMERIC)
}

type Outcome = Result<(), Malformed>;

impl AuthOptions {
    /// What a new auth collection starts with.
    pub fn defaults() -> Self {
        let token = |duration| TokenOptions { secret: new_secret(), duration };
        AuthOptions {
            auth_rule: Some(String::new()),
            manage_rule: None,
            password_auth: PasswordAuth { enabled: true, identity_fields: vec!["email".into()] },
            auth_token: token(432_000),
            password_reset_token: token(1_800),
            email_change_token: token(1_800),
            verification_token: token(86_400),
            file_token: token(180),
            mfa: MfaOptions { enabled: false, duration: 600, rule: String::new() },
            otp: OtpOptions { enabled: false, duration: 180, length: 8, email_template: mail::otp() },
            oauth2: OAuth2Options::default(),
            auth_alert: AuthAlert { enabled: true, email_template: mail::auth_alert() },
            verification_template: mail::verification(),
            reset_password_template: mail::reset_password(),
            confirm_email_change_template: mail::confirm_email_change(),
        }
    }

    /// Takes what a body (or a stored row) says, and keeps the rest.
    pub(super) fn patch(&mut self, reader: Reader<'_>) -> Outcome {
        reader.optional_text("authRule", &mut self.auth_rule)?;
        reader.optional_text("manageRule", &mut self.manage_rule)?;
        reader.object("authAlert", &mut self.auth_alert, |inner, alert| {
            inner.bool("enabled", &mut alert.enabled)?;
            inner.object("emailTemplate", &mut alert.email_template, MailTemplate::patch)
        })?;
        reader.object("oauth2", &mut self.oauth2, OAuth2Options::patch)?;
        reader.object("passwordAuth", &mut self.password_auth, |inner, password| {
            inner.bool("enabled", &mut password.enabled)?;
            inner.texts("identityFields", &mut password.identity_fields)
        })?;
        reader.object("mfa", &mut self.mfa, |inner, mfa| {
            inner.bool("enabled", &mut mfa.enabled)?;
            inner.int("duration", &mut mfa.duration)?;
            inner.text("rule", &mut mfa.rule)
        })?;
        reader.object("otp", &mut self.otp, |inner, otp| {
            inner.bool("enabled", &mut otp.enabled)?;
            inner.int("duration", &mut otp.duration)?;
            inner.int("length", &mut otp.length)?;
            inner.object("emailTemplate", &mut otp.email_template, MailTemplate::patch)
        })?;
        for (key, token) in self.tokens_mut() {
            reader.object(key, token, TokenOptions::patch)?;
        }
        for (key, template) in self.templates_mut() {
            reader.object(key, template, MailTemplate::patch)?;
        }
        Ok(())
    }

    fn tokens_mut(&mut self) -> [(&'static str, &mut TokenOptions); 5] {
        [
            ("authToken", &mut self.auth_token),
            ("passwordResetToken", &mut self.password_reset_token),
            ("emailChangeToken", &mut self.email_change_token),
            ("verificationToken", &mut self.verification_token),
            ("fileToken", &mut self.file_token),
        ]
    }

    fn templates_mut(&mut self) -> [(&'static str, &mut MailTemplate); 3] {
        [
            ("verificationTemplate", &mut self.verification_template),
            ("resetPasswordTemplate", &mut self.reset_password_template),
            ("confirmEmailChangeTemplate", &mut self.confirm_email_change_template),
        ]
    }

    /// The token options by their keys, in the order of answers.
    pub fn tokens(&self) -> [(&'static str, &TokenOptions); 5] {
        [
            ("authToken", &self.auth_token),
            ("passwordResetToken", &self.password_reset_token),
            ("emailChangeToken", &self.email_change_token),
            ("verificationToken", &self.verification_token),
            ("fileToken", &self.file_token),
        ]
    }

    /// The mail templates that stand on their own, by their keys, in the order of answers.
    pub fn templates(&self) -> [(&'static str, &MailTemplate); 3] {
        [
            ("verificationTemplate", &self.verification_template),
            ("resetPasswordTemplate", &self.reset_password_template),
            ("confirmEmailChangeTemplate", &self.confirm_email_change_template),
        ]
    }

    /// Appends the options in the reference's order. `secrets` only for the stored form.
    pub(super) fn write(&self, secrets: bool, out: &mut Map<String, Json>) {
        let mut put = |key: &str, value: Json| out.insert(key.into(), value);
        put("authRule", json!(self.auth_rule));
        put("manageRule", json!(self.manage_rule));
        let alert = &self.auth_alert;
        put("authAlert", json!({"enabled": alert.enabled, "emailTemplate": alert.email_template.to_json()}));
        put("oauth2", self.oauth2.to_json(secrets));
        let password = &self.password_auth;
        put("passwordAuth", json!({"enabled": password.enabled, "identityFields": password.identity_fields}));
        let mfa = &self.mfa;
        put("mfa", json!({"enabled": mfa.enabled, "duration": mfa.duration, "rule": mfa.rule}));
        let otp = &self.otp;
        put(
            "otp",
            json!({
                "enabled": otp.enabled,
                "duration": otp.duration,
                "length": otp.length,
                "emailTemplate": otp.email_template.to_json(),
            }),
        );
        for (key, token) in self.tokens() {
            put(key, token.to_json(secrets));
        }
        for (key, template) in self.templates() {
            put(key, template.to_json());
        }
    }
}

impl TokenOptions {
    fn patch(reader: Reader<'_>, token: &mut TokenOptions) -> Outcome {
        reader.text("secret", &mut token.secret)?;
        reader.int("duration", &mut token.duration)
    }

    fn to_json(&self, secrets: bool) -> Json {
        if secrets {
            json!({"secret": self.secret, "duration": self.duration})
        } else {
            json!({"duration": self.duration})
        }
    }
}

impl MailTemplate {
    fn patch(reader: Reader<'_>, template: &mut MailTemplate) -> Outcome {
        reader.text("subject", &mut template.subject)?;
        reader.text("body", &mut template.body)
    }

    fn to_json(&self) -> Json {
        json!({"subject": self.subject, "body": self.body})
    }
}
