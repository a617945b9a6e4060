//! The rules of the house that a compiler does not keep: layering, purity, file length, forbidden words, and
//! dependencies that nobody uses.
//! Reads the manifests and sources as text; changes nothing.

mod layers;
mod sources;
mod unused;

use std::fs;
use std::path::{Path, PathBuf};

/// One breach: a file, a line (0 for the whole file) and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    pub file: String,
    pub line: usize,
    pub what: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A text file of the workspace.
#[derive(Debug, Default)]
pub struct Text {
    /// Relative to the root, with forward slashes.
    pub path: String,
    pub content: String,
    /// Whether the file is part of a module that exists for tests only.
    pub only_tests: bool,
}

impl Text {
    /// The crate that the file belongs to: `store` for `crates/store/src/lib.rs`, `xtask` for `xtask/…`.
    fn owner(&self) -> &str {
        let mut parts = self.path.split('/');
        match (parts.next(), parts.next()) {
            (Some("crates"), Some(name)) => name,
            (Some(first), _) => first,
            _ => "",
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test(&self) -> bool {
        self.owner() == "testkit"
            || self.only_tests
            || ["/tests/", "/benches/"].iter().any(|dir| self.path.contains(dir))
    }

    /// Lines with their numbers from 1, up to the file's own test module.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.content.lines().collect();
        let is_module = |line: Option<&&str>| line.is_some_and(|l| l.contains("mod ") && l.contains('{'));
        let mut pairs = (0..lines.len()).map(|i| (lines[i], lines.get(i + 1)));
        let end = pairs.position(|(line, next)| is_test_mark(line.trim()) && is_module(next));
        let end = end.unwrap_or(lines.len());
        lines.into_iter().take(end).enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Path prefixes, without `.rs`, of the modules that the file declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let lines: Vec<&str> = self.content.lines().map(str::trim).collect();
        let stem = self.path.trim_end_matches(".rs");
        let is_root = ["/mod", "/lib", "/main"].iter().any(|name| stem.ends_with(name));
        let dir = if is_root { stem.rsplit_once('/').map_or("", |(dir, _)| dir) } else { stem };
        let declared = lines.windows(2).filter(|pair| is_test_mark(pair[0])).filter_map(|pair| {
            let name = pair[1].trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            Some(format!("{dir}/{}", name.strip_prefix("mod ")?.strip_suffix(';')?))
        });
        declared.collect()
    }
}

fn is_test_mark(line: &str) -> bool {
    line == "#[cfg(test)]" || line.starts_with("#[cfg(any(test,")
}

/// Every breach below `root`, sorted.
pub fn check(root: &Path) -> Vec<Breach> {
    let texts = read(root);
    let mut found = layers::check(&texts);
    found.extend(sources::check(&texts));
    found.extend(unused::check(&texts));
    found.sort();
    found
}

fn read(root: &Path) -> Vec<Text> {
    let mut texts = Vec::new();
    for dir in ["crates", "xtask", "docs", ".ci"] {
        walk(root, &root.join(dir), &mut texts);
    }
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        add(root, entry.path(), &mut texts);
    }
    let modules: Vec<String> = texts.iter().filter(|t| t.is_rust()).flat_map(Text::test_modules).collect();
    for text in &mut texts {
        let inside = |module: &String| {
            text.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        text.only_tests = modules.iter().any(inside);
    }
    texts
}

fn walk(root: &Path, dir: &Path, texts: &mut Vec<Text>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            add(root, path, texts);
        } else if !path.ends_with("target") && !path.ends_with("node_modules") {
            walk(root, &path, texts);
        }
    }
}

