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
    Need { what: "Chromium", package: "chromium", is_there: || runs("chromium") },
    Need {
        what: "a Korean font",
        package: "fonts-noto-cjk",
        is_there: || Path::new("/usr/share/fonts/opentype/noto").exists(),
    },
    Need { what: "Patroni", package: "patroni", is_there: || Path::new("/usr/bin/patroni").exists() },
    Need { what: "etcd", package: "etcd-server", is_there: || Path::new("/usr/bin/etcd").exists() },
    Need { what: "Redis", package: "redis-server", is_there: || runs("redis-server") },
    Need {
        what: "Redis Sentinel",
        package: "redis-sentinel",
        is_there: || Path::new("/usr/bin/redis-sentinel").exists(),
    },
    Need { what: "HAProxy", package: "haproxy", is_there: || Path::new("/usr/sbin/haproxy").exists() },
    Need { what: "nginx", package: "nginx", is_there: || Path::new("/usr/sbin/nginx").exists() },
    Need { what: "Varnish", package: "varnish", is_there: || Path::new("/usr/sbin/varnishd").exists() },
    Need { what: "Pebble", package: "pebble", is_there: || Path::new("/usr/bin/pebble").exists() },
    Need { what: "h2load", package: "nghttp2-client", is_there: || runs("h2load") },
    Need { what: "ip", package: "iproute2", is_there: || runs_with("ip", "-V") },
    Need { what: "setpriv", package: "util-linux", is_there: || runs("setpriv") },
];

/// Whether a program answers `--version`.
pub fn runs(program: &str) -> bool {
    runs_with(program, "--version")
}

fn runs_with(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|o| o.status.success())
}

/// Makes sure that everything is there, and prints what is used.
pub fn check() -> Result<()> {
    let missing = || NEEDS.iter().filter(|n| !(n.is_there)()).collect::<Vec<_>>();
    let packages: Vec<&str> = missing().iter().map(|n| n.package).collect();
    if !packages.is_empty() && rustix::process::getuid().is_root() && Path::new("/usr/bin/apt-get").exists() {
        println!("installing {}", packages.join(" "));
        apt(&["update", "-qq"])?;
        let _quiet = without_services()?;
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

/// Packages of servers start them. The tests start their own, so that nothing but a policy is asked: no service starts
/// until the returned value is dropped. A policy that is there already stays as it is.
fn without_services() -> Result<Option<Policy>> {
    use std::os::unix::fs::PermissionsExt;
    let path = Path::new("/usr/sbin/policy-rc.d");
    if path.exists() {
        return Ok(None);
    }
    std::fs::write(path, "#!/bin/sh\nexit 101\n")?;
    let policy = Policy(path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(Some(policy))
}

struct Policy(&'static Path);

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

fn apt(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    testkit::tools::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
