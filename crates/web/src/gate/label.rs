//! What a request is called in rate limit rules: tags such as `users:create` for what is done to a collection, and
//! method and path for everything.

use std::sync::Arc;

use axum::http::Method;
use model::{Collection, Schema};

/// The tags of what is done to a collection, most telling first.
type Tags = &'static [&'static str];

/// What auth collections are asked by POST, by the last part of the path.
const AUTH: [(&str, Tags); 13] = [
    ("auth-refresh", &["authRefresh"]),
    ("auth-with-password", &["authWithPassword", "auth"]),
    ("auth-with-oauth2", &["authWithOAuth2", "auth"]),
    ("auth-with-otp", &["authWithOTP", "auth"]),
    ("auth-with-passkey", &["auth"]),
    ("auth-with-passkey-begin", &["auth"]),
    ("request-otp", &["requestOTP"]),
    ("request-password-reset", &["requestPasswordReset"]),
    ("confirm-password-reset", &["confirmPasswordReset"]),
    ("request-verification", &["requestVerification"]),
    ("confirm-verification", &["confirmVerification"]),
    ("request-email-change", &["requestEmailChange"]),
    ("confirm-email-change", &["confirmEmailChange"]),
];

/// What is asked.
pub struct Asked<'a> {
    pub method: &'a Method,
    /// Decoded.
    pub path: &'a str,
    pub in_batch: bool,
}

/// A request's names, and what it is counted under.
pub struct Names {
    /// Most telling first.
    pub labels: Vec<String>,
    /// The collection and what is done to it; without, requests are counted under the rule that they match.
    pub tagged: Option<(Arc<Collection>, &'static str)>,
}

/// `None` for a collection that there is not: the answer is known, and nothing is counted.
pub fn names(schema: &Schema, asked: &Asked<'_>) -> Option<Names> {
    let Asked { method, path, .. } = asked;
    let mut labels = Vec::new();
    let mut tagged = None;
    if let Some((name, tags)) = tags(method, path) {
        let collection = schema.find(name)?;
        for owner in [&*collection.name, "*"] {
            labels.extend(tags.iter().map(|tag| format!("{owner}:{tag}")));
        }
        tagged = tags.first().map(|tag| (collection.clone(), *tag));
    }
    labels.push(format!("{method} {path}"));
    labels.push(path.to_string());
    Some(Names { labels, tagged })
}

/// The collection that the path names, and the tags of what the method does to it.
fn tags<'a>(method: &Method, path: &'a str) -> Option<(&'a str, Tags)> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let parts: Vec<&str> = path.strip_prefix("/api/")?.split('/').collect();
    let tags: Tags = match parts[..] {
        ["files", _, _, _] if reads => &["file"],
        ["collections", _, "records"] if reads => &["list"],
        ["collections", _, "records"] if method == Method::POST => &["create"],
        ["collections", _, "records", _] if reads => &["view"],
        ["collections", _, "records", _] if method == Method::PATCH => &["update"],
        ["collections", _, "records", _] if method == Method::DELETE => &["delete"],
        ["collections", _, "auth-methods"] if reads => &["listAuthMethods"],
        ["collections", _, part] if method == Method::POST => {
            AUTH.iter().find(|(name, _)| *name == part).map(|(_, tags)| *tags)?
        }
        _ => return None,
    };
    parts.get(1).map(|name| (*name, tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_to_a_collection() {
        for (method, path, expected) in [
            (Method::GET, "/api/collections/a/records", Some(("a", "list"))),
            (Method::HEAD, "/api/collections/a/records/x", Some(("a", "view"))),
            (Method::DELETE, "/api/collections/a/records/x", Some(("a", "delete"))),
            (Method::POST, "/api/collections/a/auth-with-otp", Some(("a", "authWithOTP"))),
            (Method::GET, "/api/files/a/b/c.txt", Some(("a", "file"))),
            (Method::POST, "/api/files/token", None),
            (Method::PUT, "/api/collections/a/records", None),
            (Method::POST, "/api/collections/a/impersonate/x", None),
            (Method::GET, "/api/collections/a", None),
            (Method::GET, "/api/health", None),
        ] {
            let found = tags(&method, path).map(|(name, tags)| (name, tags[0]));
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
