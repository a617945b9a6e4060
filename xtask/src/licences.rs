//! Checks the licence expression of every dependency against the allow list in `deny.toml`. Reads what cargo
//! already knows; downloads nothing.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub fn run() -> Result<()> {
    let root = testkit::tools::workspace();
    let config: toml::Table = std::fs::read_to_string(root.join("deny.toml"))?.parse()?;
    let allowed = config.get("licenses").and_then(|l| l.get("allow")).and_then(|a| a.as_array());
    let allowed: Vec<&str> =
        allowed.context("deny.toml has no licenses.allow")?.iter().flat_map(|v| v.as_str()).collect();
    let mut cargo = Command::new(env!("CARGO"));
    let metadata = testkit::tools::run(cargo.current_dir(&root).args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut refused = Vec::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        if !is_allowed(text("license"), &allowed) {
            refused.push(format!("{} {}: \"{}\"", text("name"), text("version"), text("license")));
        }
    }
    if !refused.is_empty() {
        bail!("licences that deny.toml does not allow:\n  {}", refused.join("\n  "));
    }
    println!("licences: {} packages, all allowed", packages.len());
    Ok(())
}

/// Whether an SPDX expression can be satisfied by allowed licences. `/` is the old spelling of OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0, allowed };
    reader.any().unwrap_or(false) && reader.at == words.len()
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied();
        self.at += 1;
        word
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut ok = self.all()?;
        while self.eat("OR") {
            ok |= self.all()?;
        }
        Some(ok)
    }

    fn all(&mut self) -> Option<bool> {
        let mut ok = self.one()?;
        while self.eat("AND") {
            ok &= self.one()?;
        }
        Some(ok)
    }

    fn one(&mut self) -> Option<bool> {
        if self.eat("(") {
            let ok = self.any()?;
            return self.eat(")").then_some(ok);
        }
        let mut name = self.next()?.to_owned();
        if self.eat("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Zlib"];
        for yes in [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/Apache-2.0",
            "(MIT OR X) AND Zlib",
            "Apache-2.0 WITH LLVM-exception OR X",
        ] {
            assert!(is_allowed(yes, &allowed), "{yes}");
        }
        for no in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT OR", "Zlib WITH LLVM-exception"] {
            assert!(!is_allowed(no, &allowed), "{no}");
        }
    }
}
