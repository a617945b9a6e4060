//! The tools that the tests drive: found, installed from Debian's packages where that is possible, or named
//! exactly. Installs nothing that the tests do not use.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

struct Need {
    what: &'static str,
    package: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "PostgreSQL 15 or later",
        package: "postgresql",
        is_there: || testkit::postgres::bin().is_ok(),
    },
    Need { what: "psql", package: "postgresql-client", is_there: || runs("psql") },
    Need { what: "Python's pip", package: "python3-pip", is_there: || runs("pip3") || runs("pip") },
    Need { what: "Node.js", package: "nodejs", is_there: || runs("node") },
    Need { what: "npm", package: "npm", is_there: || runs("npm") },
    Need { what: "setpriv", package: "util-linux", is_there: || runs("setpriv") },
];

/// Whether a program answers `--version`.
pub fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
}

/// Makes sure that everything is there, and prints what is used.
pub fn check() -> Result<()> {
    let missing = || NEEDS.iter().filter(|n| !(n.is_there)()).collect::<Vec<_>>();
    let packages: Vec<&str> = missing().iter().map(|n| n.package).collect();
    if !packages.is_empty() && rustix::process::getuid().is_root() && Path::new("/usr/bin/apt-get").exists() {
        println!("installing {}", packages.join(" "));
        apt(&["update", "-qq"])?;
        apt(&[&["install", "-y", "-qq", "--no-install-recommends"][..], &packages].concat())?;
    }
    let missing = missing();
    if !missing.is_empty() {
        let list: Vec<String> =
            missing.iter().map(|n| format!("  {} (apt-get install {})", n.what, n.package)).collect();
        bail!("the tests need:\n{}", list.join("\n"));
    }
    println!("PostgreSQL: {}", testkit::postgres::bin()?.display());
    println!("reference: {}", testkit::oracle::program()?.path.display());
    Ok(())
}

fn apt(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    testkit::tools::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
