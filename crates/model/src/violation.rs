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
