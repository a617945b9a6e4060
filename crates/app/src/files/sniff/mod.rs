//! What kind of file bytes are, told from the bytes alone: the client's word and the name count for nothing. The
//! names are the ones that the reference gives, as the fields' `mimeTypes` are compared with them letter for letter.

mod magic;
mod text;
mod zip;

#[cfg(test)]
mod tests;

/// A kind of file, and the extension that a file without one gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub mime: &'static str,
    /// With its dot; empty when there is none.
    pub extension: &'static str,
}

const fn kind(mime: &'static str, extension: &'static str) -> Kind {
    Kind { mime, extension }
}

const UNKNOWN: Kind = kind("application/octet-stream", "");

/// Reads the beginning of a file; `whole` says that it is all of it.
pub fn sniff(head: &[u8], whole: bool) -> Kind {
    if head.starts_with(b"PK")
        && let Some(found) = zip::sniff(head)
    {
        return found;
    }
    if let Some(found) = magic::sniff(head) {
        return found;
    }
    text::sniff(head, whole).unwrap_or(UNKNOWN)
}
