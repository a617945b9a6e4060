//! What a source file must not hold.

use regex::Regex;

use super::{Breach, Text};

/// Crates of data and pure functions.
const PURE: &[&str] = &["base", "query", "model"];
/// An address is a value: `std::net::IpAddr` and its kin are no I/O.
const IMPURE: &[&str] = &["async fn", ".await", "std::fs", "std::net", "tokio::"];
const LINES_MAX: usize = 600;
/// Whole words that announce unfinished work. Spelt apart, for this file is read too.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
];
/// Paths of one machine.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

pub fn check(texts: &[Text]) -> Vec<Breach> {
    // Word characters before or after make it another word; `!` ends a macro's name by itself.
    let unfinished = UNFINISHED.iter().map(|w| regex::escape(w)).collect::<Vec<_>>().join("|");
    let unfinished = Regex::new(&format!(r"(^|\W)({unfinished})(\W|$)")).expect("the pattern compiles");
    let global = Regex::new(concat!(
        r"^\s*(pub(\(\w+\))? )?static (mut |.*\b(OnceLock|OnceCell|Mutex|RwLock|RefCell|Atomic\w+)\b)",
        r"|lazy_static!",
    ));
    let global = global.expect("the pattern compiles");
    let mut found = Vec::new();
    for text in texts {
        let mut breach = |line, what: String| found.push(Breach { file: text.path.clone(), line, what });
        for (i, line) in text.content.lines().enumerate() {
            if let Some(word) = unfinished.captures(line) {
                breach(i + 1, format!("{} is forbidden", &word[2]));
            }
            if let Some(path) = MACHINE.iter().find(|path| line.contains(**path)) {
                breach(i + 1, format!("{path} is a path of one machine"));
            }
        }
        if !text.is_rust() {
            continue;
        }
        let lines = text.content.lines().count();
        if lines > LINES_MAX {
            breach(0, format!("{lines} lines, {LINES_MAX} at most"));
        }
        let is_root = text.path.ends_with("/src/lib.rs") || text.path.ends_with("/src/main.rs");
        if is_root && !text.content.starts_with("//!") {
            breach(1, "begins without a //! note".into());
        }
        if text.is_test() {
            continue;
        }
        for (line, code) in text.code() {
            let code = code.split("//").next().unwrap_or_default();
            if global.is_match(code) {
                breach(line, "a global".into());
            }
            if code.contains(".unwrap()") || code.contains(".expect(\"") {
                breach(line, "unwrap or expect outside of tests".into());
            }
            if PURE.contains(&text.owner())
                && let Some(mark) =
                    IMPURE.iter().find(|mark| code.replace("std::net::Ip", "").contains(**mark))
            {
                breach(line, format!("{mark} in a crate of pure functions"));
            }
        }
    }
    found
}
