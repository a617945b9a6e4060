//! What the text of a query says of its result columns where the engine cannot tell: casts and counts.

use query::ColumnType;

/// The types of the items of the first SELECT list, in order; `Dynamic` where the text says nothing.
pub fn item_types(query: &str) -> Vec<ColumnType> {
    items(query).iter().map(|item| item_type(item)).collect()
}

fn item_type(item: &str) -> ColumnType {
    let lower = item.trim().to_ascii_lowercase();
    let head: String = lower.chars().filter(|c| !c.is_whitespace()).take(8).collect();
    if head.starts_with("count(") || head.starts_with("total(") {
        return ColumnType::Number;
    }
    let Some(cast) = lower.strip_prefix("cast").map(str::trim_start).filter(|rest| rest.starts_with('('))
    else {
        return ColumnType::Dynamic;
    };
    let Some(end) = close(cast) else { return ColumnType::Dynamic };
    match cast[..end].rsplit_once(" as ").map(|(_, ty)| ty.trim()) {
        Some("int" | "integer" | "real" | "numeric" | "decimal" | "number") => ColumnType::Number,
        Some("bool" | "boolean") => ColumnType::Bool,
        Some("text") => ColumnType::Text,
        _ => ColumnType::Dynamic,
    }
}

/// Where the bracket that opens `text` closes.
fn close(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (index, c, quoted) in Scan::new(text) {
        match c {
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth <= 1 => return Some(index),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The select list, split at its own commas.
fn items(query: &str) -> Vec<&str> {
    let lower = query.to_ascii_lowercase();
    let word = |at: usize, word: &str| {
        let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        lower[at..].starts_with(word)
            && (at == 0 || !part(lower.as_bytes()[at - 1]))
            && !lower.as_bytes().get(at + word.len()).copied().is_some_and(part)
    };
    let mut out = Vec::new();
    let (mut depth, mut start) = (0usize, None);
    for (index, c, quoted) in Scan::new(query) {
        if quoted {
            continue;
        }
        match (c, start) {
            ('(', _) => depth += 1,
            (')', _) => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            (_, None) if word(index, "select") => start = Some(index + "select".len()),
            (_, Some(from)) if word(index, "from") => {
                out.push(&query[from..index]);
                return distinct_free(out);
            }
            (',', Some(from)) => {
                out.push(&query[from..index]);
                start = Some(index + 1);
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        out.push(&query[from..]);
    }
    distinct_free(out)
}

fn distinct_free(mut items: Vec<&str>) -> Vec<&str> {
    if let Some(first) = items.first_mut() {
        let trimmed = first.trim_start();
        if trimmed.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("distinct")) {
            *first = &trimmed[8..];
        }
    }
    items
}

/// Characters with their place and whether they stand in quotes.
struct Scan<'t> {
    chars: std::str::CharIndices<'t>,
    quote: Option<char>,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        Scan { chars: text.char_indices(), quote: None }
    }
}

impl Iterator for Scan<'_> {
    type Item = (usize, char, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, c) = self.chars.next()?;
        let quoted = match self.quote {
            Some(quote) => {
                if c == quote {
                    self.quote = None;
                }
                true
            }
            None => {
                self.quote = match c {
                    '\'' | '"' | '`' => Some(c),
                    '[' => Some(']'),
                    _ => None,
                };
                self.quote.is_some()
            }
        };
        Some((index, c, quoted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        use ColumnType::{Dynamic, Number, Text};
        assert_eq!(
            item_types(
                "SELECT DISTINCT count(*) AS n, CAST(a, ' as b' AS TEXT) t, (SELECT 1 FROM x) z, `from` FROM t"
            ),
            [Number, Text, Dynamic, Dynamic]
        );
        assert_eq!(item_types("select p.id, total(x) from p"), [Dynamic, Number]);
        assert_eq!(item_types("with a as (select 1 from b) select count ( id ), é from a").len(), 2);
    }
}
