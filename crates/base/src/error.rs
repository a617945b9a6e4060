//! The kinds of failure that every crate's own error maps to.

/// What a caller can do about a failure. `web` maps each kind to one status; nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input is at fault and must change.
    Invalid,
    /// No such thing, or the caller may not know that it exists.
    NotFound,
    /// The caller must authenticate.
    Unauthenticated,
    /// The caller is known and not allowed.
    Forbidden,
    /// Another write got there first, or a unique value is taken.
    Conflict,
    /// The input passes a named limit.
    TooLarge,
    /// Too many requests for now.
    TooMany,
    /// A dependency does not answer; trying again later may help.
    Unavailable,
    /// Known, and not to be had here.
    Unsupported,
    /// A fault of ours, of the disk or of the engine.
    Internal,
}
