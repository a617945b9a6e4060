//! The `fields` parameter: which parts of an answer the client wants.

use serde_json::{Map, Value as Json};

/// Wanted parts as a tree of names; `*` stands for every name not told otherwise.
#[derive(Default, Debug)]
struct Pick {
    below: Vec<(String, Pick)>,
    modifier: Option<Excerpt>,
}

#[derive(Clone, Copy, Debug)]
struct Excerpt {
    chars_max: usize,
    ellipsis: bool,
}

/// Reduces an answer to the wanted fields. With `in_items` they are those of each of a page's items.
/// `None` when a modifier is unknown or wrongly used.
pub fn pick(answer: &str, fields: &str, in_items: bool) -> Option<String> {
    let pick = parse(fields)?;
    let mut json: Json = serde_json::from_str(answer).ok()?;
    match (in_items, &mut json) {
        (true, Json::Object(page)) => {
            if let Some(items) = page.get_mut("items") {
                apply(items, &pick);
            }
        }
        _ => apply(&mut json, &pick),
    }
    Some(model::json_text::stored(&json))
}

fn parse(fields: &str) -> Option<Pick> {
    let mut root = Pick::default();
    for path in split(fields) {
        let (path, modifier) = match path.split_once(':') {
            Some((path, modifier)) => (path, Some(excerpt(modifier)?)),
            None => (path, None),
        };
        let mut at = &mut root;
        for name in path.trim().split('.') {
            let index = match at.below.iter().position(|(known, _)| known == name) {
                Some(index) => index,
                None => {
                    at.below.push((name.to_string(), Pick::default()));
                    at.below.len() - 1
                }
            };
            at = &mut at.below[index].1;
        }
        at.modifier = modifier;
    }
    Some(root)
}

/// Splits at commas outside of parentheses.
fn split(fields: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (index, byte) in fields.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&fields[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&fields[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn excerpt(modifier: &str) -> Option<Excerpt> {
    let arguments = modifier.trim().strip_prefix("excerpt(")?.strip_suffix(')')?;
    let mut arguments = arguments.split(',').map(str::trim);
    let chars_max = arguments.next()?.parse().ok().filter(|max| *max > 0)?;
    let ellipsis = match arguments.next() {
        None => false,
        Some(flag) => matches!(flag, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    };
    arguments.next().is_none().then_some(Excerpt { chars_max, ellipsis })
}

fn apply(json: &mut Json, pick: &Pick) {
    if let Some(excerpt) = pick.modifier
        && let Json::String(text) = json
    {
        *text = shorten(text, excerpt);
    }
    if pick.below.is_empty() {
        return;
    }
    match json {
        // Only lists of objects, as records are, are looked into.
        Json::Array(items) if items.first().is_some_and(Json::is_object) => {
            items.iter_mut().for_each(|item| apply(item, pick));
        }
        Json::Object(object) => {
            // `*` is every key only where the path ends with it.
            let every = |(name, below): &&(String, Pick)| name == "*" && below.below.is_empty();
            let rest = pick.below.iter().find(every).map(|(_, rest)| rest);
            let mut kept = Map::new();
            for (key, mut value) in std::mem::take(object) {
                let named = pick.below.iter().find(|(name, _)| *name == key).map(|(_, named)| named);
                if let Some(wanted) = named.or(rest) {
                    apply(&mut value, wanted);
                    kept.insert(key, value);
                }
            }
            *object = kept;
        }
        _ => {}
    }
}

/// Elements that run on within a line; the others part words.
const INLINE_TAGS: [&str; 20] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "mark", "q", "s", "small",
    "span", "strong", "sub", "sup", "u",
];

/// Plain text of at most so many characters: tags out, white space folded.
fn shorten(text: &str, excerpt: Excerpt) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        plain.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('>') else {
            rest = &rest[open..];
            break;
        };
        let tag = rest[open + 1..open + close].trim_start_matches('/');
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        if !INLINE_TAGS.contains(&name.to_ascii_lowercase().as_str()) {
            plain.push(' ');
        }
        rest = &rest[open + close + 1..];
    }
    plain.push_str(rest);
    let folded = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if folded.chars().count() <= excerpt.chars_max {
        return folded;
    }
    let cut: String = folded.chars().take(excerpt.chars_max).collect();
    let mut cut = cut.trim_end().to_string();
    if excerpt.ellipsis {
        cut.push_str("...");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks() {
        let answer = r#"{"a":1,"b":{"c":"<p>one two</p> three","d":2},"e":[{"f":1,"g":2}]}"#;
        for (fields, expected) in [
            ("a", r#"{"a":1}"#),
            ("b.c", r#"{"b":{"c":"<p>one two</p> three"}}"#),
            ("*,b.d", r#"{"a":1,"b":{"d":2},"e":[{"f":1,"g":2}]}"#),
            ("e.g", r#"{"e":[{"g":2}]}"#),
            ("b.c:excerpt(7,true)", r#"{"b":{"c":"one two..."}}"#),
            ("nope", "{}"),
        ] {
            assert_eq!(pick(answer, fields, false).as_deref(), Some(expected), "{fields}");
        }
        assert_eq!(pick(answer, "a:unknown()", false), None);
    }
}
