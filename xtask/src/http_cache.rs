//! `cargo xtask bench --http-cache`: what caches do with the rules of HTTP, by the tests of npm's `http-cache-tests`, side by
//! side. Reports; `it` holds Pando to its number.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use testkit::http_cache::{self, Case, Suite};
use testkit::tools;

pub fn run(args: &[String]) -> Result<()> {
    if !args.iter().any(|arg| arg == "--no-build") {
        let mut cargo = Command::new(env!("CARGO"));
        if !cargo.current_dir(tools::workspace()).args(["build", "-p", "pando"]).status()?.success() {
            bail!("pando does not build");
        }
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tools::workspace().join("target"), PathBuf::from);
    let program = target.join("debug/pando");
    let suite = Suite::install()?;
    let dir = tempfile::tempdir()?;
    let own = |name: &str| {
        let own = dir.path().join(name);
        std::fs::create_dir_all(&own).map(|()| own)
    };
    let results = [
        ("Pando", suite.through(&own("pando")?, |origin, dir| http_cache::pando(&program, origin, dir))?),
        ("Varnish", suite.through(&own("varnish")?, http_cache::varnish)?),
        ("nginx", suite.through(&own("nginx")?, http_cache::nginx)?),
    ];
    print(&results);
    Ok(())
}

fn print(results: &[(&str, Vec<Case>)]) {
    println!("| kind | {} |", results.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | "));
    println!("| --- |{}", " ---: |".repeat(results.len()));
    for kind in ["required", "optimal", "check"] {
        let cell = |cases: &[Case]| {
            let (passed, all) = http_cache::count(cases).get(kind).copied().unwrap_or_default();
            format!("{passed}/{all}")
        };
        let cells: Vec<String> = results.iter().map(|(_, cases)| cell(cases)).collect();
        println!("| {kind} | {} |", cells.join(" | "));
    }
    let (name, cases) = &results[0];
    println!("\nwhat {name} does not pass:");
    for Case { id, kind, why } in cases.iter().filter(|case| case.kind != "check") {
        if let Some(why) = why {
            println!("  {kind} {id}: {why}");
        }
    }
}
