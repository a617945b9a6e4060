//! The floors: a crate imports lower floors only, and some libraries live in one place.

use super::{Breach, Text};

/// A crate's floor. One that is not listed here has no place in the house yet: list it.
const FLOORS: &[(&str, u8)] = &[
    ("base", 1),
    ("query", 2),
    ("cluster", 2),
    ("edge", 2),
    ("observe", 2),
    ("model", 3),
    ("store", 3),
    ("backing", 4),
    ("app", 5),
    ("web", 6),
    ("pando", 7),
];
/// Development only: not of any floor.
const OUTSIDE: &[&str] = &["testkit", "xtask"];
/// Libraries and the one place (a path prefix) that may use them.
const CONFINED: &[(&str, &str, &str)] = &[
    ("axum", "axum::", "crates/web/"),
    ("rusqlite", "rusqlite::", "crates/store/src/engine/"),
    ("tokio-postgres", "tokio_postgres::", "crates/store/src/engine/"),
    ("deadpool-postgres", "deadpool_postgres::", "crates/store/src/engine/"),
    ("postgres-types", "postgres_types::", "crates/store/src/engine/"),
];

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(n, _)| *n == name).map(|(_, floor)| *floor)
}

pub fn check(texts: &[Text]) -> Vec<Breach> {
    let mut found = Vec::new();
    for text in texts {
        if text.path.ends_with("/Cargo.toml") {
            manifest(text, &mut found);
        } else if text.is_rust() && !text.is_test() && !OUTSIDE.contains(&text.owner()) {
            source(text, &mut found);
        }
    }
    found
}

fn manifest(text: &Text, found: &mut Vec<Breach>) {
    let owner = text.owner();
    let mut breach = |what: String| found.push(Breach { file: text.path.clone(), line: 0, what });
    if OUTSIDE.contains(&owner) {
        return;
    }
    let Some(own) = floor(owner) else {
        breach(format!("{owner} has no floor"));
        return;
    };
    let Ok(manifest) = text.content.parse::<toml::Table>() else {
        breach("not TOML".into());
        return;
    };
    let names = |table: &str| -> Vec<String> {
        let table = manifest.get(table).and_then(|t| t.as_table());
        table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
    };
    for name in names("dependencies") {
        if OUTSIDE.contains(&name.as_str()) {
            breach(format!("{name} is for development only"));
        } else if floor(&name).is_some_and(|other| other >= own) {
            breach(format!("{owner} (floor {own}) must not import {name}"));
        } else if let Some((_, _, place)) = CONFINED.iter().find(|c| c.0 == name)
            && !place.starts_with(&format!("crates/{owner}/"))
        {
            breach(format!("{name} belongs to {place}"));
        }
    }
    for name in names("dev-dependencies") {
        if floor(&name).is_some_and(|other| other >= own) {
            breach(format!("{owner} (floor {own}) must not import {name}, not even in tests"));
        }
    }
}

fn source(text: &Text, found: &mut Vec<Breach>) {
    let owner = text.owner();
    let Some(own) = floor(owner) else { return };
    for (line, code) in text.code() {
        let mut breach = |what: String| found.push(Breach { file: text.path.clone(), line, what });
        let code = code.split("//").next().unwrap_or_default();
        if let Some(name) = imported(code)
            && name != owner
            && floor(name).is_some_and(|other| other >= own)
        {
            breach(format!("{owner} (floor {own}) must not import {name}"));
        }
        for (name, mark, place) in CONFINED {
            if code.contains(mark) && !text.path.starts_with(place) {
                breach(format!("{name} belongs to {place}"));
            }
        }
    }
}

/// The crate that a `use` line imports from.
fn imported(code: &str) -> Option<&str> {
    let code = code.trim_start();
    let code = code.strip_prefix("pub ").or(code.strip_prefix("pub(crate) ")).unwrap_or(code);
    let path = code.strip_prefix("use ")?.trim_start_matches("::");
    path.contains("::").then(|| path.split("::").next()).flatten()
}
