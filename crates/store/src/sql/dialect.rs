//! Where the two engines spell a thing differently, both spellings stand here side by side.

use std::fmt::Write;

use query::{Alias, ColumnType};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// PostgreSQL cuts identifiers at this many bytes.
const POSTGRES_NAME_BYTES_MAX: usize = 63;
/// Columns that every PostgreSQL table has already.
const POSTGRES_SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

impl Dialect {
    /// Appends an identifier. It may come from a user: it is always quoted. Backticks, because SQLite reads an
    /// unknown name in double quotes as a text.
    pub fn ident(self, out: &mut String, name: &str) {
        match self {
            Dialect::Sqlite => quoted(out, name, '`'),
            Dialect::Postgres => match postgres_name(name) {
                Some(mapped) => quoted(out, &mapped, '"'),
                None => quoted(out, name, '"'),
            },
        }
    }

    /// What `Engine::schema_version` tells, as an operand.
    pub fn schema_version(self) -> &'static str {
        match self {
            Dialect::Sqlite => "(SELECT schema_version FROM pragma_schema_version)",
            Dialect::Postgres => {
                "(SELECT \"value\"::float8 FROM \"_pando_meta\" WHERE \"id\"='schema_version')"
            }
        }
    }

    pub fn alias(self, out: &mut String, alias: Alias) {
        let _ = match self {
            Dialect::Sqlite => write!(out, "`a{}`", alias.0),
            Dialect::Postgres => write!(out, "\"a{}\"", alias.0),
        };
    }

    /// The placeholder of the parameter with this index, counted from 1.
    pub fn placeholder(self, out: &mut String, index: usize) {
        match self {
            Dialect::Sqlite => out.push('?'),
            Dialect::Postgres => {
                let _ = write!(out, "${index}");
            }
        }
    }

    pub fn constant(self, value: bool) -> &'static str {
        match (self, value) {
            (Dialect::Sqlite, true) => "1",
            (Dialect::Sqlite, false) => "0",
            (Dialect::Postgres, true) => "TRUE",
            (Dialect::Postgres, false) => "FALSE",
        }
    }

    /// The column that grows with every insert.
    pub fn insertion(self) -> &'static str {
        match self {
            Dialect::Sqlite => "_rowid_",
            Dialect::Postgres => "_pando_seq",
        }
    }

    /// Case-insensitive matching of ASCII letters. PostgreSQL's default escape is the backslash already, and the
    /// collation "C" keeps it to ASCII.
    pub fn like(self, negated: bool) -> (&'static str, &'static str) {
        match (self, negated) {
            (Dialect::Sqlite, false) => (" LIKE ", " ESCAPE '\\'"),
            (Dialect::Sqlite, true) => (" NOT LIKE ", " ESCAPE '\\'"),
            (Dialect::Postgres, false) => (" ILIKE ", ""),
            (Dialect::Postgres, true) => (" NOT ILIKE ", ""),
        }
    }

    /// Different, where null is a value like any other.
    pub fn distinct(self) -> &'static str {
        match self {
            Dialect::Sqlite => " IS NOT ",
            Dialect::Postgres => " IS DISTINCT FROM ",
        }
    }

    /// How a parameter is read, so that it has a type before it meets a column.
    pub fn cast(self, ty: ColumnType) -> (&'static str, &'static str) {
        match (self, ty) {
            (Dialect::Sqlite, ColumnType::Id | ColumnType::Text | ColumnType::Date) => ("CAST(", " AS TEXT)"),
            (Dialect::Sqlite, ColumnType::Number | ColumnType::Bool) => ("CAST(", " AS NUMERIC)"),
            (Dialect::Sqlite, _) => ("", ""),
            (Dialect::Postgres, ColumnType::Id | ColumnType::Text) => ("(", "::text COLLATE \"C\")"),
            (Dialect::Postgres, ColumnType::Number) => ("", "::float8"),
            (Dialect::Postgres, ColumnType::Bool) => ("", "::bool"),
            (Dialect::Postgres, ColumnType::Date) => ("", "::timestamptz"),
            (Dialect::Postgres, ColumnType::Json | ColumnType::Dynamic) => ("", "::json"),
            (Dialect::Postgres, ColumnType::List | ColumnType::Point) => ("", "::jsonb"),
        }
    }

    /// A column's definition behind its name. SQLite's are the reference's own, to the letter.
    pub fn definition(self, ty: ColumnType) -> &'static str {
        match (self, ty) {
            (Dialect::Sqlite, ColumnType::Id) => {
                "TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL"
            }
            (Dialect::Sqlite, ColumnType::Text | ColumnType::Date) => "TEXT DEFAULT '' NOT NULL",
            (Dialect::Sqlite, ColumnType::Number) => "NUMERIC DEFAULT 0 NOT NULL",
            (Dialect::Sqlite, ColumnType::Bool) => "BOOLEAN DEFAULT FALSE NOT NULL",
            (Dialect::Sqlite, ColumnType::Json | ColumnType::Dynamic) => "JSON DEFAULT NULL",
            (Dialect::Sqlite, ColumnType::List) => "JSON DEFAULT '[]' NOT NULL",
            (Dialect::Sqlite, ColumnType::Point) => r#"JSON DEFAULT '{"lon":0,"lat":0}' NOT NULL"#,
            (Dialect::Postgres, ColumnType::Id) => {
                "text COLLATE \"C\" PRIMARY KEY DEFAULT ('r' || substr(md5(gen_random_uuid()::text), 1, 14)) NOT NULL"
            }
            (Dialect::Postgres, ColumnType::Text) => "text COLLATE \"C\" DEFAULT '' NOT NULL",
            (Dialect::Postgres, ColumnType::Number) => "double precision DEFAULT 0 NOT NULL",
            (Dialect::Postgres, ColumnType::Bool) => "boolean DEFAULT FALSE NOT NULL",
            // The empty text is null here: a date column of psql's users must be a real date.
            (Dialect::Postgres, ColumnType::Date) => "timestamptz(3) DEFAULT NULL",
            // Not jsonb, which forgets key order and the spelling of numbers.
            (Dialect::Postgres, ColumnType::Json | ColumnType::Dynamic) => "json DEFAULT NULL",
            (Dialect::Postgres, ColumnType::List) => "jsonb DEFAULT '[]' NOT NULL",
            (Dialect::Postgres, ColumnType::Point) => r#"jsonb DEFAULT '{"lon":0,"lat":0}' NOT NULL"#,
        }
    }
}

