//! What is known of a file besides its bytes. A bucket keeps it with the object; in a directory it stands in a file
//! beside it, in the reference's own format (`NAME.attrs`, JSON), so that both servers read each other's.

use object_store::path::Path;
use object_store::{Attribute, Attributes as Kept};
use serde::{Deserialize, Serialize};

use super::{Result, path};

const SUFFIX: &str = ".attrs";
/// The key under which the reference keeps a file's first name.
const ORIGINAL: &str = "original-filename";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Empty when unknown.
    pub content_type: String,
    /// The name that the file was uploaded under; empty for what was never uploaded.
    pub original: String,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Sidecar {
    #[serde(rename = "user.cache_control")]
    cache_control: String,
    #[serde(rename = "user.content_disposition")]
    content_disposition: String,
    #[serde(rename = "user.content_encoding")]
    content_encoding: String,
    #[serde(rename = "user.content_language")]
    content_language: String,
    #[serde(rename = "user.content_type")]
    content_type: String,
    #[serde(rename = "user.metadata")]
    metadata: std::collections::BTreeMap<String, String>,
    /// The reference reads files without it too.
    md5: Option<String>,
}

pub fn is_sidecar(key: &str) -> bool {
    key.ends_with(SUFFIX)
}

pub fn sidecar(key: &Path) -> Result<Path> {
    path(&format!("{key}{SUFFIX}"))
}

impl Attributes {
    pub(super) fn to_sidecar(&self) -> Vec<u8> {
        let mut sidecar = Sidecar { content_type: self.content_type.clone(), ..Sidecar::default() };
        if !self.original.is_empty() {
            sidecar.metadata.insert(ORIGINAL.into(), self.original.clone());
        }
        serde_json::to_vec(&sidecar).unwrap_or_default()
    }

    /// What cannot be read is unknown.
    pub(super) fn from_sidecar(bytes: &[u8]) -> Self {
        let mut sidecar: Sidecar = serde_json::from_slice(bytes).unwrap_or_default();
        Attributes {
            original: sidecar.metadata.remove(ORIGINAL).unwrap_or_default(),
            content_type: sidecar.content_type,
        }
    }

    pub(super) fn to_kept(&self) -> Kept {
        let mut kept = Kept::new();
        if !self.content_type.is_empty() {
            kept.insert(Attribute::ContentType, self.content_type.clone().into());
        }
        // Headers carry ASCII only.
        if !self.original.is_empty() && self.original.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            kept.insert(Attribute::Metadata(ORIGINAL.into()), self.original.clone().into());
        }
        kept
    }

    pub(super) fn from_kept(kept: &Kept) -> Self {
        let text = |attribute: &Attribute| {
            kept.get(attribute).map(|value| value.as_ref().to_string()).unwrap_or_default()
        };
        Attributes {
            content_type: text(&Attribute::ContentType),
            original: text(&Attribute::Metadata(ORIGINAL.into())),
        }
    }
}
