//! What documents are held against.

use super::{Config, given};

/// Every key, dotted.
pub fn paths() -> Vec<String> {
    given::known_keys().into_iter().map(|key| key.path).collect()
}

pub fn is_variable(name: &str) -> bool {
    name == "PANDO_DATA" || paths().iter().any(|path| given::variable(path) == name)
}

/// Whether this much of a file would be read.
pub fn check(text: &str) -> anyhow::Result<()> {
    let table = toml::from_str(text)?;
    given::check_keys(&table, "", &given::known_keys())?;
    let _: Config = table.try_into()?;
    Ok(())
}
