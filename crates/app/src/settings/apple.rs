//! The client secret of "Sign in with Apple": a token that the developer's own key signs (ES256), good for at most
//! half a year.

use base::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::{Violation, Violations};
use serde::{Deserialize, Serialize};

use super::validate::exact_length;
use crate::error::{Error, Result};
use crate::parts::Parts;

const AUDIENCE: &str = "https://appleid.apple.com";
/// Of both ids.
const ID_CHARS: usize = 10;
/// Half a year, which is what Apple accepts.
const DURATION_SECONDS_MAX: i64 = 15_777_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppleForm {
    pub client_id: Option<String>,
    pub team_id: Option<String>,
    pub key_id: Option<String>,
    /// PKCS#8 in PEM, as Apple hands it out.
    pub private_key: Option<String>,
    /// Seconds.
    pub duration: Option<i64>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: [&'a str; 1],
    exp: i64,
    iat: i64,
}

pub fn client_secret(parts: &Parts, form: &AppleForm) -> Result<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (client, team, key_id) = (text(&form.client_id), text(&form.team_id), text(&form.key_id));
    let (private, duration) = (text(&form.private_key), form.duration.unwrap_or_default());

    let mut violations = Violations::default();
    for (key, text) in
        [("clientId", &client), ("teamId", &team), ("keyId", &key_id), ("privateKey", &private)]
    {
        if text.is_empty() {
            violations.add(key, Violation::required());
        }
    }
    for (key, text) in [("teamId", &team), ("keyId", &key_id)] {
        if text.len() != ID_CHARS {
            violations.add(key, exact_length(ID_CHARS));
        }
    }
    if !is_pem(&private) {
        violations.add("privateKey", Violation::format());
    }
    match duration {
        0 => violations.add("duration", Violation::required()),
        ..0 => violations.add("duration", Violation::at_least(1)),
        1..=DURATION_SECONDS_MAX => {}
        _ => violations.add("duration", Violation::at_most(DURATION_SECONDS_MAX)),
    }
    if !violations.is_empty() {
        return Err(Error::invalid("Invalid client secret data.", violations));
    }

    let refused = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Invalid, format!("Failed to generate client secret. Raw error: \n{error}."))
    };
    let der = der_of(&private).ok_or_else(|| refused(&"the key is no PEM"))?;
    let signer = EncodingKey::from_ec_der(&der);
    let now = parts.clock.now().seconds();
    let header = Header { kid: Some(key_id), ..Header::new(Algorithm::ES256) };
    let claims = Claims { iss: &team, sub: &client, aud: [AUDIENCE], exp: now + duration, iat: now };
    jsonwebtoken::encode(&header, &claims, &signer).map_err(|error| refused(&error))
}

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

fn is_pem(text: &str) -> bool {
    text.find(BEGIN).is_some_and(|from| text[from..].contains(END))
}

/// The key's bytes, whatever stands around the PEM.
fn der_of(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (lines, _) = rest.split_once(END)?;
    // The first line ends at the mark, as PEM asks for.
    let lines = lines.strip_prefix("\r\n").or_else(|| lines.strip_prefix('\n'))?;
    let digits: String = lines.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(digits).ok()
}
