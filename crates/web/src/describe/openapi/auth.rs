//! Logging in to an auth collection, and what else its accounts can do: what its options allow.

use model::{AuthOptions, Collection};
use serde_json::{Map, Value as Json, json};

use super::fields::reference;
use super::{Subject, anyone, json_body, responses, with_token};

/// Whether the collection has addresses that need no rule. Superusers know where they log in; nobody else asks.
pub(super) fn is_open(collection: &Collection, superuser: bool) -> bool {
    collection.is_auth() && (superuser || !collection.is_superusers())
}

pub(super) fn add_paths(subject: &Subject<'_>, paths: &mut Map<String, Json>) {
    let Some(options) = subject.collection.auth() else { return };
    let mut put = |path: &str, method: &str, operation: Json| {
        paths.insert(subject.path(path), json!({method: operation}));
    };
    put("auth-methods", "get", methods(subject));
    if options.auth_rule.is_some() {
        logins(subject, options, &mut put);
    }
    if options.password_auth.enabled {
        let sent = "Send a link for a new password";
        put("request-password-reset", "post", email_form(subject, "requestPasswordReset", sent));
        let form = form(&[("token", TEXT), ("password", PASSWORD), ("passwordConfirm", PASSWORD)]);
        put(
            "confirm-password-reset",
            "post",
            done(subject, "confirmPasswordReset", "Set a new password", form),
        );
    }
    let sent = "Send a link that verifies the address";
    put("request-verification", "post", email_form(subject, "requestVerification", sent));
    let verify = form(&[("token", TEXT)]);
    put("confirm-verification", "post", done(subject, "confirmVerification", "Verify an address", verify));

    let mut request = subject.operation("requestEmailChange", "Send a link to a new address", with_token());
    request.insert("requestBody".into(), form(&[("newEmail", EMAIL)]));
    request.insert("responses".into(), responses(("204", sent_answer()), &["400", "401", "403"]));
    put("request-email-change", "post", Json::Object(request));
    let confirm = form(&[("token", TEXT), ("password", PASSWORD)]);
    put("confirm-email-change", "post", done(subject, "confirmEmailChange", "Change the address", confirm));

    if subject.reader.superuser {
        let mut operation = subject.operation("impersonate", "Get a token of another account", with_token());
        let seconds =
            json!({"type": "integer", "minimum": 0, "description": "Seconds; 0 for as long as a login."});
        operation.insert("parameters".into(), subject.one_parameters());
        operation.insert(
            "requestBody".into(),
            body(json!({"type": "object", "properties": {"duration": seconds}}), false),
        );
        operation.insert(
            "responses".into(),
            responses(("200", logged_in(subject, false)), &["400", "401", "403", "404"]),
        );
        let path = json!({"parameters": [super::parameter("id")], "post": operation});
        paths.insert(subject.path("impersonate/{id}"), path);
    }
}

const TEXT: &str = "string";
const EMAIL: &str = "email";
const PASSWORD: &str = "password";

fn logins(subject: &Subject<'_>, options: &AuthOptions, put: &mut impl FnMut(&str, &str, Json)) {
    if options.password_auth.enabled {
        let by = &options.password_auth.identity_fields;
        let identity = json!({
            "type": "string",
            "description": format!("The value of one of: {}.", by.join(", ")),
        });
        let schema = json!({
            "type": "object",
            "properties": {
                "identity": identity,
                "password": {"type": "string", "format": "password"},
                "identityField": {"type": "string", "enum": by, "description": "The only field to look in."},
            },
            "required": ["identity", "password"],
        });
        put(
            "auth-with-password",
            "post",
            login(subject, options, "authWithPassword", "Log in with a password", schema),
        );
    }
    if options.oauth2.enabled {
        let providers: Vec<&str> =
            options.oauth2.providers.iter().map(|provider| provider.name.as_str()).collect();
        // Fields that a new account is to have; none of them must be there.
        let create = match subject.open.update {
            true => reference(&format!("{}.update", subject.name())),
            false => json!({"type": "object"}),
        };
        let mut provider = json!({"type": "string"});
        if !providers.is_empty() {
            provider["enum"] = providers.into();
        }
        let schema = json!({
            "type": "object",
            "properties": {
                "provider": provider,
                "code": {"type": "string", "description": "What the provider came back with."},
                "codeVerifier": {"type": "string"},
                "redirectURL": {"type": "string", "format": "uri"},
                "createData": create,
            },
            "required": ["provider", "code", "redirectURL"],
        });
        put(
            "auth-with-oauth2",
            "post",
            login(subject, options, "authWithOAuth2", "Log in with an OAuth2 code", schema),
        );
    }
    if options.otp.enabled {
        let mut operation = subject.operation("requestOTP", "Send a one-time password", anyone());
        operation.insert("requestBody".into(), form(&[("email", EMAIL)]));
        let sent = json_body(
            json!({"type": "object", "properties": {"otpId": {"type": "string"}}, "required": ["otpId"]}),
            "Sent, if there is such an account.",
        );
        operation.insert("responses".into(), responses(("200", sent), &["400", "403", "429"]));
        put("request-otp", "post", Json::Object(operation));
        let schema = json!({
            "type": "object",
            "properties": {"otpId": {"type": "string"}, "password": {"type": "string"}},
            "required": ["otpId", "password"],
        });
        put(
            "auth-with-otp",
            "post",
            login(subject, options, "authWithOTP", "Log in with a one-time password", schema),
        );
    }
    let mut refresh = subject.operation("authRefresh", "Get a new token for a valid one", with_token());
    refresh.insert("parameters".into(), subject.one_parameters());
    refresh.insert("responses".into(), responses(("200", logged_in(subject, false)), &["401", "403", "404"]));
    put("auth-refresh", "post", Json::Object(refresh));
}

