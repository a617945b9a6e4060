//! A device that holds passkeys, in software: it answers WebAuthn challenges as a browser hands them on, and as
//! badly as a test wants.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const KEY: &[u8] = include_bytes!("openid/ec.pem");
const PUBLIC: &str = include_str!("openid/jwks.json");

/// User present, user verified, and credential data attached.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTACHED: u8 = 0x40;

/// One passkey, and the browser in front of it.
#[derive(Clone, Debug)]
pub struct Authenticator {
    pub origin: String,
    pub rp_id: String,
    pub credential_id: Vec<u8>,
    /// What the registration called the user; sent along when it is not empty.
    pub user_handle: Vec<u8>,
    pub counter: u32,
    pub verifies_user: bool,
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap_or_default().trim_end_matches('=')).unwrap_or_default()
}

impl Authenticator {
    pub fn new(origin: &str, rp_id: &str, credential_id: &str) -> Authenticator {
        Authenticator {
            origin: origin.into(),
            rp_id: rp_id.into(),
            credential_id: credential_id.as_bytes().to_vec(),
            user_handle: Vec::new(),
            counter: 0,
            verifies_user: true,
        }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false})
            .to_string()
            .into_bytes()
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let verified = if self.verifies_user { VERIFIED } else { 0 };
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(PRESENT | verified | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The answer to creation options.
    pub fn register(&mut self, options: &Value) -> Value {
        self.user_handle = bytes(&options["user"]["id"]);
        let client = self.client_data("webauthn.create", &options["challenge"]);
        let mut data = self.data(ATTACHED);
        data.extend([0; 16]);
        data.extend((self.credential_id.len() as u16).to_be_bytes());
        data.extend(&self.credential_id);
        data.extend(public_key());
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut attestation = vec![0xa3, 0x63];
        attestation.extend(b"fmt\x64none\x67attStmt\xa0\x68authData");
        attestation.push(0x59);
        attestation.extend((data.len() as u16).to_be_bytes());
        attestation.extend(data);
        self.credential(json!({
            "attestationObject": text(&attestation),
            "clientDataJSON": text(&client),
            "transports": ["internal"],
        }))
    }

    /// The answer to request options. The counter goes up by one first.
    pub fn sign_in(&mut self, options: &Value) -> Value {
        self.counter += 1;
        let client = self.client_data("webauthn.get", &options["challenge"]);
        let data = self.data(0);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client));
        let key = EncodingKey::from_ec_pem(KEY).expect("a key");
        let signature = jsonwebtoken::crypto::sign(&signed, &key, Algorithm::ES256).expect("a signature");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let mut response = json!({
            "authenticatorData": text(&data),
            "clientDataJSON": text(&client),
            "signature": text(&der(&signature)),
        });
        if !self.user_handle.is_empty() {
            response["userHandle"] = text(&self.user_handle).into();
        }
        self.credential(response)
    }

    fn credential(&self, response: Value) -> Value {
        json!({
            "id": text(&self.credential_id),
            "rawId": text(&self.credential_id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        })
    }
}

/// COSE: an elliptic key for ES256.
fn public_key() -> Vec<u8> {
    let keys: Value = serde_json::from_str(PUBLIC).expect("the keys");
    let key = keys["keys"].as_array().and_then(|keys| keys.iter().find(|key| key["kid"] == "ec"));
    let key = key.expect("the elliptic key");
    // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
    let mut out = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
    out.extend(bytes(&key["x"]));
    out.extend([0x22, 0x58, 0x20]);
    out.extend(bytes(&key["y"]));
    out
}

/// Two numbers side by side as the sequence of two that WebAuthn wants.
fn der(signature: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let mut out = vec![0x02, bytes.len() as u8];
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            out[1] += 1;
            out.push(0);
        }
        out.extend(bytes);
        out
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let inner = [number(r), number(s)].concat();
    [vec![0x30, inner.len() as u8], inner].concat()
}
