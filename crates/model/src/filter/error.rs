//! Why a tree cannot be resolved.

use base::Kind;

use super::parser::ParseError;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ResolveError {
    #[error("invalid left operand \"{0}\" - {1}")]
    Left(String, Cause),
    #[error("invalid right operand \"{0}\" - {1}")]
    Right(String, Cause),
    #[error("invalid sort field \"{0}\"")]
    Sort(String),
    #[error("too many sort fields")]
    SortKeys,
    #[error("the list rule of collection \"{0}\" is broken: {1}")]
    Rule(String, ParseError),
    #[error("{0}")]
    Parse(#[from] ParseError),
    #[error("too many joins")]
    Joins,
}

/// The reference's own words: it shows them to those who edit rules.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Cause {
    #[error("unknown field \"{0}\"")]
    Unknown(String),
    #[error("failed to resolve field \"{0}\"")]
    Unresolved(String),
    #[error("field \"{0}\" is not a valid relation")]
    NoRelation(String),
    #[error("failed to load back relation field \"{0}\" collection")]
    NoBackCollection(String),
    #[error("invalid back relation field \"{0}\"")]
    NoBackField(String),
    #[error("invalid collection reference of a back relation field \"{0}\"")]
    NewRecord(String),
    #[error("failed to load collection \"{0}\" from field path \"{1}\"")]
    NoCollection(String, String),
    #[error("unknown modifier in \"{0}\"")]
    Modifier(String),
    #[error("invalid modifier sequence {0}")]
    ModifierSequence(String),
    #[error("field \"{0}\" doesn't support multivalue operations")]
    SingleValue(String),
    #[error("field \"{0}\" is not allowed")]
    Hidden(String),
    #[error("only superusers may filter by \"{0}\"")]
    SuperusersOnly(String),
    #[error("invalid json path \"{0}\"")]
    JsonPath(String),
    #[error("unknown function \"{0}\"")]
    Function(String),
    #[error("[{0}] {1}")]
    Argument(&'static str, String),
    #[error("the path is too deep")]
    Depth,
    #[error("too many joins")]
    Joins,
}

impl ResolveError {
    pub fn kind(&self) -> Kind {
        match self {
            ResolveError::Left(_, Cause::SuperusersOnly(_))
            | ResolveError::Right(_, Cause::SuperusersOnly(_)) => Kind::Forbidden,
            ResolveError::Rule(..) => Kind::Internal,
            _ => Kind::Invalid,
        }
    }
}
