//! What an OpenID provider says about a user in the token itself, and whether it may be believed.

use backing::fetch::{Call, Fetch, Reach};
use base::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use model::OAuth2Provider;
use serde_json::Value as Json;

use super::user::Unusable;

/// How far the provider's clock may be ahead of ours, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 10;
/// Signatures that a public key checks. A secret that both sides know proves nothing here.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

pub struct Checks {
    /// Empty for any.
    pub issuers: Vec<String>,
    pub audience: String,
    /// Where the provider's keys are. Without it the signature is not checked: the token then rests on the
    /// connection that it came over, which is the provider's own.
    pub jwks_url: String,
}

impl Checks {
    pub fn of(config: &OAuth2Provider) -> Self {
        let issuers = match config.extra.get("issuers") {
            Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            Some(Json::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        let jwks_url = config.extra.get("jwksURL").and_then(Json::as_str).unwrap_or_default();
        Checks { issuers, audience: config.client_id.clone(), jwks_url: jwks_url.to_owned() }
    }
}

/// The claims of the answer's `id_token`, if it is the provider's, for us and of now.
pub async fn verified(
    fetch: &Fetch,
    answer: &Json,
    checks: &Checks,
    now: Timestamp,
) -> Result<Json, Unusable> {
    let token = answer.get("id_token").and_then(Json::as_str).unwrap_or_default();
    if token.is_empty() {
        return Err(Unusable("no id_token".into()));
    }
    let wrong = |error: jsonwebtoken::errors::Error| Unusable(format!("id_token: {error}"));
    let claims: Json = jsonwebtoken::dangerous::insecure_decode::<Json>(token).map_err(wrong)?.claims;
    check_claims(&claims, checks, now.seconds())?;
    if checks.jwks_url.is_empty() {
        return Ok(claims);
    }
    let header = jsonwebtoken::decode_header(token).map_err(wrong)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Unusable(format!("id_token: {:?} is no signature by a public key", header.alg)));
    }
    let Some(kid) = header.kid else { return Err(Unusable("id_token: it names no key".into())) };
    let key = key(fetch, &checks.jwks_url, &kid).await?;
    if let Some(named) = key.common.key_algorithm
        && named.to_string() != format!("{:?}", header.alg)
    {
        return Err(Unusable("id_token: its key is meant for another kind of signature".into()));
    }
    let key = DecodingKey::from_jwk(&key).map_err(wrong)?;
    let mut validation = Validation::new(header.alg);
    // Judged above, by the clock that was handed in.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Json>(token, &key, &validation).map(|token| token.claims).map_err(wrong)
}

fn check_claims(claims: &Json, checks: &Checks, now: i64) -> Result<(), Unusable> {
    let time = |name: &str| claims.get(name).and_then(Json::as_f64).map(|seconds| seconds as i64);
    let audience = match claims.get("aud") {
        Some(Json::Array(all)) => all.iter().any(|one| *one == checks.audience),
        Some(one) => *one == checks.audience,
        None => false,
    };
    let issuer = claims.get("iss").and_then(Json::as_str).unwrap_or_default();
    let latest = now + CLOCK_SKEW_SECONDS;
    let problem = if !audience {
        "it is meant for somebody else"
    } else if !checks.issuers.is_empty() && !checks.issuers.iter().any(|known| known == issuer) {
        "its issuer is another one"
    } else if time("exp").is_none_or(|at| at <= now) {
        "it has expired, or never does"
    } else if time("nbf").is_some_and(|at| at > latest) || time("iat").is_some_and(|at| at > latest) {
        "it is of the future"
    } else {
        return Ok(());
    };
    Err(Unusable(format!("id_token: {problem}")))
}

async fn key(fetch: &Fetch, url: &str, kid: &str) -> Result<Jwk, Unusable> {
    let answer = fetch.send(Call::get(url, Reach::Configured)).await?;
    if !answer.is_success() {
        return Err(Unusable(format!("the provider's keys: {}", answer.status)));
    }
    let set: Json = serde_json::from_slice(&answer.body)
        .map_err(|error| Unusable(format!("the provider's keys: {error}")))?;
    // Only the key in question is read: others may be of kinds that nobody here knows.
    let keys = set.get("keys").and_then(Json::as_array);
    let found = keys.and_then(|keys| keys.iter().find(|key| key.get("kid").is_some_and(|id| id == kid)));
    match found {
        None => Err(Unusable("the provider's keys hold none of that id".into())),
        Some(key) => serde_json::from_value(key.clone())
            .map_err(|error| Unusable(format!("the provider's key: {error}"))),
    }
}