fn quoted(out: &mut String, name: &str, quote: char) {
    out.push(quote);
    if name.contains(quote) {
        for c in name.chars() {
            if c == quote {
                out.push(quote);
            }
            out.push(c);
        }
    } else {
        out.push_str(name);
    }
    out.push(quote);
}

/// The name that PostgreSQL knows an identifier by, when it differs: long ones are cut and carry a hash of the
/// whole, those of system columns get a suffix.
pub fn postgres_name(name: &str) -> Option<String> {
    if POSTGRES_SYSTEM_COLUMNS.contains(&name) {
        return Some(format!("{name}$"));
    }
    if name.len() <= POSTGRES_NAME_BYTES_MAX {
        return None;
    }
    // FNV-1a: the mapping must be the same in every version and on every machine.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut cut = POSTGRES_NAME_BYTES_MAX - 17;
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    Some(format!("{}_{hash:016x}", &name[..cut]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        let ident = |dialect: Dialect, name: &str| {
            let mut out = String::new();
            dialect.ident(&mut out, name);
            out
        };
        assert_eq!(ident(Dialect::Sqlite, "a`b\"c"), "`a``b\"c`");
        assert_eq!(ident(Dialect::Postgres, "a`b\"c"), "\"a`b\"\"c\"");
        assert_eq!(ident(Dialect::Postgres, "ctid"), "\"ctid$\"");
        let long = "é".repeat(40);
        let mapped = postgres_name(&long).unwrap_or_default();
        assert!(mapped.len() <= 63 && mapped.starts_with("éé"), "{mapped}");
        assert_ne!(Some(mapped), postgres_name(&"é".repeat(41)));
    }
}
