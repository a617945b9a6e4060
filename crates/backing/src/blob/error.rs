//! What can go wrong with files.

use base::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such file")]
    Missing,
    /// The store cannot be reached, or asks to come back later.
    #[error("the file store does not answer: {0}")]
    Unavailable(String),
    /// The store does not accept the request: credentials, bucket, or a key that cannot be.
    #[error("the file store refused: {0}")]
    Refused(String),
    #[error("no space left for the file: {0}")]
    Full(String),
    /// A fault of the disk: read-only, or no permission.
    #[error("the file store failed: {0}")]
    Internal(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Missing => Kind::NotFound,
            Error::Unavailable(_) | Error::Full(_) => Kind::Unavailable,
            Error::Refused(_) | Error::Internal(_) => Kind::Internal,
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Other;
        match error {
            Other::NotFound { .. } => Error::Missing,
            Other::InvalidPath { .. } | Other::NotSupported { .. } => Error::Refused(error.to_string()),
            Other::PermissionDenied { .. } | Other::Unauthenticated { .. } => {
                Error::Refused(error.to_string())
            }
            Other::Generic { store: "S3", .. } => Error::Unavailable(chain(&error)),
            other if is_full(&other) => Error::Full(chain(&other)),
            other => Error::Internal(chain(&other)),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing,
            _ if is_full(&error) => Error::Full(error.to_string()),
            _ => Error::Internal(error.to_string()),
        }
    }
}

/// Whether it, or what caused it, is that there is no room.
pub fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}

/// An error with what caused it: the outermost words alone rarely say what is wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
