//! Passkeys: signing in with a key that never leaves the user's device (WebAuthn). An addition: the reference has
//! none. What is stored about them lies in tables of our own, which it ignores.

mod ceremony;
pub mod login;
pub mod manage;
mod party;
pub mod register;
mod stored;

use serde_json::Value as Json;

use crate::error::Error;

pub use stored::Passkey;

pub(crate) use stored::{forget, forget_collection};

/// For whom keys are made. Empty parts follow from the application's URL in the settings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The domain that keys are bound to. Keys of another one are lost, so it should never change.
    pub rp_id: String,
    /// The pages that may use them.
    pub origins: Vec<String>,
}

/// What the user's device is asked.
pub struct Challenge {
    /// Names this very challenge when its answer comes. It is good once, and not for long.
    pub id: String,
    /// `publicKey` of the browser's own interface, as the standard has it.
    pub public_key: Json,
}

fn failed(details: impl std::fmt::Display) -> Error {
    // One answer for everything, so that nobody learns which accounts have keys.
    Error::new(base::Kind::Invalid, "Failed to authenticate.").details(details)
}
