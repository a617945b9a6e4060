//! Secrets and signatures, in the form of the Standard Webhooks specification.

use base::limits::{WEBHOOK_SECRET_BYTES_MAX, WEBHOOK_SECRET_BYTES_MIN, WEBHOOK_SECRETS_MAX};
use base::{Kind, Timestamp};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const PREFIX: &str = "whsec_";
/// What a secret has that nobody chose.
const MADE_BYTES: usize = 32;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// With its prefix, as receivers configure it.
    pub key: String,
    /// When it stops signing (ms); 0 for never.
    #[serde(default)]
    pub until: i64,
}

impl Secret {
    pub fn make() -> Result<Secret> {
        let mut bytes = [0; MADE_BYTES];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| Error::new(Kind::Internal, "A secret cannot be made."))?;
        Ok(Secret { key: format!("{PREFIX}{}", STANDARD.encode(bytes)), until: 0 })
    }

    /// One that somebody chose; `None` when it is none.
    pub fn read(text: &str) -> Option<Secret> {
        let bytes = decode(text)?;
        let fits = (WEBHOOK_SECRET_BYTES_MIN..=WEBHOOK_SECRET_BYTES_MAX).contains(&bytes.len());
        fits.then(|| Secret { key: text.into(), until: 0 })
    }

    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.until == 0 || now.0 < self.until
    }

    fn sign(&self, signed: &str) -> Option<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &decode(&self.key)?);
        Some(format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes()))))
    }
}

/// Some services leave the padding out.
const READING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode(text: &str) -> Option<Vec<u8>> {
    READING.decode(text.strip_prefix(PREFIX)?).ok()
}

/// The value of the signature's header: one signature by each secret.
pub fn signatures<'a>(
    secrets: impl Iterator<Item = &'a Secret>,
    id: &str,
    at: Timestamp,
    body: &str,
) -> String {
    let signed = format!("{id}.{}.{body}", at.seconds());
    let all: Vec<String> = secrets.filter_map(|secret| secret.sign(&signed)).collect();
    all.join(" ")
}

/// Puts a new secret before the others, none of which goes on for longer than the overlap.
pub fn rotate(secrets: &mut Vec<Secret>, new: Secret, now: Timestamp, overlap_ms: i64) {
    let until = now.0 + overlap_ms;
    for old in secrets.iter_mut() {
        old.until = if old.until == 0 { until } else { old.until.min(until) };
    }
    secrets.retain(|old| old.is_valid(now) && old.key != new.key);
    secrets.insert(0, new);
    secrets.truncate(WEBHOOK_SECRETS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signs_as_specified() {
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = Timestamp(1_614_265_330_000);
        let signed =
            signatures([secret].iter(), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn replaced_secrets_sign_for_a_while() {
        let now = Timestamp(1_000);
        let mut secrets = vec![Secret::make().unwrap()];
        let first = secrets[0].key.clone();
        rotate(&mut secrets, Secret::make().unwrap(), now, 500);
        assert_eq!(signatures(secrets.iter(), "a", now, "b").split(' ').count(), 2);
        assert_eq!((&*secrets[1].key, secrets[1].until), (&*first, 1_500));
        assert!(!secrets[1].is_valid(Timestamp(1_500)));
        for _ in 0..9 {
            rotate(&mut secrets, Secret::make().unwrap(), now, 500);
        }
        assert_eq!(secrets.len(), WEBHOOK_SECRETS_MAX);
        rotate(&mut secrets, Secret::make().unwrap(), now, 0);
        assert_eq!(secrets.len(), 1, "without an overlap the new one is the only one");
    }

    #[test]
    fn secrets_have_a_form() {
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!!"] {
            assert_eq!(Secret::read(bad), None, "{bad}");
        }
    }
}
