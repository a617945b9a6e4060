//! The filter, sort and rule language: text to syntax tree ([`parse`]), syntax tree to `query` ([`Resolver`]).
//! A tree depends on its text only and may be kept; resolving depends on schema, request and time, and happens
//! for every request.

pub mod lexer;
pub mod parser;

pub mod error;
pub mod resolve;

mod compare;
mod depends;
mod functions;
mod joins;
mod macros;
mod path;
mod request;
mod sort;

pub use depends::Depends;
pub use error::{Cause, ResolveError};
pub use parser::{Filter, ParseError, Problem, Term, Test, fuzz, parse};
pub use resolve::{Resolved, Resolver, Trust};

/// What only superusers may name in a filter or sort of theirs. The reference looks at the text, quoted or not.
pub fn superusers_only(text: &str) -> Option<&'static str> {
    ["@request.", "@collection."].into_iter().find(|prefix| text.contains(prefix))
}

/// Can the filter's verdict over the same data change, by the time or by what else a request carries? Everything
/// after an `@` does, but for what names collections and the caller; and `strftime`, which may take the clock's time.
pub fn is_volatile(text: &str) -> bool {
    const STEADY: [&str; 3] = ["request.auth", "request.method", "collection."];
    let is_steady = |at: usize| STEADY.iter().any(|word| text[at + 1..].starts_with(word));
    text.contains("strftime") || text.match_indices('@').any(|(at, _)| !is_steady(at))
}

#[cfg(test)]
mod tests;
