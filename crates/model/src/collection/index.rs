//! Index definitions: `CREATE INDEX` statements, read into parts and written back.

use std::fmt::Write;

use query::ddl::{Index, IndexColumn};

use super::Collection;

/// The parts of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    pub unique: bool,
    pub if_not_exists: bool,
    pub name: String,
    pub table: String,
    pub columns: Vec<Part>,
    /// What stands after `WHERE`.
    pub filter: String,
}

/// One column or expression of an index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub expr: String,
    pub collate: String,
    /// `ASC`, `DESC` or empty.
    pub sort: String,
}

impl Parsed {
    /// `None` when the text is no `CREATE INDEX` statement with a name, a table and columns.
    pub fn read(text: &str) -> Option<Self> {
        let mut rest = Words(text.trim().trim_end_matches(';').trim());
        rest.keyword("create")?;
        let unique = rest.keyword("unique").is_some();
        rest.keyword("index")?;
        let if_not_exists = rest.keyword("if").is_some();
        if if_not_exists {
            rest.keyword("not")?;
            rest.keyword("exists")?;
        }
        let mut name = rest.name()?;
        if let Some(after) = rest.0.strip_prefix('.') {
            rest.0 = after;
            name = rest.name()?;
        }
        rest.keyword("on")?;
        let table = rest.name()?;
        let (inner, after) = parenthesised(rest.0.trim_start())?;
        let columns: Vec<Part> = split(inner).into_iter().filter_map(part).collect();
        rest.0 = after;
        let filter = match rest.keyword("where") {
            Some(()) => rest.0.trim().to_string(),
            None if rest.0.trim().is_empty() => String::new(),
            None => return None,
        };
        let good = !columns.is_empty() && !name.is_empty() && !table.is_empty();
        good.then_some(Parsed { unique, if_not_exists, name, table, columns, filter })
    }

    /// The statement in the reference's layout.
    pub fn text(&self) -> String {
        let mut out = String::from("CREATE ");
        if self.unique {
            out.push_str("UNIQUE ");
        }
        out.push_str("INDEX ");
        if self.if_not_exists {
            out.push_str("IF NOT EXISTS ");
        }
        let _ = write!(out, "`{}` ON `{}` (", self.name, self.table);
        let many = self.columns.len() > 1;
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            if many {
                out.push_str("\n  ");
            }
            if is_plain(&column.expr) {
                let _ = write!(out, "`{}`", column.expr);
            } else {
                out.push_str(&column.expr);
            }
            if !column.collate.is_empty() {
                let _ = write!(out, " COLLATE {}", column.collate);
            }
            if !column.sort.is_empty() {
                let _ = write!(out, " {}", column.sort);
            }
        }
        if many {
            out.push('\n');
        }
        out.push(')');
        if !self.filter.is_empty() {
            let _ = write!(out, " WHERE {}", self.filter);
        }
        out
    }

    pub fn to_ddl(&self) -> Index {
        Index {
            name: self.name.as_str().into(),
            table: self.table.as_str().into(),
            unique: self.unique,
            columns: self
                .columns
                .iter()
                .map(|part| IndexColumn {
                    expr: part.expr.as_str().into(),
                    collate: part.collate.as_str().into(),
                    descending: part.sort.eq_ignore_ascii_case("desc"),
                })
                .collect(),
            filter: self.filter.as_str().into(),
        }
    }

    /// Whether this is a unique index over exactly one column.
    fn is_unique_on(&self, column: &str) -> bool {
        self.unique && self.columns.len() == 1 && self.columns[0].expr.eq_ignore_ascii_case(column)
    }
}

impl Collection {
    /// Whether a field alone is kept unique by an index.
    pub fn has_unique_index(&self, field: &str) -> bool {
        self.indexes.iter().filter_map(|text| Parsed::read(text)).any(|index| index.is_unique_on(field))
    }

    /// Whether a unique index takes upper and lower case of a field for the same.
    pub fn has_nocase_index(&self, field: &str) -> bool {
        self.indexes
            .iter()
            .filter_map(|text| Parsed::read(text))
            .any(|index| index.is_unique_on(field) && index.columns[0].collate.eq_ignore_ascii_case("nocase"))
    }

