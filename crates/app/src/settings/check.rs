//! Trying out the storage that is set: an object is stored and deleted again.

use base::Kind;
use model::violation::sentence;
use model::{Violation, Violations};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::files;
use crate::rules::Context;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StorageForm {
    pub filesystem: Option<String>,
}

/// Whether the storage that the settings name can be written to.
pub async fn storage(cx: &Context<'_>, form: &StorageForm) -> Result<()> {
    let refused = |violation| {
        let violations = Violations::one("filesystem", violation);
        Error::invalid("Failed to test the S3 filesystem.", violations)
    };
    let settings = cx.parts.settings.load();
    let s3 = match form.filesystem.as_deref().unwrap_or_default() {
        "" => return Err(refused(Violation::required())),
        "storage" => &settings.s3,
        "backups" => &settings.backups.s3,
        _ => return Err(refused(Violation::unknown_choice())),
    };
    if !s3.enabled {
        return Err(failed("S3 storage filesystem is not enabled"));
    }
    files::probe(s3).await.map_err(|error| match &error.details {
        Some(details) => failed(details),
        None => failed(&error.message),
    })
}

fn failed(why: &str) -> Error {
    Error::new(Kind::Invalid, format!("Failed to test the S3 filesystem. Raw error: \n{}", sentence(why)))
}
