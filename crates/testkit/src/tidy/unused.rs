//! Dependencies that a manifest lists and no source of its crate names, and shared ones that no manifest takes.

use toml::Table;

use super::{Breach, Text};

pub fn check(texts: &[Text]) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    let manifests: Vec<(&Text, Table)> = texts
        .iter()
        .filter(|text| text.path.ends_with("Cargo.toml"))
        .filter_map(|text| Some((text, text.content.parse().ok()?)))
        .collect();
    for (text, manifest) in &manifests {
        let sources: Vec<&Text> =
            texts.iter().filter(|source| source.is_rust() && source.owner() == text.owner()).collect();
        for name in names(manifest, "dependencies").chain(names(manifest, "dev-dependencies")) {
            if !sources.is_empty() && !sources.iter().any(|source| mentions(&source.content, &name)) {
                found.push(Breach { file: text.path.clone(), line: 0, what: format!("{name} is not used") });
            }
            taken.push(name);
        }
    }
    for (text, manifest) in &manifests {
        let Some(workspace) = manifest.get("workspace").and_then(|table| table.as_table()) else { continue };
        for name in names(workspace, "dependencies").filter(|name| !taken.contains(name)) {
            found.push(Breach {
                file: text.path.clone(),
                line: 0,
                what: format!("{name} is taken by no crate"),
            });
        }
    }
    found
}

fn names<'a>(manifest: &'a Table, table: &str) -> impl Iterator<Item = String> + use<'a> {
    manifest.get(table).and_then(|table| table.as_table()).into_iter().flat_map(|table| table.keys().cloned())
}

/// Whether the source names the crate in a path.
fn mentions(source: &str, name: &str) -> bool {
    let name = name.replace('-', "_");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(&name).any(|(at, _)| {
        let (before, after) = (&source[..at], &source[at + name.len()..]);
        !before.ends_with(is_word)
            && (after.starts_with("::") || (before.ends_with("use ") && after.starts_with(';')))
    })
}