fn add(root: &Path, path: PathBuf, texts: &mut Vec<Text>) {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let known = ["rs", "toml", "md", "txt", "mjs", "js", "sh", "lua", "sql"];
    let is_text =
        path.extension().and_then(|e| e.to_str()).is_some_and(|e| known.contains(&e)) || name == "run";
    if !is_text || !path.is_file() {
        return;
    }
    if let (Ok(content), Ok(path)) = (fs::read_to_string(&path), path.strip_prefix(root)) {
        let path = path.to_string_lossy().replace('\\', "/");
        texts.push(Text { path, content, only_tests: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(path: &str, content: &str) -> Vec<String> {
        let texts = [Text { path: path.into(), content: content.into(), only_tests: false }];
        let mut found = layers::check(&texts);
        found.extend(sources::check(&texts));
        found.into_iter().map(|b| b.what).collect()
    }

    #[test]
    fn clean_code_passes() {
        assert!(breaches("crates/store/src/lib.rs", "//! The store.\nuse query::Select;\n").is_empty());
        assert!(breaches("crates/store/src/engine/sqlite.rs", "use rusqlite::Connection;\n").is_empty());
    }

    #[test]
    fn each_rule_catches_its_breach() {
        let planted = [
            ("crates/store/Cargo.toml", "[dependencies]\nmodel.workspace = true\n"),
            ("crates/query/Cargo.toml", "[dependencies]\nobserve.workspace = true\n"),
            ("crates/app/Cargo.toml", "[dependencies]\ntestkit.workspace = true\n"),
            ("crates/app/Cargo.toml", "[dependencies]\naxum.workspace = true\n"),
            ("crates/app/Cargo.toml", "[dependencies]\nrusqlite.workspace = true\n"),
            ("crates/newcomer/Cargo.toml", "[dependencies]\n"),
            ("crates/store/src/a.rs", "use model::Collection;\n"),
            ("crates/model/src/a.rs", "async fn f() {}\n"),
            ("crates/model/src/a.rs", "let x = f().await;\n"),
            ("crates/base/src/a.rs", "use std::fs;\n"),
            ("crates/app/src/a.rs", "use axum::Router;\n"),
            ("crates/store/src/a.rs", "use rusqlite::Connection;\n"),
            ("crates/app/src/a.rs", "static CACHE: OnceLock<u8> = OnceLock::new();\n"),
            ("crates/app/src/a.rs", "static mut N: u8 = 0;\n"),
            ("crates/app/src/a.rs", "let x = f().unwrap();\n"),
            ("crates/app/src/a.rs", concat!("// TO", "DO: later\n")),
            ("crates/app/src/a.rs", concat!("to", "do!()\n")),
            ("docs/a.md", concat!("see /wo", "rk/x\n")),
            ("crates/app/src/lib.rs", "pub mod a;\n"),
        ];
        for (path, content) in planted {
            assert_eq!(breaches(path, content).len(), 1, "{path}: {content}");
        }
        assert_eq!(breaches("crates/app/src/a.rs", &"// x\n".repeat(601)).len(), 1);
    }

    #[test]
    fn unused_dependencies_are_found() {
        let text = |path: &str, content: &str| Text {
            path: path.into(),
            content: content.into(),
            only_tests: false,
        };
        let texts = [
            text("Cargo.toml", "[workspace.dependencies]\nserde-json = '1'\nurl = '2'\nrand = '1'\n"),
            text("crates/app/Cargo.toml", "[dependencies]\nserde-json = '1'\nurl = '2'\n"),
            text("crates/app/src/a.rs", "use serde_json::Value;\nfn curl() { xurl::f(); }\n"),
        ];
        let found: Vec<String> = unused::check(&texts).into_iter().map(|b| b.what).collect();
        assert_eq!(found, ["url is not used", "rand is taken by no crate"]);
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_known() {
        let text = |path: &str, content: &str| Text {
            path: path.into(),
            content: content.into(),
            only_tests: false,
        };
        let declared = "#[cfg(test)]\nmod contract;\npub mod engine;\nfn f() { g().unwrap(); }\n";
        assert_eq!(text("crates/store/src/lib.rs", declared).test_modules(), ["crates/store/src/contract"]);
        assert_eq!(
            text("crates/model/src/filter.rs", declared).test_modules(),
            ["crates/model/src/filter/contract"]
        );
        assert_eq!(breaches("crates/store/src/a.rs", declared).len(), 1);
    }

    #[test]
    fn tests_may_unwrap() {
        let code = "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { h().unwrap(); } }\n";
        assert!(breaches("crates/app/src/a.rs", code).is_empty());
        assert!(breaches("crates/app/tests/a.rs", "h().unwrap();\n").is_empty());
    }
}
