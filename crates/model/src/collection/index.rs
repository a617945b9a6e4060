//! `CREATE INDEX` statements: read, compared, and written anew when a collection takes another name.

use query::ddl::{Index, IndexColumn};

/// A statement taken apart. What a text holds beyond [`Index`] is kept for writing it again.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedIndex {
    pub index: Index,
    pub schema: String,
    pub if_not_exists: bool,
    /// `ASC` is written only where it was given.
    ascending: Vec<bool>,
}

/// `None` when the text is not one whole statement of the following form. The table may be missing.
/// `CREATE [UNIQUE] INDEX [IF NOT EXISTS] [schema.]name ON table (column [COLLATE c] [ASC|DESC], …) [WHERE …]`.
pub fn parse(text: &str) -> Option<ParsedIndex> {
    let rest = keyword(text.trim(), "create")?;
    let (unique, rest) = keyword(rest, "unique").map_or((false, rest), |rest| (true, rest));
    let rest = keyword(rest, "index")?;
    let exists =
        keyword(rest, "if").and_then(|rest| keyword(rest, "not")).and_then(|rest| keyword(rest, "exists"));
    let (if_not_exists, rest) = exists.map_or((false, rest), |rest| (true, rest));
    let (name, rest) = word(rest);
    let rest = keyword(rest, "on")?;
    let open = rest.find('(')?;
    let table = unquote(rest[..open].trim());
    let inside = &rest[open + 1..];
    let parts = split_list(inside)?;
    let filter = match inside[parts.end..].trim() {
        "" => "",
        tail => keyword(tail, "where")?,
    };
    let (schema, name) = name.split_once('.').unwrap_or(("", name));
    let (schema, name) = (unquote(schema), unquote(name));
    let parsed: Vec<(IndexColumn, bool)> = parts.items.iter().filter_map(|part| column(part)).collect();
    if name.is_empty() || table.contains(char::is_whitespace) || parsed.is_empty() {
        return None;
    }
    let (columns, ascending) = parsed.into_iter().unzip();
    Some(ParsedIndex {
        index: Index { name: name.into(), table: table.into(), unique, columns, filter: filter.into() },
        schema: schema.to_owned(),
        if_not_exists,
        ascending,
    })
}

impl super::Collection {
    fn parsed_indexes(&self) -> impl Iterator<Item = ParsedIndex> + '_ {
        self.indexes.iter().filter_map(|text| parse(text))
    }

    /// Whether a field alone is kept unique by an index.
    pub fn has_unique_index(&self, field: &str) -> bool {
        self.parsed_indexes().any(|index| index.unique_column() == Some(field))
    }

    /// Whether a unique index takes upper and lower case of a field for the same.
    pub fn has_nocase_index(&self, field: &str) -> bool {
        self.parsed_indexes().any(|index| {
            index.unique_column() == Some(field)
                && index.index.columns[0].collate.eq_ignore_ascii_case("nocase")
        })
    }
}

impl ParsedIndex {
    /// The columns that it names outright; expressions are left out.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.index.columns.iter().map(|column| &*column.expr).filter(|expr| is_name(expr))
    }

    /// The one column that a unique index of one column covers.
    pub fn unique_column(&self) -> Option<&str> {
        match self.index.columns.as_slice() {
            [column] if self.index.unique => Some(&column.expr),
            _ => None,
        }
    }

    /// Whether two indexes cover the same, whatever they are called.
    pub fn same_definition(&self, other: &ParsedIndex) -> bool {
        self.index.unique == other.index.unique
            && self.if_not_exists == other.if_not_exists
            && self.index.columns == other.index.columns
            && self.ascending == other.ascending
            && self.index.filter == other.index.filter
    }

    /// The normalised text.
    pub fn to_sql(&self) -> String {
        let index = &self.index;
        let mut out = String::from(if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " });
        if self.if_not_exists {
            out.push_str("IF NOT EXISTS ");
        }
        if !self.schema.is_empty() {
            out.push_str(&format!("`{}`.", self.schema));
        }
        out.push_str(&format!("`{}` ON `{}` (", index.name, index.table));
        let many = index.columns.len() > 1;
        for (position, column) in index.columns.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            if many {
                out.push_str("\n  ");
            }
            if is_name(&column.expr) {
                out.push_str(&format!("`{}`", column.expr));
            } else {
                out.push_str(&column.expr);
            }
            if !column.collate.is_empty() {
                out.push_str(&format!(" COLLATE {}", column.collate));
            }
            if column.descending {
                out.push_str(" DESC");
            } else if self.ascending.get(position) == Some(&true) {
                out.push_str(" ASC");
            }
        }
        out.push_str(if many { "\n)" } else { ")" });
        if !index.filter.is_empty() {
            out.push_str(&format!(" WHERE {}", index.filter));
        }
        out
    }
}

