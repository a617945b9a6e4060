//! Translates RE2 syntax, which the reference takes, to that of the `regex` crate. They mostly agree; but RE2's
//! `\d`, `\w`, `\s` and `\b` are ASCII, a brace that starts no repetition is literal, classes hold no operators
//! and repetition is limited. Errors are worded as the reference words them.

/// How often something may be repeated, nested repetitions multiplied.
const REPEAT_MAX: u32 = 1000;

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

type Outcome<T> = Result<T, String>;

/// The equivalent pattern, or what is wrong with this one.
pub(super) fn translate(source: &str) -> Outcome<String> {
    let mut parser = Parser { source, at: 0, out: String::with_capacity(source.len() * 2) };
    parser.run()?;
    Ok(parser.out)
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    out: String,
}

/// What a repetition operator would apply to.
#[derive(Clone, Copy)]
struct Atom {
    /// How often the most repeated part of it is repeated.
    repeats: u32,
    /// Where its own repetition operator starts, if it has one.
    operator: Option<usize>,
}

const PLAIN: Atom = Atom { repeats: 1, operator: None };

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn run(&mut self) -> Outcome<()> {
        // The most repeated atom of each open group.
        let mut groups: Vec<u32> = Vec::new();
        let mut most = 1;
        let mut last: Option<Atom> = None;
        while !self.rest().is_empty() {
            let start = self.at;
            let Some(next) = self.next() else { break };
            last = match next {
                '(' => {
                    if self.open_group()? {
                        groups.push(most);
                        most = 1;
                    }
                    None
                }
                ')' => {
                    let outer = groups.pop().ok_or_else(|| error("unexpected )", self.source))?;
                    self.out.push(')');
                    let repeats = most;
                    most = outer.max(most);
                    Some(Atom { repeats, operator: None })
                }
                '|' => {
                    self.out.push('|');
                    None
                }
                '*' | '+' | '?' => {
                    self.out.push(next);
                    Some(self.repeat(start, last, 1)?)
                }
                '{' => match self.counts() {
                    None => {
                        self.out.push_str("\\{");
                        Some(PLAIN)
                    }
                    Some((min, max)) => {
                        let text = &self.source[start..self.at];
                        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
                            return Err(error("invalid repeat count", text));
                        }
                        self.out.push_str(text);
                        let atom = self.repeat(start, last, max.unwrap_or(min).max(1))?;
                        if atom.repeats > REPEAT_MAX {
                            return Err(error("invalid repeat count", text));
                        }
                        most = most.max(atom.repeats);
                        Some(atom)
                    }
                },
                '[' => {
                    self.class(start)?;
                    Some(PLAIN)
                }
                '\\' => self.escape(start)?.then_some(PLAIN).or(last),
                '.' | '^' | '$' => {
                    self.out.push(next);
                    Some(PLAIN)
                }
                literal => {
                    push_literal(&mut self.out, literal);
                    Some(PLAIN)
                }
            };
        }
        if groups.is_empty() { Ok(()) } else { Err(error("missing closing )", self.source)) }
    }

    /// Whether a group was opened; flags for the rest of the group around open none.
    fn open_group(&mut self) -> Outcome<bool> {
        let start = self.at - 1;
        if !self.rest().starts_with('?') {
            self.out.push_str("(?:");
            return Ok(true);
        }
        if self.rest().starts_with("?P<") || self.rest().starts_with("?<") {
            let from = self.at + self.rest().find('<').unwrap_or_default() + 1;
            let Some(length) = self.source[from..].find('>') else {
                return Err(error("invalid named capture", &self.source[start..]));
            };
            let name = &self.source[from..from + length];
            if !super::check::is_word(name) {
                return Err(error("invalid named capture", &self.source[start..=from + length]));
            }
            self.at = from + length + 1;
            self.out.push_str("(?:");
            return Ok(true);
        }
        self.at += 1;
        let flags = self.at;
        while let Some(next) = self.next() {
            match next {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' => {
                    self.out.push_str(&self.source[start..self.at]);
                    return Ok(true);
                }
                ')' => {
                    if self.at - 1 > flags {
                        self.out.push_str(&self.source[start..self.at]);
                    }
                    return Ok(false);
                }
                _ => break,
            }
        }
        Err(error("invalid or unsupported Perl syntax", &self.source[start..self.at]))
    }

    /// Finishes a repetition operator that was already copied.
    fn repeat(&mut self, start: usize, last: Option<Atom>, times: u32) -> Outcome<Atom> {
        if self.eat("?") {
            self.out.push('?');
        }
        let Some(atom) = last else {
            return Err(error("missing argument to repetition operator", &self.source[start..self.at]));
        };
        if let Some(operator) = atom.operator {
            return Err(error("invalid nested repetition operator", &self.source[operator..self.at]));
        }
        Ok(Atom { repeats: atom.repeats.saturating_mul(times), operator: Some(start) })
    }

    /// What follows an opening brace, when it is `n}`, `n,}` or `n,m}`.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let end = self.rest().find('}')?;
        let body = &self.rest()[..end];
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let counts = match body.split_once(',') {
            None => (number(body)?, Some(number(body)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        self.at += end + 1;
        Some(counts)
    }

    /// Whether anything was written that can be repeated.
    fn escape(&mut self, start: usize) -> Outcome<bool> {
        match self.rest().chars().next() {
            None => return Err(error("trailing backslash at end of expression", "")),
            Some('Q') => {
                self.at += 1;
                let (literal, skipped) = match self.rest().find("\\E") {
                    Some(end) => (&self.rest()[..end], end + 2),
                    None => (self.rest(), self.rest().len()),
                };
                self.at += skipped;
                literal.chars().for_each(|literal| push_literal(&mut self.out, literal));
                return Ok(!literal.is_empty());
            }
            Some(anchor @ ('A' | 'z' | 'B')) => {
                self.at += 1;
                self.out.push('\\');
                self.out.push(anchor);
            }
            Some('b') => {
                self.at += 1;
                self.out.push_str("(?-u:\\b)");
            }
            Some(_) => {
                if let Some((set, negated)) = self.set(start)? {
                    self.out.push_str(if negated { "[^" } else { "[" });
                    self.out.push_str(&set);
                    self.out.push(']');
                } else {
                    let literal = self.escaped(start)?;
                    push_literal(&mut self.out, literal);
                }
            }
        }
        Ok(true)
    }

    /// A set such as `\d` or `\pL` after a backslash, as the inside of a class.
    fn set(&mut self, start: usize) -> Outcome<Option<(String, bool)>> {
        let Some(letter) = self.rest().chars().next() else { return Ok(None) };
        let set = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            's' => "\\t\\n\\x0c\\r\\x20",
            'w' => "0-9A-Za-z_",
            'p' => {
                self.at += 1;
                let inner = match self.next() {
                    Some('{') => {
                        let end = self.rest().find('}').unwrap_or(self.rest().len());
                        let inner = &self.rest()[..end];
                        self.at = (self.at + end + 1).min(self.source.len());
                        inner.to_owned()
                    }
                    other => other.into_iter().collect(),
                };
                let (name, inverted) =
                    inner.strip_prefix('^').map_or((inner.as_str(), false), |name| (name, true));
                let set = format!("\\p{{{name}}}");
                if name.is_empty() || regex_syntax::parse(&set).is_err() {
                    return Err(error("invalid character class range", &self.source[start..self.at]));
                }
                return Ok(Some((set, inverted != (letter == 'P'))));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some((set.to_owned(), letter.is_ascii_uppercase())))
    }

    /// The character that an escape stands for; the backslash is behind.
    fn escaped(&mut self, start: usize) -> Outcome<char> {
        let bad = |at: usize| error("invalid escape sequence", &self.source[start..at]);
        let Some(letter) = self.rest().chars().next() else {
            return Err(error("trailing backslash at end of expression", ""));
        };
        let after = self.at + letter.len_utf8();
        let octal = |byte: &u8| (b'0'..=b'7').contains(byte);
        let value = match letter {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            '1'..='7' if !self.source.as_bytes().get(after).is_some_and(octal) => return Err(bad(after)),
            '0'..='7' => {
                let digits = self.rest().bytes().take(3).take_while(octal).count();
                let value = u32::from_str_radix(&self.rest()[..digits], 8).unwrap_or_default();
                self.at += digits;
                return char::from_u32(value).ok_or_else(|| bad(after));
            }
            'x' => return self.hexadecimal(start, after),
            letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => u32::from(letter),
            _ => return Err(bad(after)),
        };
        self.at = after;
        char::from_u32(value).ok_or_else(|| bad(after))
    }

    /// `\xHH` or `\x{H…}`.
    fn hexadecimal(&mut self, start: usize, from: usize) -> Outcome<char> {
        let braces = self.source[from..].starts_with('{');
        self.at = from + usize::from(braces);
        let mut value = 0u32;
        let mut digits = 0;
        loop {
            if braces && digits > 0 && self.eat("}") {
                break;
            }
            let digit = self.next().and_then(|next| next.to_digit(16));
            value = match digit {
                Some(digit) if value <= u32::from(char::MAX) => value * 16 + digit,
                _ => return Err(error("invalid escape sequence", &self.source[start..self.at])),
            };
            digits += 1;
            if value > u32::from(char::MAX) {
                return Err(error("invalid escape sequence", &self.source[start..self.at]));
            }
            if !braces && digits == 2 {
                break;
            }
        }
        char::from_u32(value).ok_or_else(|| error("invalid escape sequence", &self.source[start..self.at]))
    }

    /// A class; its opening bracket is behind.
    fn class(&mut self, start: usize) -> Outcome<()> {
        let missing = error("missing closing ]", &self.source[start..]);
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || !self.rest().starts_with(']') {
            first = false;
            let item = self.at;
            if self.rest().is_empty() {
                return Err(missing);
            }
            if self.rest().starts_with("[:")
                && let Some(end) = self.rest()[2..].find(":]")
            {
                let name = &self.rest()[..end + 4];
                self.at += name.len();
                if !POSIX_CLASSES.contains(&name[2..name.len() - 2].trim_start_matches('^')) {
                    return Err(error("invalid character class range", name));
                }
                self.out.push_str(name);
                continue;
            }
            if self.rest().starts_with('\\') {
                self.at += 1;
                if let Some((set, negated)) = self.set(item)? {
                    if negated {
                        self.out.push_str("[^");
                        self.out.push_str(&set);
                        self.out.push(']');
                    } else {
                        self.out.push_str(&set);
                    }
                    continue;
                }
                self.at = item;
            }
            let low = self.class_char(&missing)?;
            push_code(&mut self.out, low);
            if self.rest().starts_with('-') && !self.rest().starts_with("-]") && self.rest().len() > 1 {
                self.at += 1;
                let high = self.class_char(&missing)?;
                if high < low {
                    return Err(error("invalid character class range", &self.source[item..self.at]));
                }
                self.out.push('-');
                push_code(&mut self.out, high);
            }
        }
        self.at += 1;
        self.out.push(']');
        Ok(())
    }

    fn class_char(&mut self, missing: &str) -> Outcome<char> {
        let start = self.at;
        match self.next() {
            None => Err(missing.to_owned()),
            Some('\\') => self.escaped(start),
            Some(literal) => Ok(literal),
        }
    }
}

fn error(what: &str, text: &str) -> String {
    format!("{what}: `{text}`")
}

fn push_literal(out: &mut String, literal: char) {
    if literal.is_ascii_alphanumeric() || !literal.is_ascii() {
        out.push(literal);
    } else {
        push_code(out, literal);
    }
}

fn push_code(out: &mut String, code: char) {
    if code.is_ascii_alphanumeric() {
        out.push(code);
    } else {
        out.push_str(&format!("\\x{{{:x}}}", u32::from(code)));
    }
}
