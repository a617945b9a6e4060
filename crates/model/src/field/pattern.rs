//! A regular expression that is compiled at most once.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Compiled size of one pattern at most, so that a schema cannot exhaust memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The text of a pattern, and its compiled form on first use. Equal when the texts are.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub fn new(source: impl Into<String>) -> Self {
        Pattern { source: source.into(), compiled: OnceLock::new() }
    }

    pub fn as_str(&self) -> &str {
        &self.source
    }

    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// `None` when the pattern is not a valid one.
    pub fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| RegexBuilder::new(&self.source).size_limit(PATTERN_BYTES_MAX).build().ok())
            .as_ref()
    }

    /// An invalid pattern matches nothing.
    pub fn matches(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
