//! What is wrong with the options of an auth collection.

use super::validate::{CheckRule, invalid_rule, system_rule_change};
use super::{AuthOptions, Collection, MailTemplate, OAuth2Options, OAuth2Provider, TokenOptions, index};
use crate::field::address::is_url;
use crate::field::check::put;
use crate::violation::{Violation, Violations};

/// Seconds of a code's or a half-finished sign-in's life.
const SHORT_SECONDS: (i64, i64) = (10, 86_400);
/// Seconds of a token's life; three years.
const TOKEN_SECONDS: (i64, i64) = (10, 94_670_856);
/// Characters of a token secret.
const SECRET_CHARS: (usize, usize) = (30, 255);
/// Characters of a one-time password.
const OTP_CHARS_MIN: i64 = 4;
/// Ways to sign in that asking for two of them takes.
const MFA_METHODS_MIN: usize = 2;

/// The providers that collections may name.
pub const OAUTH2_PROVIDERS: [&str; 32] = [
    "apple",
    "google",
    "microsoft",
    "yandex",
    "facebook",
    "instagram2",
    "github",
    "gitlab",
    "bitbucket",
    "gitee",
    "gitea",
    "discord",
    "twitter",
    "kakao",
    "vk",
    "linear",
    "notion",
    "monday",
    "lark",
    "box",
    "spotify",
    "trakt",
    "twitch",
    "patreon",
    "strava",
    "wakatime",
    "livechat",
    "mailcow",
    "planningcenter",
    "oidc",
    "oidc2",
    "oidc3",
];

pub(super) fn check(
    new: &Collection,
    options: &AuthOptions,
    old: Option<&Collection>,
    check_rule: CheckRule<'_>,
    found: &mut Violations,
) {
    let before = old.filter(|old| old.system).and_then(Collection::auth);
    if before.is_some_and(|before| before.auth_rule != options.auth_rule) {
        found.add("authRule", system_rule_change());
    } else {
        put(found, "authRule", invalid_rule(new, options.auth_rule.as_deref(), check_rule));
    }
    if before.is_some_and(|before| before.manage_rule != options.manage_rule) {
        found.add("manageRule", system_rule_change());
    } else if options.manage_rule.as_deref() == Some("") {
        found.add("manageRule", Violation::new("validation_nil_or_not_empty_required", "Cannot be blank."));
    } else {
        put(found, "manageRule", invalid_rule(new, options.manage_rule.as_deref(), check_rule));
    }

    let mut alert = Violations::default();
    alert.nest("emailTemplate", check_template(&options.auth_alert.email_template));
    found.nest("authAlert", alert);
    found.nest("passwordAuth", check_password(new, options));
    found.nest("oauth2", check_oauth2(&options.oauth2));
    found.nest("mfa", check_mfa(new, options, check_rule));
    found.nest("otp", check_otp(options));
    for (key, token) in options.tokens() {
        found.nest(key, check_token(token));
    }
    for (key, template) in options.templates() {
        found.nest(key, check_template(template));
    }
}

/// Zero counts as missing.
fn within(value: i64, (min, max): (i64, i64)) -> Option<Violation> {
    if value == 0 {
        Some(Violation::required())
    } else if value < min {
        Some(Violation::at_least(min))
    } else if value > max {
        Some(Violation::at_most(max))
    } else {
        None
    }
}

fn required(text: &str) -> Option<Violation> {
    text.is_empty().then(Violation::required)
}

fn check_template(template: &MailTemplate) -> Violations {
    let mut found = Violations::default();
    put(&mut found, "subject", required(&template.subject));
    put(&mut found, "body", required(&template.body));
    found
}

fn check_token(token: &TokenOptions) -> Violations {
    let mut found = Violations::default();
    let (min, max) = SECRET_CHARS;
    let chars = token.secret.chars().count();
    let length = (chars < min || chars > max).then(|| Violation::length(min, max));
    put(&mut found, "secret", required(&token.secret).or(length));
    put(&mut found, "duration", within(token.duration, TOKEN_SECONDS));
    found
}

