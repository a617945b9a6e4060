//! Settings at rest: plain, or encrypted as the reference does when it is given a key. AES-256-GCM; stored are the
//! nonce, the ciphertext and its tag, in Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// What a key is long.
pub const KEY_BYTES: usize = 32;

/// Reads and writes stored settings.
#[derive(Default)]
pub struct Cipher(Option<LessSafeKey>);

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum CipherError {
    #[error("the encryption key for settings must have {KEY_BYTES} bytes, not {0}")]
    KeyLength(usize),
    #[error("the stored settings are encrypted, and no encryption key is given")]
    NoKey,
    #[error("the stored settings are encrypted with another key, or damaged")]
    Refused,
    #[error("encrypting the settings failed")]
    Failed,
}

impl Cipher {
    pub fn new(key: &[u8]) -> Result<Self, CipherError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| CipherError::KeyLength(key.len()))?;
        Ok(Cipher(Some(LessSafeKey::new(key))))
    }

    /// The settings' JSON text from what is stored. Plain text is read with a key too: it was stored before there
    /// was one.
    pub fn open(&self, stored: &str) -> Result<String, CipherError> {
        if stored.trim_start().starts_with('{') {
            return Ok(stored.to_string());
        }
        let Some(key) = &self.0 else { return Err(CipherError::NoKey) };
        // A JSON column may only hold it as a JSON text.
        let mut bytes = STANDARD.decode(stored.trim().trim_matches('"')).map_err(|_| CipherError::Refused)?;
        let Some((nonce, sealed)) = bytes.split_at_mut_checked(NONCE_LEN) else {
            return Err(CipherError::Refused);
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CipherError::Refused)?;
        let plain = key.open_in_place(nonce, Aad::empty(), sealed).map_err(|_| CipherError::Refused)?;
        String::from_utf8(plain.to_vec()).map_err(|_| CipherError::Refused)
    }

    /// What is stored for the settings' JSON text; `None` stands for the text itself.
    pub fn seal(&self, text: &str) -> Result<Option<String>, CipherError> {
        let Some(key) = &self.0 else { return Ok(None) };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| CipherError::Failed)?;
        let mut sealed = text.as_bytes().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| CipherError::Failed)?;
        Ok(Some(STANDARD.encode([&nonce[..], &sealed].concat())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let cipher = Cipher::new(&[7; KEY_BYTES]).unwrap();
        let text = r#"{"meta":{"appName":"x"}}"#;
        let sealed = cipher.seal(text).unwrap().unwrap();
        assert!(!sealed.contains("appName"));
        assert_eq!(cipher.open(&sealed).unwrap(), text);
        assert_eq!(cipher.open(&format!("{sealed:?}")).unwrap(), text);
        assert_eq!(cipher.open(text).unwrap(), text);
        assert_eq!(Cipher::default().open(&sealed), Err(CipherError::NoKey));
        assert_eq!(Cipher::default().seal(text), Ok(None));
        let other = Cipher::new(&[8; KEY_BYTES]).unwrap();
        assert_eq!(other.open(&sealed), Err(CipherError::Refused));
        assert_eq!(other.open("AAAA"), Err(CipherError::Refused));
        assert_eq!(Cipher::new(b"short").err(), Some(CipherError::KeyLength(5)));
    }
}
