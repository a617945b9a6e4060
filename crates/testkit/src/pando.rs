//! The server under test. `PANDO_BIN` overrides the binary that cargo built, and `PANDO_CANDIDATE=oracle` puts
//! a second copy of the reference in its place: then every comparison must come out equal, which is how the
//! judge itself is judged.

use anyhow::{Result, bail};

use crate::oracle;
use crate::server::Program;

/// The data tier under the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Whether the candidate is a second copy of the reference.
pub fn is_oracle() -> bool {
    std::env::var("PANDO_CANDIDATE").is_ok_and(|v| v == "oracle")
}

/// The candidate; `built` is the test's `env!("CARGO_BIN_EXE_pando")`, `data` a PostgreSQL address.
pub fn program(built: &str, data: Option<String>) -> Result<Program> {
    if is_oracle() {
        // The reference has one engine: it stands in for both of Pando's.
        return Ok(Program { name: "second pocketbase".into(), ..oracle::program()? });
    }
    let path = std::env::var_os("PANDO_BIN").map_or_else(|| built.into(), std::path::PathBuf::from);
    if !path.exists() {
        bail!("no pando binary at {}: build it, or name one in PANDO_BIN", path.display());
    }
    Ok(Program {
        name: "pando".into(),
        path,
        role: "serve",
        data,
        core: None,
        options: Vec::new(),
        variables: Vec::new(),
    })
}
