//! Tokens to a syntax tree. `&&` binds tighter than `||`; groups nest up to a limit, so that the recursion is
//! bounded. Knows nothing of collections: a tree may be kept and resolved for many requests.

use base::limits::{FILTER_BYTES_MAX, FILTER_CALL_ARGUMENTS_MAX, FILTER_DEPTH_MAX, FILTER_TERMS_MAX};
use query::Operator;

use super::lexer::{Lexer, Token};

/// A parsed filter or rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Test(Test),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    pub left: Term,
    pub op: Operator,
    /// The `?` forms: one matching value is enough.
    pub any: bool,
    pub right: Term,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A field path or a macro, as written.
    Path(Box<str>),
    Text(Box<str>),
    Number(f64),
    Bool(bool),
    Null,
    Call {
        name: Box<str>,
        arguments: Vec<Term>,
    },
}

/// Why a text is no filter, and where: a byte offset.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct ParseError {
    pub problem: Problem,
    pub position: usize,
}

/// The messages are the reference's own: it shows them to those who edit rules.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("empty filter expression")]
    Empty,
    #[error("invalid or incomplete filter expression")]
    Incomplete,
    #[error("unexpected character '{0}'")]
    Character(char),
    #[error("invalid identifier \"{0}\"")]
    Identifier(String),
    #[error("invalid number \"{0}\"")]
    Number(String),
    #[error("invalid quoted text \"{0}\"")]
    Quote(String),
    #[error("invalid comment")]
    Comment,
    #[error("invalid sign operator \"{0}\"")]
    Sign(String),
    #[error("invalid join operator \"{0}\"")]
    Join(String),
    #[error("expected left operand (identifier, function, text or number), got \"{0}\" ({1})")]
    Left(String, &'static str),
    #[error("expected a sign operator, got \"{0}\" ({1})")]
    NoSign(String, &'static str),
    #[error("expected right operand (identifier, function, text or number), got \"{0}\" ({1})")]
    Right(String, &'static str),
    #[error("expected && or ||, got \"{0}\" ({1})")]
    NoJoin(String, &'static str),
    #[error("invalid formatted group - missing {0} closing bracket(s)")]
    Open(usize),
    #[error("unexpected comma in function \"{0}\"")]
    Comma(String),
    #[error("expected comma after the last argument in function \"{0}\"")]
    NoComma(String),
    #[error("unexpected argument \"{1}\" in function \"{0}\"")]
    Argument(String, String),
    #[error("the filter is longer than {FILTER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the filter is nested deeper than {FILTER_DEPTH_MAX} levels")]
    TooDeep,
    #[error("the filter has more than {FILTER_TERMS_MAX} comparisons")]
    TooMany,
}

/// Reads a filter. An empty text is an error: that everyone passes an empty rule is for the caller to know.
pub fn parse(text: &str) -> Result<Filter, ParseError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(ParseError { problem: Problem::TooLong, position: FILTER_BYTES_MAX });
    }
    let mut parser = Parser { lexer: Lexer::new(text), tests: 0, depth: 0 };
    parser.group()
}

/// For an external driver: any bytes must end in a tree or an error, and a tree in the same tree when written
/// and read again.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(filter) = parse(&text) {
        let written = filter.to_string();
        if let Ok(again) = parse(&written) {
            assert_eq!(filter, again, "{text:?} was written as {written:?}");
        }
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    tests: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    /// Everything up to the closing parenthesis of this level, or the end of the text on the first.
    fn group(&mut self) -> Result<Filter, ParseError> {
        let mut any = Vec::new();
        let mut all: Vec<Filter> = Vec::new();
        // Whether an operand must follow: at the start, and after a join.
        let mut wanted = true;
        let mut joined = false;
        loop {
            let before = self.lexer.position();
            let Some((token, position)) = self.lexer.next()? else {
                if self.depth > 0 {
                    return Err(fail(Problem::Open(self.depth), before));
                }
                break;
            };
            match token {
                Token::Close if self.depth > 0 => break,
                Token::Close => return Err(fail(Problem::Character(')'), position)),
                // A group may follow without a join; it is then one more thing that must hold.
                Token::Open => {
                    if self.depth == FILTER_DEPTH_MAX {
                        return Err(fail(Problem::TooDeep, position));
                    }
                    self.depth += 1;
                    all.push(self.group()?);
                    self.depth -= 1;
                    wanted = false;
                }
                Token::Join(sign) if !wanted => {
                    match sign {
                        "&&" => {}
                        "||" => any.push(fold(&mut all, Filter::And)),
                        _ => return Err(fail(Problem::Join(sign.to_owned()), position)),
                    }
                    wanted = true;
                    joined = true;
                }
                token if wanted => {
                    all.push(self.test(token, position)?);
                    wanted = false;
                }
                other => {
                    let (text, kind) = other.describe();
                    return Err(fail(Problem::NoJoin(text, kind), position));
                }
            }
        }
        if wanted {
            let problem = if joined { Problem::Incomplete } else { Problem::Empty };
            return Err(fail(problem, self.lexer.position()));
        }
        any.push(fold(&mut all, Filter::And));
        Ok(fold(&mut any, Filter::Or))
    }

    fn test(&mut self, left: Token<'t>, position: usize) -> Result<Filter, ParseError> {
        if self.tests == FILTER_TERMS_MAX {
            return Err(fail(Problem::TooMany, position));
        }
        self.tests += 1;
        let left = match self.term(left, position)? {
            Ok(term) => term,
            Err(token) => {
                let (text, kind) = token.describe();
                return Err(fail(Problem::Left(text, kind), position));
            }
        };
        let (op, any) = match self.want()? {
            (Token::Sign(sign), position) => {
                operator(sign).ok_or_else(|| fail(Problem::Sign(sign.to_owned()), position))?
            }
            (other, position) => {
                let (text, kind) = other.describe();
                return Err(fail(Problem::NoSign(text, kind), position));
            }
        };
        let (token, position) = self.want()?;
        let right = match self.term(token, position)? {
            Ok(term) => term,
            Err(token) => {
                let (text, kind) = token.describe();
                return Err(fail(Problem::Right(text, kind), position));
            }
        };
        Ok(Filter::Test(Test { left, op, any, right }))
    }

    fn want(&mut self) -> Result<(Token<'t>, usize), ParseError> {
        let position = self.lexer.position();
        self.lexer.next()?.ok_or_else(|| fail(Problem::Incomplete, position))
    }

    /// The operand that starts with this token; the token back when none does.
    fn term(&mut self, token: Token<'t>, position: usize) -> Result<Result<Term, Token<'t>>, ParseError> {
        Ok(Ok(match token {
            Token::Identifier(name) if name.eq_ignore_ascii_case("true") => Term::Bool(true),
            Token::Identifier(name) if name.eq_ignore_ascii_case("false") => Term::Bool(false),
            Token::Identifier(name) if name.eq_ignore_ascii_case("null") => Term::Null,
            Token::Identifier(name) => Term::Path(name.into()),
            Token::Text(text) => Term::Text(text.into()),
            Token::Number(number, _) => Term::Number(number),
            Token::Function(name) => {
                if self.depth == FILTER_DEPTH_MAX {
                    return Err(fail(Problem::TooDeep, position));
                }
                self.depth += 1;
                let arguments = self.arguments(name);
                self.depth -= 1;
                Term::Call { name: name.into(), arguments: arguments? }
            }
            other => return Ok(Err(other)),
        }))
    }

    fn arguments(&mut self, name: &str) -> Result<Vec<Term>, ParseError> {
        let mut arguments = Vec::new();
        let mut wanted = true;
        loop {
            let before = self.lexer.position();
            let Some((token, position)) = self.lexer.next()? else {
                return Err(fail(Problem::Open(1), before));
            };
            match token {
                Token::Close => return Ok(arguments),
                Token::Comma if wanted => return Err(fail(Problem::Comma(name.to_owned()), position)),
                Token::Comma => wanted = true,
                _ if !wanted => return Err(fail(Problem::NoComma(name.to_owned()), position)),
                token => match self.term(token, position)? {
                    Ok(_) if arguments.len() == FILTER_CALL_ARGUMENTS_MAX => {
                        return Err(fail(Problem::TooMany, position));
                    }
                    Ok(term) => {
                        arguments.push(term);
                        wanted = false;
                    }
                    Err(token) => {
                        let (text, _) = token.describe();
                        return Err(fail(Problem::Argument(name.to_owned(), text), position));
                    }
                },
            }
        }
    }
}

fn fail(problem: Problem, position: usize) -> ParseError {
    ParseError { problem, position }
}

fn fold(parts: &mut Vec<Filter>, join: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    let mut parts = std::mem::take(parts);
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

const OPERATORS: [(&str, Operator); 8] = [
    ("=", Operator::Eq),
    ("!=", Operator::Ne),
    (">", Operator::Gt),
    (">=", Operator::Ge),
    ("<", Operator::Lt),
    ("<=", Operator::Le),
    ("~", Operator::Like),
    ("!~", Operator::NotLike),
];

fn operator(sign: &str) -> Option<(Operator, bool)> {
    let (sign, any) = match sign.strip_prefix('?') {
        Some(rest) => (rest, true),
        None => (sign, false),
    };
    OPERATORS.iter().find(|(text, _)| *text == sign).map(|(_, op)| (*op, any))
}

/// Writes the filter so that it reads back equal.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (parts, join) = match self {
            Filter::Test(test) => return write!(f, "{test}"),
            Filter::And(parts) => (parts, " && "),
            Filter::Or(parts) => (parts, " || "),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(join)?;
            }
            match part {
                Filter::Test(test) => write!(f, "{test}")?,
                // What binds tighter needs no parentheses.
                Filter::And(_) if matches!(self, Filter::Or(_)) => write!(f, "{part}")?,
                _ => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = OPERATORS.iter().find(|(_, op)| *op == self.op).map_or("", |(text, _)| text);
        write!(f, "{} {}{sign} {}", self.left, if self.any { "?" } else { "" }, self.right)
    }
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Term::Path(path) => f.write_str(path),
            Term::Text(text) => {
                f.write_str("'")?;
                for char in text.chars() {
                    match char {
                        '\'' => f.write_str("\\'")?,
                        '\\' => f.write_str("\\\\")?,
                        other => write!(f, "{other}")?,
                    }
                }
                f.write_str("'")
            }
            Term::Number(number) => write!(f, "{number}"),
            Term::Bool(value) => write!(f, "{value}"),
            Term::Null => f.write_str("null"),
            Term::Call { name, arguments } => {
                write!(f, "{name}(")?;
                for (index, argument) in arguments.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{argument}")?;
                }
                f.write_str(")")
            }
        }
    }
}
