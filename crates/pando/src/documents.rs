//! The documents name only what there is: commands and options, keys and variables of the configuration, files and headings that
//! links lead to; and each guide, and the list of keys, says the same in both languages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::cli::Cli;
use crate::config::named;

/// What is written as keys are and is none, besides what [`SYSTEM`] names.
const FOREIGN: [&str; 3] = ["data.db", "data.x", "files.store"];
/// Names the kinds of events, and figures, which are written as keys are.
const SYSTEM: &str = "docs/system-api.md";

struct Document {
    path: PathBuf,
    text: String,
}

/// A line of code, and the language that its block names; empty for one that is set in.
struct Code<'a> {
    language: &'a str,
    block: usize,
    line: &'a str,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn documents() -> Vec<Document> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => walk(&path, found),
                false if path.extension().is_some_and(|ending| ending == "md") => found.push(path),
                false => {}
            }
        }
    }
    let root = root();
    let mut paths = vec![root.join("README.md"), root.join("README.ko.md"), root.join("deploy/README.md")];
    walk(&root.join("docs"), &mut paths);
    let read = |path: PathBuf| Document { text: std::fs::read_to_string(&path).unwrap(), path };
    paths.into_iter().map(read).collect()
}

impl Document {
    /// As a person would write it.
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    fn code(&self) -> Vec<Code<'_>> {
        let (mut found, mut fence, mut block) = (Vec::new(), None, 0);
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), fence) {
                (Some(language), None) => (fence, block) = (Some(language), block + 1),
                (Some(_), Some(_)) => fence = None,
                (None, Some(language)) => found.push(Code { language, block, line }),
                (None, None) if line.starts_with("    ") => {
                    found.push(Code { language: "", block, line: line.trim() })
                }
                (None, None) => {}
            }
        }
        found
    }

    /// What is neither in a block nor between backticks.
    fn prose(&self) -> String {
        let mut is_code = false;
        let lines = self.text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence && !line.starts_with("    ")
        });
        let lines: Vec<&str> = lines.collect();
        lines.join("\n").split('`').step_by(2).collect()
    }

    /// What stands between backticks, outside of blocks.
    fn spans(&self) -> Vec<String> {
        let mut is_code = false;
        let mut found = Vec::new();
        for line in self.text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            if !is_code && !is_fence {
                found.extend(spans(line).map(str::to_owned));
            }
        }
        found
    }

    fn headings(&self) -> Vec<(usize, String)> {
        let mut is_code = false;
        let lines = self.text.lines().filter(|line| {
            is_code ^= line.starts_with("```");
            !is_code && line.starts_with('#')
        });
        let heading = |line: &str| {
            let title = line.trim_start_matches('#');
            (line.len() - title.len(), title.trim().to_owned())
        };
        lines.map(heading).collect()
    }
}

/// What stands between backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// As the forges make them of headings.
fn anchor(title: &str) -> String {
    let kept = title
        .to_lowercase()
        .chars()
        .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// The words of a line as a shell reads them, as far as documents need one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), it) if it == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn keys() -> BTreeSet<String> {
    named::paths().into_iter().collect()
}

