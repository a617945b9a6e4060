//! Fragments of SQL that users wrote for SQLite (index filters, view queries), as PostgreSQL reads them. Only
//! spelling is changed; what PostgreSQL has no word for is refused, and what it does not understand it says
//! itself.

use super::dialect::postgres_name;
use crate::error::{Error, Result};

/// Rewrites quoting (backticks and brackets), `==` and names; refuses functions and collations of SQLite alone.
pub fn to_postgres(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '\'' => {
                let (taken, after) = until(rest, '\'')?;
                out.push_str(taken);
                rest = after;
            }
            '`' | '"' => {
                let (taken, after) = until(rest, c)?;
                let double: String = [c, c].iter().collect();
                let name = taken[1..taken.len() - 1].replace(&double, &c.to_string());
                ident(&mut out, &name);
                rest = after;
            }
            '[' => {
                let end = rest.find(']').ok_or_else(|| open(rest))?;
                ident(&mut out, &rest[1..end]);
                rest = &rest[end + 1..];
            }
            '=' if rest.starts_with("==") => {
                out.push('=');
                rest = &rest[2..];
            }
            '-' if rest.starts_with("--") => {
                let end = rest.find('\n').unwrap_or(rest.len());
                out.push(' ');
                rest = &rest[end..];
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                out.push_str(&translated(word, after)?);
                rest = after;
            }
            c => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Ok(out)
}

fn translated(word: &str, after: &str) -> Result<String> {
    let call = after.trim_start().starts_with('(');
    let lower = word.to_ascii_lowercase();
    Ok(match lower.as_str() {
        "ifnull" if call => "coalesce".into(),
        "substr" | "coalesce" | "lower" | "upper" | "length" | "abs" | "round" if call => lower,
        "strftime" if call => "_pando.strftime_of".into(),
        "group_concat" if call => "_pando.group_concat".into(),
        "json_each" | "json_extract" | "json_tree" | "json_array_length" | "json_type" | "julianday"
        | "iif" | "json_group_array" | "json_object" | "json_array" | "typeof" | "printf" | "hex"
        | "randomblob"
            if call =>
        {
            return Err(Error::Refused(format!("PostgreSQL has no function {word} as SQLite does")));
        }
        "nocase" | "rtrim" if !call => {
            return Err(Error::Refused(format!("PostgreSQL has no collation {word}")));
        }
        "glob" | "match" => return Err(Error::Refused(format!("PostgreSQL has no operator {word}"))),
        // Unquoted names keep their case on SQLite, while PostgreSQL folds them: quote those with capitals that
        // are not words of the language.
        _ if !call
            && word.bytes().any(|b| b.is_ascii_uppercase())
            && word.bytes().any(|b| b.is_ascii_lowercase()) =>
        {
            let mut out = String::new();
            if keyword(&lower) {
                return Ok(word.into());
            }
            ident(&mut out, word);
            out
        }
        _ => word.into(),
    })
}

fn keyword(lower: &str) -> bool {
    [
        "select",
        "from",
        "where",
        "and",
        "or",
        "not",
        "null",
        "is",
        "in",
        "as",
        "on",
        "join",
        "left",
        "inner",
        "outer",
        "cross",
        "group",
        "order",
        "by",
        "having",
        "limit",
        "offset",
        "union",
        "all",
        "distinct",
        "case",
        "when",
        "then",
        "else",
        "end",
        "cast",
        "exists",
        "between",
        "like",
        "with",
        "asc",
        "desc",
        "true",
        "false",
        "text",
        "integer",
        "real",
        "numeric",
        "using",
        "full",
        "over",
        "partition",
        "filter",
        "values",
        "except",
        "intersect",
        "recursive",
        "collate",
        "right",
        "nulls",
        "first",
        "last",
        "bigint",
        "boolean",
        "int",
    ]
    .contains(&lower)
}

fn ident(out: &mut String, name: &str) {
    out.push('"');
    out.push_str(&postgres_name(name).unwrap_or_else(|| name.to_owned()).replace('"', "\"\""));
    out.push('"');
}

/// The quoted part at the start of `text`, its quotes included, and what follows.
fn until(text: &str, quote: char) -> Result<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut index = 1;
    while index < bytes.len() {
        if bytes[index] == quote as u8 {
            if bytes.get(index + 1) != Some(&(quote as u8)) {
                return Ok(text.split_at(index + 1));
            }
            index += 1;
        }
        index += 1;
    }
    Err(open(text))
}

fn open(text: &str) -> Error {
    Error::Refused(format!("a quote is not closed: {}", text.chars().take(40).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::to_postgres;

    #[test]
    fn spelling() {
        for (sqlite, postgres) in [
            ("`email` != ''", "\"email\" != ''"),
            ("[a b] == 'it''s `x`'", "\"a b\" = 'it''s `x`'"),
            ("emailVisibility = TRUE And x", "\"emailVisibility\" = TRUE And x"),
            ("IFNULL(`a`, 1)", "coalesce(\"a\", 1)"),
        ] {
            assert_eq!(to_postgres(sqlite).ok().as_deref(), Some(postgres));
        }
        assert!(to_postgres("`a` COLLATE NOCASE = ''").is_err());
        assert!(to_postgres("`a").is_err());
    }
}