/// What is not an expression.
fn is_name(expr: &str) -> bool {
    !expr.contains(['(', ' ', '\'', '"', '.', '+', '-', '*', '/', '|'])
}

fn column(part: &str) -> Option<(IndexColumn, bool)> {
    let mut rest = part.trim();
    let mut order = None;
    if let Some((before, last)) = rest.rsplit_once(char::is_whitespace)
        && (last.eq_ignore_ascii_case("asc") || last.eq_ignore_ascii_case("desc"))
    {
        order = Some(last.eq_ignore_ascii_case("desc"));
        rest = before.trim_end();
    }
    let mut collate = "";
    if let Some((before, last)) = rest.rsplit_once(char::is_whitespace)
        && let Some((expr, word)) = before.trim_end().rsplit_once(char::is_whitespace)
        && word.eq_ignore_ascii_case("collate")
    {
        collate = last;
        rest = expr.trim_end();
    }
    let expr = if rest.contains('(') { rest } else { unquote(rest) };
    let column = IndexColumn { expr: expr.into(), collate: collate.into(), descending: order == Some(true) };
    (!expr.is_empty()).then_some((column, order == Some(false)))
}

/// What follows a keyword and white space or an opening parenthesis.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}

/// Up to white space; the rest without it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn unquote(text: &str) -> &str {
    text.trim_matches(['`', '"', '\'', '[', ']'])
}

struct List<'a> {
    items: Vec<&'a str>,
    /// Where what follows the closing parenthesis starts.
    end: usize,
}

/// Splits at the commas outside of parentheses and quotes, up to the parenthesis that closes the list.
fn split_list(text: &str) -> Option<List<'_>> {
    let (mut depth, mut quote, mut start) = (0usize, None, 0);
    let mut items = Vec::new();
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, ')') => {
                items.push(&text[start..at]);
                return Some(List { items, end: at + 1 });
            }
            (None, ',') if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = parse(text);
        assert_eq!(parsed.as_ref().map(ParsedIndex::to_sql).as_deref(), expected, "{text}");
        if let Some(expected) = expected {
            assert_eq!(parse(expected), parsed, "written form of {text}");
        }
    }

    #[test]
    fn statements() {
        for text in [
            "",
            "x",
            "CREATE INDEX i ON v3 ()",
            "CREATE INDEX ON v3 (a)",
            "CREATE INDEX `` ON v3 (a)",
            "CREATE INDEX i ON v3 (a); DROP TABLE x",
            "CREATE INDEX i ON v3 (a) where",
            "CREATE INDEX `i j` ON v3 (a)",
        ] {
            check(text, None);
        }
        let single = Some("CREATE INDEX `i` ON `v3` (`a`)");
        for text in [
            "create index i on v3 (a)",
            "CREATE INDEX \"i\" ON \"v3\" (\"a\")",
            "CREATE INDEX [i] ON [v3] ([a])",
            "CREATE INDEX 'i' ON 'v3' ('a')",
            "  CREATE INDEX i ON v3(a)  ",
        ] {
            check(text, single);
        }
        check(
            "create unique index if not exists `i` on `v3` (`a` collate nocase desc, b asc) where `a` != ''",
            Some(
                "CREATE UNIQUE INDEX IF NOT EXISTS `i` ON `v3` (\n  `a` COLLATE nocase DESC,\n  `b` ASC\n) WHERE `a` != ''",
            ),
        );
        check(
            "CREATE INDEX i ON v3 (lower(a), b)",
            Some("CREATE INDEX `i` ON `v3` (\n  lower(a),\n  `b`\n)"),
        );
        check(
            "CREATE INDEX i ON v3 (json_extract(a,'$.x') DESC)",
            Some("CREATE INDEX `i` ON `v3` (json_extract(a,'$.x') DESC)"),
        );
        check(
            "CREATE INDEX i ON v3 (a) WHERE a > 1 AND (b = 2)",
            Some("CREATE INDEX `i` ON `v3` (`a`) WHERE a > 1 AND (b = 2)"),
        );
        check("CREATE INDEX main.i ON v3 (a,b)", Some("CREATE INDEX `main`.`i` ON `v3` (\n  `a`,\n  `b`\n)"));
    }
}
