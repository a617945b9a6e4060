//! The list is what is kept, and its document says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

const INTRODUCTION: &str = "# Metrics\n\n\
    What `/metrics` tells, in Prometheus' text format. This list is made from `crates/observe/src/metrics/described.rs`;\n\
    `PANDO_WRITE_DOCS=1 cargo test -p observe` writes it anew, and a test fails where it is not the same.\n\n\
    Besides these there are the process's own under the usual names: `process_cpu_seconds_total`,\n\
    `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds`,\n\
    `process_threads`, `process_start_time_seconds`.\n\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.extension() {
            _ if path.is_dir() => sources(&path, found),
            Some(ending) if ending == "rs" => found.push(path),
            _ => {}
        }
    }
}

/// Every name that what ships gives to a macro of the facade, and what stores tell of their inside.
fn kept() -> BTreeSet<String> {
    let mut files = Vec::new();
    for part in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        sources(&part.path().join("src"), &mut files);
    }
    files.retain(|path| {
        !path.ends_with("metrics/described.rs")
            && !path.ends_with("described/tests.rs")
            && !path.ends_with("pulse/chosen.rs")
            && !path.ends_with("pulse/reading.rs")
            && !path.to_string_lossy().contains("testkit")
    });
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for (at, _) in text.match_indices("\"pando_") {
            let (before, name) = (text[..at].trim_end(), &text[at + 1..]);
            let name = &name[..name.find('"').unwrap_or_default()];
            let kept = ["counter!(", "gauge!(", "histogram!("].iter().any(|made| before.ends_with(made));
            if kept || name.starts_with("pando_store_") {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn all_that_is_kept_is_described_and_the_other_way_round() {
    let described: BTreeSet<String> = all().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(described.len(), all().count(), "one is there twice");
    assert_eq!(kept(), described);
}

#[test]
fn names_tell_units() {
    for metric in all() {
        let name = metric.name;
        let is_counter = matches!(metric.kind, Counter);
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        assert_eq!(name.ends_with("_seconds"), matches!(metric.unit, Unit::Seconds), "{name}");
        let bytes = name.ends_with("_bytes") || name.ends_with("_bytes_max");
        assert_eq!(bytes, matches!(metric.unit, Unit::Bytes), "{name}");
        assert!(metric.help.ends_with('.'), "{name}");
    }
}

#[test]
fn the_document_lists_them_all() {
    let path = root().join("docs/metrics.md");
    let text = format!("{INTRODUCTION}{}", document());
    if std::env::var_os("PANDO_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "docs/metrics.md is of another list");
}