#[test]
fn commands_are_taken() {
    let mut seen = 0;
    for document in documents() {
        for code in document.code() {
            let mut given = words(code.line);
            given.retain(|word| word != "…");
            let set =
                given.iter().take_while(|word| word.starts_with("PANDO_") && word.contains('=')).count();
            let variables: Vec<String> = given.drain(..set).collect();
            for variable in &variables {
                let (name, _) = variable.split_once('=').unwrap();
                assert!(named::is_variable(name), "{}: {name} sets nothing", document.name());
            }
            if given.first().is_none_or(|program| program != "pando") {
                continue;
            }
            if let Some(end) = given.iter().position(|word| matches!(word.as_str(), ">" | "|" | "&" | "&&")) {
                given.truncate(end);
            }
            let taken = Cli::try_parse_from(&given);
            let problem = taken.err().map(|error| error.to_string());
            assert!(problem.is_none(), "{}: {}: {}", document.name(), code.line, problem.unwrap_or_default());
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} commands were found");
}

#[test]
fn configuration_is_read() {
    let mut seen = 0;
    for document in documents() {
        let mut blocks: BTreeMap<usize, String> = BTreeMap::new();
        for it in document.code().iter().filter(|it| it.language == "toml") {
            *blocks.entry(it.block).or_default() += &format!("{}\n", it.line);
        }
        for block in blocks.values() {
            let read = named::check(block);
            assert!(read.is_ok(), "{}: {:#}\n{block}", document.name(), read.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} tables were found");
}

#[test]
fn keys_variables_and_metrics_that_are_named_are_there() {
    let keys = keys();
    let sections: BTreeSet<&str> =
        keys.iter().filter_map(|key| key.split_once('.')).map(|(first, _)| first).collect();
    let metrics = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let is_key = |name: &str| {
        let begins = format!("{name}.");
        // Under `cache.collections` stand names of the user's.
        keys.contains(name)
            || keys.iter().any(|key| key.starts_with(&begins))
            || name.starts_with("cache.collections.")
    };
    let documents = documents();
    let system = documents.iter().find(|document| document.name() == SYSTEM).unwrap();
    let foreign: BTreeSet<String> = system.spans().into_iter().chain(FOREIGN.map(str::to_owned)).collect();
    let mut wrong = Vec::new();
    for document in &documents {
        for span in document.spans() {
            let name = span.split([' ', '=', '{', ',']).next().unwrap_or_default();
            let is_path = name.chars().all(|it| matches!(it, 'a'..='z' | '0'..='9' | '.' | '_'));
            let is_file = Path::new(name)
                .extension()
                .is_some_and(|it| ["rs", "md", "conf", "toml"].iter().any(|end| it == *end));
            let first = name.split('.').next().unwrap_or_default();
            let is_there = match name {
                name if name.starts_with("PANDO_") => {
                    named::is_variable(name)
                        || name.ends_with('_')
                        || name == "PANDO_WRITE_DOCS"
                        || name == "PANDO_JOBS"
                }
                name if name.starts_with("pando_") => {
                    !is_path || name.ends_with('_') || metrics.contains(&format!("`{name}`"))
                }
                name if is_path && name.contains('.') && sections.contains(first) => {
                    is_file || foreign.contains(name) || is_key(name)
                }
                _ => true,
            };
            if !is_there {
                wrong.push(format!("{}: {name}", document.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let prose = document.prose();
        for (at, _) in prose.match_indices("](") {
            let target = prose[at + 2..].split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.path.clone(),
                file => document.path.parent().unwrap().join(file),
            };
            let found = path.exists();
            let leads = match (found, fragment) {
                (false, _) => false,
                (true, "") => true,
                (true, fragment) => {
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    let linked = Document { path, text };
                    linked.headings().iter().any(|(_, title)| anchor(title) == fragment)
                }
            };
            if !leads {
                broken.push(format!("{}: {target}", document.name()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn both_languages_say_the_same() {
    let docs = root().join("docs");
    let documents = documents();
    let pairs = documents.iter().filter_map(|english| {
        let inside = english.path.strip_prefix(&docs).ok()?;
        let is_told_twice = inside.starts_with("guide")
            || ["configuration.md", "operating.md"].map(Path::new).contains(&inside);
        let korean = docs.join("ko").join(inside);
        is_told_twice.then(|| (english, documents.iter().find(|document| document.path == korean)))
    });
    let mut count = 0;
    for (english, korean) in pairs {
        let name = english.name();
        let korean = korean.unwrap_or_else(|| panic!("{name} has no Korean one"));
        let levels = |document: &Document| -> Vec<usize> {
            document.headings().into_iter().map(|(level, _)| level).collect()
        };
        assert_eq!(levels(english), levels(korean), "headings of {name}");
        // What is typed is the same; what is drawn has words.
        let typed = |document: &Document| -> Vec<String> {
            let code = document.code().into_iter().filter(|it| matches!(it.language, "sh" | "toml" | "ini"));
            code.map(|it| it.line.to_owned()).collect()
        };
        assert_eq!(typed(english), typed(korean), "code of {name}");
        let rows = |document: &Document| document.text.lines().filter(|line| line.starts_with('|')).count();
        assert_eq!(rows(english), rows(korean), "rows of tables of {name}");
        count += 1;
    }
    let all = documents.iter().filter(|document| document.path.starts_with(docs.join("ko"))).count();
    assert_eq!(count, all, "some Korean document has no English one");
}

#[test]
fn each_key_is_told_the_same_in_both_languages() {
    const KOREAN: &str = "docs/ko/configuration.md";
    let documents = documents();
    // What follows the introduction: headings, what is said of them, and rows, each in one line.
    let sections = |name: &str| {
        let document = documents.iter().find(|document| document.name() == name).unwrap();
        let lines = document.text.lines().skip_while(|line| !line.starts_with("## "));
        lines.filter(|line| !line.is_empty())
    };
    let code = |line: &str| {
        let mut found: Vec<String> = spans(line).map(str::to_owned).collect();
        found.sort();
        (line.starts_with('#'), line.starts_with('|'), found)
    };
    let mut korean = sections(KOREAN);
    let (mut words, mut count) = (BTreeMap::new(), 0);
    for english in sections("docs/configuration.md") {
        let told = korean.next().unwrap_or_default();
        assert_eq!(code(english), code(told), "{KOREAN} has other code, or another row, for: {english}");
        if !english.starts_with("| `") {
            continue;
        }
        for (at, (cell, told)) in english.split(" | ").zip(told.split(" | ")).take(5).enumerate() {
            // Kinds and readers have one translation each, and so have defaults that are a word; all else is as it is.
            let is_word = cell.bytes().all(|it| it.is_ascii_lowercase());
            let is_same = match matches!(at, 2 | 4) || at == 3 && is_word {
                true => *words.entry(cell).or_insert(told) == told,
                false => cell == told,
            };
            assert!(is_same, "{KOREAN}: {told:?} is not {cell:?}, or not as it was before, in: {english}");
        }
        count += 1;
    }
    assert_eq!(korean.next(), None, "{KOREAN} has more");
    assert!(count > 100, "only {count} keys were found");
}
