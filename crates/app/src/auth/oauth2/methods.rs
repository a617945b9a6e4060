//! What a client needs to send somebody to a provider.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::OAuth2Options;
use sha2::{Digest, Sha256};
use url::form_urlencoded::byte_serialize;

use super::providers;

/// Characters of a state.
const STATE_LEN: usize = 30;
/// Characters of a code verifier; 43 is the least that PKCE allows.
const VERIFIER_LEN: usize = 43;
const CHALLENGE_METHOD: &str = "S256";

/// One provider that the collection has configured, with a state and a challenge made for this answer.
pub struct Offer {
    pub name: String,
    pub display_name: String,
    /// Ends with `redirect_uri=`: the client appends its own, percent-encoded.
    pub auth_url: String,
    pub state: String,
    /// Empty, as the two below, where the provider knows no PKCE.
    pub code_verifier: String,
    pub code_challenge: String,
    pub code_challenge_method: &'static str,
}

pub fn offers(options: &OAuth2Options) -> Vec<Offer> {
    if !options.enabled {
        return Vec::new();
    }
    options.providers.iter().filter_map(offer).collect()
}

fn offer(config: &model::OAuth2Provider) -> Option<Offer> {
    let provider = providers::find(&config.name)?;
    let state = base::id::random(STATE_LEN, base::id::ALPHANUMERIC);
    let (mut code_verifier, mut code_challenge, mut method) = (String::new(), String::new(), "");
    if config.pkce.unwrap_or(provider.pkce) {
        code_verifier = base::id::random(VERIFIER_LEN, base::id::ALPHANUMERIC);
        code_challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.as_bytes()));
        method = CHALLENGE_METHOD;
    }
    let scopes = provider.scopes.join(" ");
    let mut pairs = vec![
        ("client_id", config.client_id.as_str()),
        ("response_type", "code"),
        ("scope", &scopes),
        ("state", &state),
        ("code_challenge", &code_challenge),
        ("code_challenge_method", method),
    ];
    pairs.extend(provider.params);
    pairs.retain(|(_, value)| !value.is_empty());
    pairs.sort_by_key(|(name, _)| *name);

    let base = if config.auth_url.is_empty() { provider.auth_url } else { &config.auth_url };
    let mut auth_url = base.to_owned();
    auth_url.push(if base.contains('?') { '&' } else { '?' });
    for (name, value) in pairs {
        auth_url.push_str(&format!("{name}={}&", encode(value)));
    }
    auth_url.push_str("redirect_uri=");
    let display_name = match config.display_name.as_str() {
        "" => provider.display_name,
        own => own,
    };
    Some(Offer {
        name: config.name.clone(),
        display_name: display_name.to_owned(),
        auth_url,
        state,
        code_verifier,
        code_challenge,
        code_challenge_method: method,
    })
}

/// Form encoding as the reference spells it: of the marks only `-`, `_`, `.` and `~` stay.
fn encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('*', "%2A").replace("%7E", "~")
}
