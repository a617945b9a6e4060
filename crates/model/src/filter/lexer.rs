//! Text to tokens. Never looks ahead further than a token, never allocates for identifiers.

use std::borrow::Cow;

use super::parser::{ParseError, Problem};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// `title`, `author.name:lower`, `@request.auth.id`
    Identifier(&'t str),
    /// An identifier with an opening parenthesis right behind it, which is consumed.
    Function(&'t str),
    Text(Cow<'t, str>),
    Number(f64, &'t str),
    /// A run of `= ! > < ~ ?`, whether it is an operator or not.
    Sign(&'t str),
    /// A run of `&` and `|`, whether it is an operator or not.
    Join(&'t str),
    Open,
    Close,
    Comma,
}

impl Token<'_> {
    /// How error messages name the token and its kind.
    pub(super) fn describe(&self) -> (String, &'static str) {
        match self {
            Token::Identifier(text) => ((*text).to_owned(), "identifier"),
            Token::Function(text) => ((*text).to_owned(), "function"),
            Token::Text(text) => (text.to_string(), "text"),
            Token::Number(_, text) => ((*text).to_owned(), "number"),
            Token::Sign(text) => ((*text).to_owned(), "sign"),
            Token::Join(text) => ((*text).to_owned(), "join"),
            Token::Open => ("(".to_owned(), "group"),
            Token::Close => (")".to_owned(), "group"),
            Token::Comma => (",".to_owned(), "comma"),
        }
    }
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Lexer { text, at: 0 }
    }

    /// The byte offset that the next token is looked for at.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next token and where it starts; `None` at the end. A NUL is an end too, but not one that stands right
    /// behind something whose length only the next character tells: there it is passed over.
    pub(super) fn next(&mut self) -> Result<Option<(Token<'t>, usize)>, ParseError> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                None | Some(0) => return Ok(None),
                Some(b' ' | b'\t' | b'\n' | b'\r') => {
                    self.run(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
                }
                Some(b'/') => {
                    if bytes.get(self.at + 1) != Some(&b'/') {
                        return Err(self.fail(Problem::Comment, self.at));
                    }
                    self.run(|byte| byte != b'\n');
                }
                Some(_) => break,
            }
        }
        let start = self.at;
        let token = match bytes[start] {
            b'(' => self.single(Token::Open),
            b')' => self.single(Token::Close),
            b',' => self.single(Token::Comma),
            b'\'' | b'"' => self.quoted()?,
            b'=' | b'!' | b'>' | b'<' | b'~' | b'?' => {
                Token::Sign(self.run(|byte| matches!(byte, b'=' | b'!' | b'>' | b'<' | b'~' | b'?')))
            }
            b'&' | b'|' => Token::Join(self.run(|byte| matches!(byte, b'&' | b'|'))),
            b'-' | b'0'..=b'9' => self.number()?,
            b'_' | b'@' | b'#' | b'a'..=b'z' | b'A'..=b'Z' => self.identifier()?,
            _ => {
                let char = self.text[start..].chars().next().unwrap_or('\0');
                return Err(self.fail(Problem::Character(char), start));
            }
        };
        Ok(Some((token, start)))
    }

    fn single(&mut self, token: Token<'t>) -> Token<'t> {
        self.at += 1;
        token
    }

    fn fail(&self, problem: Problem, position: usize) -> ParseError {
        ParseError { problem, position }
    }

    /// Consumes the bytes from here on for which `take` holds. Only ever stops at an ASCII byte or the end.
    fn run(&mut self, take: impl Fn(u8) -> bool) -> &'t str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let end = start + rest.iter().position(|byte| !take(*byte)).unwrap_or(rest.len());
        self.at = end + usize::from(self.text.as_bytes().get(end) == Some(&0));
        &self.text[start..end]
    }

    fn identifier(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        self.at += 1;
        let rest = self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'));
        let text = &self.text[start..start + 1 + rest.len()];
        let last = text.as_bytes()[text.len() - 1];
        if !last.is_ascii_alphanumeric() && last != b'_' {
            return Err(self.fail(Problem::Identifier(text.to_owned()), start));
        }
        if self.text.as_bytes().get(self.at) == Some(&b'(') {
            self.at += 1;
            return Ok(Token::Function(text));
        }
        Ok(Token::Identifier(text))
    }

    fn number(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        self.at += 1;
        let rest = self.run(|byte| byte.is_ascii_digit() || byte == b'.');
        let text = &self.text[start..start + 1 + rest.len()];
        let whole = text.strip_prefix('-').unwrap_or(text);
        let plain = whole.starts_with(|first: char| first.is_ascii_digit()) && !whole.ends_with('.');
        match text.parse::<f64>() {
            Ok(number) if plain && number.is_finite() => Ok(Token::Number(number, text)),
            _ => Err(self.fail(Problem::Number(text.to_owned()), start)),
        }
    }

    /// Escapes are those of the quotes, `\\`, `\n`, `\r` and `\t`; any other backslash stays.
    fn quoted(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let quote = bytes[start];
        let mut plain = true;
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                None | Some(0) => {
                    self.at = bytes.len();
                    return Err(self.fail(Problem::Quote(self.text[start..].to_owned()), start));
                }
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                Some(byte) if *byte == quote => break,
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let inner = &self.text[start + 1..end];
        if plain {
            return Ok(Token::Text(Cow::Borrowed(inner)));
        }
        let mut out = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(char) = chars.next() {
            if char != '\\' {
                out.push(char);
                continue;
            }
            match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(kept @ ('\\' | '\'' | '"')) => out.push(kept),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            }
        }
        Ok(Token::Text(Cow::Owned(out)))
    }
}
