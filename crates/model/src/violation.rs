//! What is wrong with an input, field by field.

use std::collections::BTreeMap;

/// One broken constraint, in the reference's words: clients match on the code and show the message.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    pub code: &'static str,
    pub message: String,
    /// Values that the message was made of. Not part of the answer unless the reference shows them.
    pub params: Vec<(&'static str, serde_json::Value)>,
}

impl Violation {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Violation { code, message: message.into(), params: Vec::new() }
    }

    pub fn required() -> Self {
        Violation::new("validation_required", "Cannot be blank.")
    }
}

/// A tree of violations: leaves under field names, and branches for lists and nested options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Violations(pub BTreeMap<String, Node>);

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Leaf(Violation),
    Branch(Violations),
}

impl Violations {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the first violation of a key.
    pub fn add(&mut self, key: impl Into<String>, violation: Violation) {
        self.0.entry(key.into()).or_insert(Node::Leaf(violation));
    }

    pub fn nest(&mut self, key: impl Into<String>, inner: Violations) {
        if !inner.is_empty() {
            self.0.entry(key.into()).or_insert(Node::Branch(inner));
        }
    }

    /// Takes over what is not there yet.
    pub fn merge(&mut self, other: Violations) {
        for (key, node) in other.0 {
            self.0.entry(key).or_insert(node);
        }
    }

    pub fn one(key: impl Into<String>, violation: Violation) -> Self {
        let mut all = Violations::default();
        all.add(key, violation);
        all
    }

    pub fn into_result(self) -> Result<(), Violations> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// The constraints that many fields and options share, in the reference's words.
impl Violation {
    /// Adds a value that the message was made of, and that the answer shows.
    pub fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.params.push((name, value.into()));
        self
    }

    pub fn at_least(threshold: i64) -> Self {
        let message = format!("Must be no less than {threshold}.");
        Violation::new("validation_min_greater_equal_than_required", message).with("threshold", threshold)
    }

    pub fn at_most(threshold: i64) -> Self {
        let message = format!("Must be no greater than {threshold}.");
        Violation::new("validation_max_less_equal_than_required", message).with("threshold", threshold)
    }

    pub fn length(min: usize, max: usize) -> Self {
        let message = format!("The length must be between {min} and {max}.");
        Violation::new("validation_length_out_of_range", message).with("max", max).with("min", min)
    }

    pub fn format() -> Self {
        Violation::new("validation_match_invalid", "Must be in a valid format.")
    }

    pub fn reserved() -> Self {
        Violation::new("validation_not_in_invalid", "Must not be in list.")
    }

    pub fn unknown_choice() -> Self {
        Violation::new("validation_in_invalid", "Must be a valid value.")
    }

    /// A value that must not be there.
    pub fn not_empty() -> Self {
        Violation::new("validation_empty", "Must be blank.")
    }

    pub fn not_unique() -> Self {
        Violation::new("validation_not_unique", "Value must be unique.")
    }
}

/// A message as the reference shows it: trimmed, with a capital first, and closed by a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let mut out: String = first.to_uppercase().collect();
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '?', '!']) {
        out.push('.');
    }
    out
}