fn methods(subject: &Subject<'_>) -> Json {
    let mut operation = subject.operation("authMethods", "The ways to log in", anyone());
    operation.insert("parameters".into(), json!([super::parameter("fields")]));
    let methods = json_body(reference("pb.AuthMethods"), "What is enabled.");
    operation.insert("responses".into(), responses(("200", methods), &["404"]));
    Json::Object(operation)
}

fn login(subject: &Subject<'_>, options: &AuthOptions, name: &str, summary: &str, schema: Json) -> Json {
    let mut operation = subject.operation(name, summary, anyone());
    operation.insert("parameters".into(), subject.one_parameters());
    let schema = match options.mfa.enabled {
        false => schema,
        true => with_property(schema, "mfaId", "What the first of two logins answered."),
    };
    operation.insert("requestBody".into(), body(schema, true));
    let meta = name == "authWithOAuth2";
    let mut answers = responses(("200", logged_in(subject, meta)), &["400", "403", "429"]);
    if options.mfa.enabled {
        answers["401"] = json_body(
            json!({"type": "object", "properties": {"mfaId": {"type": "string"}}, "required": ["mfaId"]}),
            "A second login, by another method, is needed.",
        );
    }
    operation.insert("responses".into(), answers);
    Json::Object(operation)
}

fn with_property(mut schema: Json, name: &str, description: &str) -> Json {
    schema["properties"][name] = json!({"type": "string", "description": description});
    schema
}

fn logged_in(subject: &Subject<'_>, meta: bool) -> Json {
    let mut schema = json!({
        "type": "object",
        "properties": {"token": {"type": "string"}, "record": reference(subject.name())},
        "required": ["token", "record"],
    });
    if meta {
        schema["properties"]["meta"] = json!({
            "type": ["object", "null"],
            "description": "What the provider says of the account, and `isNew`.",
        });
    }
    json_body(schema, "Logged in.")
}

fn sent_answer() -> Json {
    json!({"description": "Sent. The answer is the same when there is no such account."})
}

fn email_form(subject: &Subject<'_>, name: &str, summary: &str) -> Json {
    let mut operation = subject.operation(name, summary, anyone());
    operation.insert("requestBody".into(), form(&[("email", EMAIL)]));
    operation.insert("responses".into(), responses(("204", sent_answer()), &["400", "429"]));
    Json::Object(operation)
}

fn done(subject: &Subject<'_>, name: &str, summary: &str, form: Json) -> Json {
    let mut operation = subject.operation(name, summary, anyone());
    operation.insert("requestBody".into(), form);
    operation.insert("responses".into(), responses(("204", json!({"description": "Done."})), &["400"]));
    Json::Object(operation)
}

fn form(fields: &[(&str, &str)]) -> Json {
    let properties = fields.iter().map(|(name, kind)| {
        let schema = match *kind {
            TEXT => json!({"type": "string"}),
            format => json!({"type": "string", "format": format}),
        };
        (name.to_string(), schema)
    });
    let properties: Map<String, Json> = properties.collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    body(json!({"type": "object", "properties": properties, "required": required}), true)
}

fn body(schema: Json, required: bool) -> Json {
    json!({"required": required, "content": {"application/json": {"schema": schema}}})
}
