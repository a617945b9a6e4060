//! Names that TypeScript takes.

use base::json::write_string;
use model::Schema;
use rustc_hash::FxHashMap;

/// What each collection's types are called, by the collection's name.
pub struct Names(FxHashMap<String, String>);

impl Names {
    /// `blog_posts` is `BlogPosts`. Where two collections would be called the same, both carry their own name behind
    /// it, so that neither is renamed by the order they come in.
    pub fn of(schema: &Schema) -> Self {
        let names = || schema.collections.iter().map(|collection| &*collection.name);
        let mut count: FxHashMap<String, usize> = FxHashMap::default();
        for name in names() {
            *count.entry(pascal(name)).or_default() += 1;
        }
        let called = names().map(|name| {
            let short = pascal(name);
            let called = match short.is_empty() || count.get(&short).is_some_and(|count| *count > 1) {
                true => format!("{short}_{name}"),
                false => short,
            };
            let starts_well = !called.starts_with(|first: char| first.is_ascii_digit());
            (name.to_string(), if starts_well { called } else { format!("_{called}") })
        });
        Names(called.collect())
    }

    pub fn get<'a>(&'a self, collection: &'a str) -> &'a str {
        self.0.get(collection).map_or(collection, String::as_str)
    }
}

/// Words start at underscores and keep their own capitals.
fn pascal(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

/// A property's name, quoted where it must be.
pub fn key(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    match name.chars().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit()) {
        true => name.to_string(),
        false => literal(name),
    }
}

/// A text as a literal.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    // Line ends to JavaScript, though not to JSON.
    out.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A comment's text on one line, which cannot end the comment.
pub fn comment(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "*\\/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_is_none() {
        for (name, expected) in [
            ("posts", "Posts"),
            ("blog_posts", "BlogPosts"),
            ("_superusers", "Superusers"),
            ("aB_c", "ABC"),
            ("__", ""),
        ] {
            assert_eq!(pascal(name), expected);
        }
        assert_eq!(key("a+"), "\"a+\"");
        assert_eq!(key("2fa"), "\"2fa\"");
        assert_eq!(key("delete"), "delete");
        assert_eq!(literal("a\"\u{2028}\n"), "\"a\\\"\\u2028\\n\"");
        assert_eq!(comment("a */ b\nc"), "a *\\/ b c");
    }
}