    /// Lets every index definition name this collection's table; the text of those that already do is kept.
    pub fn retarget_indexes(&mut self) {
        let name = self.name.clone();
        for text in &mut self.indexes {
            if let Some(mut index) = Parsed::read(text)
                && *index.table != *name
            {
                index.table = name.to_string();
                *text = index.text();
            }
        }
    }

    /// Follows a renamed column in every index definition.
    pub fn rename_in_indexes(&mut self, from: &str, to: &str) {
        for text in &mut self.indexes {
            let Some(mut index) = Parsed::read(text) else { continue };
            let mut changed = false;
            for part in &mut index.columns {
                if part.expr == from {
                    part.expr = to.to_string();
                    changed = true;
                }
            }
            if changed {
                *text = index.text();
            }
        }
    }
}

fn is_plain(expr: &str) -> bool {
    expr.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A cursor over words and quoted names.
struct Words<'a>(&'a str);

impl Words<'_> {
    fn keyword(&mut self, word: &str) -> Option<()> {
        let text = self.0.trim_start();
        let (head, rest) = (text.get(..word.len())?, &text[word.len()..]);
        let ends = rest.chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '_');
        if !head.eq_ignore_ascii_case(word) || !ends {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    fn name(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        let close = match text.chars().next()? {
            '`' => Some('`'),
            '"' => Some('"'),
            '\'' => Some('\''),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(close) = close {
            let end = text[1..].find(close)? + 1;
            self.0 = &text[end + 1..];
            return Some(text[1..end].to_string());
        }
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        self.0 = &text[end..];
        (end > 0).then(|| text[..end].to_string())
    }
}

/// The inside of the leading parentheses, and what follows them.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('(') {
        return None;
    }
    let mut depth = 0usize;
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[1..index], &text[index + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits at commas outside of parentheses and quotes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut quote) = (0usize, 0, None);
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn part(text: &str) -> Option<Part> {
    let mut text = text.trim();
    let mut part = Part::default();
    for sort in ["asc", "desc"] {
        if let Some(rest) = strip_last_word(text, sort) {
            part.sort = sort.to_ascii_uppercase();
            text = rest;
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [.., keyword, collation] = words.as_slice()
        && keyword.eq_ignore_ascii_case("collate")
    {
        part.collate = collation.trim_matches(['`', '"', '[', ']']).to_string();
        let rest = text[..text.len() - collation.len()].trim_end();
        text = rest[..rest.len() - keyword.len()].trim_end();
    }
    let unquoted = text.trim_matches(['`', '"', '[', ']']);
    part.expr = if is_plain(unquoted) { unquoted.to_string() } else { text.to_string() };
    (!part.expr.is_empty()).then_some(part)
}

fn strip_last_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.len().checked_sub(word.len())?;
    let (rest, last) = (text.get(..start)?, text.get(start..)?);
    (last.eq_ignore_ascii_case(word) && rest.ends_with(char::is_whitespace)).then(|| rest.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        for (text, expected) in [
            (
                "create  unique index if not exists `ix_1` on whatever (a,   `b` desc) where a>1",
                Some("CREATE UNIQUE INDEX IF NOT EXISTS `ix_1` ON `whatever` (\n  `a`,\n  `b` DESC\n) WHERE a>1"),
            ),
            (
                "CREATE INDEX ix_2 ON ix1 (lower(a) COLLATE NOCASE, b ASC)",
                Some("CREATE INDEX `ix_2` ON `ix1` (\n  lower(a) COLLATE NOCASE,\n  `b` ASC\n)"),
            ),
            ("CREATE INDEX i ON t (a)", Some("CREATE INDEX `i` ON `t` (`a`)")),
            ("CREATE INDEX i ON t ()", None),
            ("nope", None),
            ("CREATE INDEX i ON t (a) garbage", None),
            ("CREATE INDEX i ON t (a", None),
        ] {
            assert_eq!(Parsed::read(text).map(|index| index.text()).as_deref(), expected, "{text}");
        }
    }
}
