//! A regular expression in the reference's syntax, compiled at most once.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

use super::re2;
use crate::violation::{Violation, sentence};

/// Compiled size of one pattern at most, so that a schema cannot exhaust memory.
const PATTERN_BYTES_MAX: usize = 4 << 20;

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

    /// An invalid pattern matches nothing.
    pub fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| compile(&re2::translate(&self.source).ok()?));
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// What is wrong with the text of the pattern.
    pub(crate) fn check(&self) -> Option<Violation> {
        match re2::translate(&self.source) {
            Err(error) => Some(invalid(&error)),
            Ok(translated) => compile(&translated).is_none().then(|| invalid("expression too large")),
        }
    }
}

pub(super) fn invalid(error: &str) -> Violation {
    Violation::new("validation_invalid_regex", sentence(&format!("error parsing regexp: {error}")))
}

fn compile(translated: &str) -> Option<Regex> {
    RegexBuilder::new(translated).size_limit(PATTERN_BYTES_MAX).build().ok()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
