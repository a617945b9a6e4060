//! The filter, sort and rule language: text to syntax tree ([`parse`]), syntax tree to `query` ([`Resolver`]).
//! A tree depends on its text only and may be kept; resolving depends on schema, request and time, and happens
//! for every request.

pub mod lexer;
pub mod parser;

pub mod error;
pub mod resolve;

mod compare;
mod functions;
mod joins;
mod macros;
mod path;
mod request;
mod sort;

pub use error::{Cause, ResolveError};
pub use parser::{Filter, ParseError, Problem, Term, Test, fuzz, parse};
pub use resolve::{Resolved, Resolver, Trust};

/// What only superusers may name in a filter or sort of theirs. The reference looks at the text, quoted or not.
pub fn superusers_only(text: &str) -> Option<&'static str> {
    ["@request.", "@collection."].into_iter().find(|prefix| text.contains(prefix))
}

#[cfg(test)]
mod tests;
