//! The options of an auth collection, and their JSON.

use serde_json::{Map, Value as Json, json};

use super::mail;
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
pub struct OAuth2Options {
    pub enabled: bool,
    pub providers: Vec<OAuth2Provider>,
    pub mapped_id: String,
    pub mapped_name: String,
    pub mapped_username: String,
    pub mapped_avatar: String,
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

/// One OAuth2 provider. Empty addresses mean the provider's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAuth2Provider {
    /// Unset lets the provider decide.
    pub pkce: Option<bool>,
    pub name: String,
    pub client_id: String,
    /// Never part of an answer.
    pub client_secret: String,
    pub auth_url: String,
    pub token_url: String,
    pub user_info_url: String,
    pub display_name: String,
    pub extra: Option<Map<String, Json>>,
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
        reader.object("authAlert", |inner| {
            inner.bool("enabled", &mut self.auth_alert.enabled)?;
            self.auth_alert.email_template.patch(inner, "emailTemplate")
        })?;
        reader.object("oauth2", |inner| self.oauth2.patch(inner))?;
        reader.object("passwordAuth", |inner| {
            inner.bool("enabled", &mut self.password_auth.enabled)?;
            inner.texts("identityFields", &mut self.password_auth.identity_fields)
        })?;
        reader.object("mfa", |inner| {
            inner.bool("enabled", &mut self.mfa.enabled)?;
            inner.int("duration", &mut self.mfa.duration)?;
            inner.text("rule", &mut self.mfa.rule)
        })?;
        reader.object("otp", |inner| {
            inner.bool("enabled", &mut self.otp.enabled)?;
            inner.int("duration", &mut self.otp.duration)?;
            inner.int("length", &mut self.otp.length)?;
            self.otp.email_template.patch(inner, "emailTemplate")
        })?;
        self.auth_token.patch(reader, "authToken")?;
        self.password_reset_token.patch(reader, "passwordResetToken")?;
        self.email_change_token.patch(reader, "emailChangeToken")?;
        self.verification_token.patch(reader, "verificationToken")?;
        self.file_token.patch(reader, "fileToken")?;
        self.verification_template.patch(reader, "verificationTemplate")?;
        self.reset_password_template.patch(reader, "resetPasswordTemplate")?;
        self.confirm_email_change_template.patch(reader, "confirmEmailChangeTemplate")
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
        put("authToken", self.auth_token.to_json(secrets));
        put("passwordResetToken", self.password_reset_token.to_json(secrets));
        put("emailChangeToken", self.email_change_token.to_json(secrets));
        put("verificationToken", self.verification_token.to_json(secrets));
        put("fileToken", self.file_token.to_json(secrets));
        put("verificationTemplate", self.verification_template.to_json());
        put("resetPasswordTemplate", self.reset_password_template.to_json());
        put("confirmEmailChangeTemplate", self.confirm_email_change_template.to_json());
    }
}

impl TokenOptions {
    fn patch(&mut self, reader: Reader<'_>, key: &str) -> Outcome {
        reader.object(key, |inner| {
            inner.text("secret", &mut self.secret)?;
            inner.int("duration", &mut self.duration)
        })
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
    fn patch(&mut self, reader: Reader<'_>, key: &str) -> Outcome {
        reader.object(key, |inner| {
            inner.text("subject", &mut self.subject)?;
            inner.text("body", &mut self.body)
        })
    }

    fn to_json(&self) -> Json {
        json!({"subject": self.subject, "body": self.body})
    }
}

impl OAuth2Options {
    fn patch(&mut self, reader: Reader<'_>) -> Outcome {
        reader.bool("enabled", &mut self.enabled)?;
        reader.object("mappedFields", |inner| {
            inner.text("id", &mut self.mapped_id)?;
            inner.text("name", &mut self.mapped_name)?;
            inner.text("username", &mut self.mapped_username)?;
            inner.text("avatarURL", &mut self.mapped_avatar)
        })?;
        match reader.0.get("providers") {
            None => {}
            Some(Json::Null) => self.providers.clear(),
            Some(Json::Array(items)) => {
                let old = std::mem::take(&mut self.providers);
                for item in items {
                    let given = Reader::of(item)?;
                    let mut name = String::new();
                    given.text("name", &mut name)?;
                    // A secret that is left out stays what it was.
                    let secret = old.iter().find(|provider| provider.name == name);
                    let mut provider = OAuth2Provider {
                        client_secret: secret.map(|old| old.client_secret.clone()).unwrap_or_default(),
                        ..OAuth2Provider::default()
                    };
                    provider.patch(given)?;
                    self.providers.push(provider);
                }
            }
            Some(_) => return Err(Malformed),
        }
        Ok(())
    }

    fn to_json(&self, secrets: bool) -> Json {
        json!({
            "providers": self.providers.iter().map(|provider| provider.to_json(secrets)).collect::<Vec<_>>(),
            "mappedFields": {
                "id": self.mapped_id,
                "name": self.mapped_name,
                "username": self.mapped_username,
                "avatarURL": self.mapped_avatar,
            },
            "enabled": self.enabled,
        })
    }
}

impl OAuth2Provider {
    fn patch(&mut self, reader: Reader<'_>) -> Outcome {
        match reader.get("pkce") {
            None => {}
            Some(value) => self.pkce = Some(value.as_bool().ok_or(Malformed)?),
        }
        reader.text("name", &mut self.name)?;
        reader.text("clientId", &mut self.client_id)?;
        reader.text("clientSecret", &mut self.client_secret)?;
        reader.text("authURL", &mut self.auth_url)?;
        reader.text("tokenURL", &mut self.token_url)?;
        reader.text("userInfoURL", &mut self.user_info_url)?;
        reader.text("displayName", &mut self.display_name)?;
        reader.object("extra", |inner| {
            self.extra = Some(inner.0.clone());
            Ok(())
        })
    }

    fn to_json(&self, secrets: bool) -> Json {
        let mut out = Map::new();
        let mut put = |key: &str, value: Json| out.insert(key.into(), value);
        put("pkce", json!(self.pkce));
        put("name", json!(self.name));
        put("clientId", json!(self.client_id));
        if secrets {
            put("clientSecret", json!(self.client_secret));
        }
        put("authURL", json!(self.auth_url));
        put("tokenURL", json!(self.token_url));
        put("userInfoURL", json!(self.user_info_url));
        put("displayName", json!(self.display_name));
        put("extra", json!(self.extra));
        Json::Object(out)
    }
}
