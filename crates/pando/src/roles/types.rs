//! `pando types`: the collections as TypeScript. Works without a server and beside a running one.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::print;
use crate::assemble::{self, Purpose};
use crate::cli::Types;
use crate::config::Config;

pub async fn run(config: Config, command: Types) -> Result<()> {
    // Opening would make a new database, and its types would be nobody's.
    if config.data.url.is_empty() && !config.dir.join("data.db").exists() {
        bail!("there is no data in {}; name its directory with --dir", config.dir.display());
    }
    let assembled = assemble::open(&config, Purpose::Command).await?;
    let text = web::typescript::render(&assembled.parts.catalog.schema());
    assembled.close().await;
    match command.out {
        Some(path) => write(&path, &text).with_context(|| format!("cannot write {}", path.display())),
        None => print(&text),
    }
}

/// A file that holds the same already is left alone, so that what watches it does not build anew.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(path, text)
}