fn check_password(new: &Collection, options: &AuthOptions) -> Violations {
    let password = &options.password_auth;
    let mut found = Violations::default();
    if !password.enabled {
        return found;
    }
    if password.identity_fields.is_empty() || password.identity_fields.iter().any(String::is_empty) {
        found.add("identityFields", Violation::required());
        return found;
    }
    let has_unique = |name: &str| {
        new.indexes
            .iter()
            .filter_map(|text| index::parse(text))
            .any(|found| found.unique_column() == Some(name))
    };
    for name in &password.identity_fields {
        if new.field(name).is_none() {
            let violation =
                Violation::new("validation_missing_field", format!("Invalid or missing field {name}."));
            found.add("identityFields", violation.with("fieldName", name.as_str()));
        } else if !has_unique(name) {
            let message = format!("The field {name} doesn't have a UNIQUE constraint.");
            let violation = Violation::new("validation_missing_unique_constraint", message);
            found.add("identityFields", violation.with("fieldName", name.as_str()));
        }
    }
    found
}

fn check_mfa(new: &Collection, options: &AuthOptions, check_rule: CheckRule<'_>) -> Violations {
    let mut found = Violations::default();
    if !options.mfa.enabled {
        return found;
    }
    put(&mut found, "duration", within(options.mfa.duration, SHORT_SECONDS));
    if !found.is_empty() {
        return found;
    }
    let methods = [options.password_auth.enabled, options.oauth2.enabled, options.otp.enabled];
    if methods.into_iter().filter(|enabled| *enabled).count() < MFA_METHODS_MIN {
        let message = "MFA requires at least 2 auth methods to be enabled.";
        found.add("enabled", Violation::new("validation_mfa_not_enough_auths", message));
        return found;
    }
    put(&mut found, "rule", invalid_rule(new, Some(&options.mfa.rule), check_rule));
    found
}

fn check_otp(options: &AuthOptions) -> Violations {
    let otp = &options.otp;
    let mut found = Violations::default();
    if otp.enabled {
        put(&mut found, "duration", within(otp.duration, SHORT_SECONDS));
        put(&mut found, "length", within(otp.length, (OTP_CHARS_MIN, i64::MAX)));
    }
    found.nest("emailTemplate", check_template(&otp.email_template));
    found
}

fn check_oauth2(options: &OAuth2Options) -> Violations {
    let mut found = Violations::default();
    if !options.enabled {
        return found;
    }
    let mut all = Violations::default();
    for (position, provider) in options.providers.iter().enumerate() {
        let repeated = options.providers[..position].iter().any(|other| other.name == provider.name);
        all.nest(position.to_string(), check_provider(provider, repeated));
    }
    found.nest("providers", all);
    found
}

fn check_provider(provider: &OAuth2Provider, repeated: bool) -> Violations {
    let mut found = Violations::default();
    put(&mut found, "name", required(&provider.name));
    put(&mut found, "clientId", required(&provider.client_id));
    put(&mut found, "clientSecret", required(&provider.client_secret));
    for (key, address) in [
        ("authURL", &provider.auth_url),
        ("tokenURL", &provider.token_url),
        ("userInfoURL", &provider.user_info_url),
    ] {
        if !address.is_empty() && !is_url(address) {
            found.add(key, Violation::new("validation_is_url", "Must be a valid URL."));
        }
    }
    if found.is_empty() && !OAUTH2_PROVIDERS.contains(&provider.name.as_str()) {
        let message = format!("Invalid or missing provider with name {}.", provider.name);
        let violation = Violation::new("validation_missing_provider", message);
        found.add("name", violation.with("name", provider.name.as_str()));
    } else if found.is_empty() && repeated {
        let message = format!("The provider {} is already registered.", provider.name);
        let violation = Violation::new("validation_duplicated_provider", message);
        found.add("name", violation.with("name", provider.name.as_str()));
    }
    found
}
