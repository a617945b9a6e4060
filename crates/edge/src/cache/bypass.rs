//! Requests that are for the origin alone: whose token claims what an operator has named.
//!
//! Nothing is verified here. A claim may only lead to the origin, never to what is kept.

use base::limits::EDGE_TOKEN_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{self, HeaderMap};

/// A claim of a token (RFC 7519), and the value that leads past the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub value: String,
}

/// Whether any credential of the request makes one of these claims.
pub fn is_asked(claims: &[Claim], request: &HeaderMap) -> bool {
    !claims.is_empty()
        && request.get_all(header::AUTHORIZATION).iter().any(|value| {
            let token = value.to_str().unwrap_or_default().trim();
            let token = token.rsplit(' ').next().unwrap_or_default();
            makes(claims, token)
        })
}

fn makes(claims: &[Claim], token: &str) -> bool {
    if token.len() > EDGE_TOKEN_BYTES_MAX {
        // Nobody looks into it, so it may claim anything.
        return true;
    }
    let Some(payload) = token.split('.').nth(1) else { return false };
    let Ok(payload) = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')) else { return false };
    let Ok(serde_json::Value::Object(said)) = serde_json::from_slice(&payload) else { return false };
    claims.iter().any(|claim| match said.get(&claim.name) {
        Some(serde_json::Value::String(value)) => *value == claim.value,
        Some(value) => {
            let text = value.to_string();
            text == claim.value
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_leads_past() {
        let claims = [Claim { name: "role".into(), value: "admin".into() }];
        let token = |json: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(json));
        let asked = |value: String| {
            is_asked(&claims, &HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]))
        };
        assert!(asked(token(r#"{"role":"admin"}"#)));
        assert!(asked(format!("Bearer {}", token(r#"{"role":"admin"}"#))));
        assert!(asked("x".repeat(EDGE_TOKEN_BYTES_MAX + 1)));
        for other in
            [token(r#"{"role":"user"}"#), token("[]"), token("{}"), "a.b".into(), "a".into(), "a.&.c".into()]
        {
            assert!(!asked(other.clone()), "{other}");
        }
        assert!(!is_asked(&[], &HeaderMap::new()));
    }
}
