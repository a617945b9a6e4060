//! What a use case answers when it does not do what it was asked.

use base::Kind;
use model::{Violation, Violations};

pub type Result<T> = std::result::Result<T, Error>;

/// `message` is for the client, `details` for the log only.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    pub violations: Violations,
    pub details: Option<String>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), violations: Violations::default(), details: None }
    }

    pub fn details(mut self, details: impl std::fmt::Display) -> Self {
        self.details = Some(details.to_string());
        self
    }

    /// Input at fault, without saying which part: what the reference says of unreadable bodies and filters.
    pub fn bad_request() -> Self {
        Error::new(Kind::Invalid, "Something went wrong while processing your request.")
    }

    /// Nobody's fault who asked; what it was is for the log only.
    pub fn internal(details: impl std::fmt::Display) -> Self {
        Error::new(Kind::Internal, "Something went wrong while processing your request.").details(details)
    }

    pub fn no_space(details: impl std::fmt::Display) -> Self {
        Error::new(Kind::Unavailable, "There is no space left on the disk.").details(details)
    }

    pub fn not_found() -> Self {
        Error::new(Kind::NotFound, "The requested resource wasn't found.")
    }

    pub fn superusers_only() -> Self {
        Error::new(Kind::Forbidden, "Only superusers can perform this action.")
    }

    pub fn unauthenticated() -> Self {
        Error::new(Kind::Unauthenticated, "The request requires valid record authorization token.")
    }

    pub fn forbidden() -> Self {
        Error::new(Kind::Forbidden, "The authorized record is not allowed to perform this action.")
    }

    pub fn invalid(message: impl Into<String>, violations: Violations) -> Self {
        Error { kind: Kind::Invalid, message: message.into(), violations, details: None }
    }

    /// One wrong field of a small form.
    pub fn form(field: &str, violation: Violation) -> Self {
        Self::form_with(Violations::one(field, violation))
    }

    pub fn form_with(violations: Violations) -> Self {
        Error::invalid("An error occurred while validating the submitted data.", violations)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let message = match error.kind() {
            _ if matches!(error, store::Error::Full(_)) => return Error::no_space(error),
            _ if matches!(error, store::Error::Uncertain(_)) => {
                "The database did not confirm this, so it may have happened. Look before you try again."
            }
            _ if matches!(error, store::Error::Outdated(_)) => {
                "The collections have changed meanwhile. Try again."
            }
            Kind::Unavailable => "The database is not available right now. Try again later.",
            _ => "Something went wrong while processing your request.",
        };
        Error::new(error.kind(), message).details(error)
    }
}
