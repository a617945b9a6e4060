//! The `http-cache-tests` suite of npm, and caches to run it through: Pando's edge, Varnish and nginx.
//!
//! The suite's own server is the origin. Its client sends each test's requests through the cache, some of them three seconds
//! apart, and compares what both ends saw.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::front::Front;
use crate::tools;

const PACKAGE: &str = "http-cache-tests";
const VERSION: &str = "0.4.5";

/// Runs every test that is not for browsers, and prints what became of each.
const SCRIPT: &str = "
const [suite, base] = process.argv.slice(1)
const { runTests, getResults } = await import(`${suite}/client/runner.mjs`)
const { default: fetch } = await import(`${suite}/../node-fetch/lib/index.mjs`)
const { default: all } = await import(`${suite}/tests/index.mjs`)
const { default: surrogate } = await import(`${suite}/tests/surrogate-control.mjs`)
all.push(surrogate)
await runTests(all, fetch, false, base)
const results = getResults()
for (const { tests } of all) for (const { id, kind, browser_only } of tests) {
  if (browser_only) continue
  const result = results[id]
  const why = result === true ? null : String(result && result[1])
  console.log(JSON.stringify({ id, kind: kind || 'required', why }))
}
";

pub struct Suite {
    dir: PathBuf,
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub id: String,
    /// `required`, `optimal`, or `check` for what may be one way or the other.
    pub kind: String,
    /// Why it failed; None if it passed.
    pub why: Option<String>,
}

impl Suite {
    pub fn install() -> Result<Suite> {
        let dir = tools::once(&format!("js-{PACKAGE}-{VERSION}"), |dir| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
            tools::run(npm.arg(dir).arg(format!("{PACKAGE}@{VERSION}"))).map(drop)
        })?;
        Ok(Suite { dir: dir.join("node_modules").join(PACKAGE) })
    }

    /// The origin, with its files in a directory that must be there.
    pub fn origin(&self, dir: &Path) -> Result<(Daemon, u16)> {
        let port = tools::free_port();
        let (script, own) = (self.dir.join("server/server.mjs"), dir.to_path_buf());
        let command = move || {
            let mut node = Command::new("node");
            node.arg(&script).current_dir(&own);
            node.env("npm_config_protocol", "http").env("npm_config_port", port.to_string());
            node.env("npm_config_pidfile", own.join("origin.pid"));
            Ok(node)
        };
        let is_ready = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
        Ok((Daemon::start(&dir.join("origin"), command, is_ready)?, port))
    }

    /// Every test through the cache at that port of this machine, with an origin of its own behind it.
    pub fn run(&self, port: u16) -> Result<Vec<Case>> {
        let mut node = Command::new("node");
        node.args(["--no-warnings", "--input-type=module", "-e", SCRIPT, "--"]);
        let printed = tools::run(node.arg(&self.dir).arg(format!("http://127.0.0.1:{port}")))?;
        let case = |line: &str| {
            let said: Value = serde_json::from_str(line).with_context(|| format!("the suite says {line}"))?;
            let text = |name: &str| said[name].as_str().map(str::to_owned);
            let (Some(id), Some(kind)) = (text("id"), text("kind")) else { bail!("the suite says {line}") };
            Ok(Case { id, kind, why: text("why") })
        };
        printed.lines().map(case).collect()
    }

    /// The suite through one cache, which `start` makes for the origin's port in a directory.
    pub fn through<C>(
        &self,
        dir: &Path,
        start: impl FnOnce(u16, &Path) -> Result<(C, u16)>,
    ) -> Result<Vec<Case>> {
        let (_origin, behind) = self.origin(dir)?;
        let (_cache, port) = start(behind, dir)?;
        self.run(port)
    }
}

/// Pando's edge.
pub fn pando(program: &Path, origin: u16, dir: &Path) -> Result<(Front, u16)> {
    let front = Front::start(program, dir, "edge", &format!("127.0.0.1:{origin}"), &[])?;
    let port = front.port();
    Ok((front, port))
}

/// Varnish as it comes.
pub fn varnish(origin: u16, dir: &Path) -> Result<(Daemon, u16)> {
    let port = tools::free_port();
    let own = dir.join("varnish");
    std::fs::create_dir_all(&own)?;
    let command = move || {
        let mut varnish = Command::new("/usr/sbin/varnishd");
        varnish.arg("-F").arg("-n").arg(&own).args(["-s", "malloc,100m"]);
        varnish.args(["-a", &format!("127.0.0.1:{port}"), "-b", &format!("127.0.0.1:{origin}")]);
        Ok(varnish)
    };
    let is_ready = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
    let daemon = Daemon::start(&dir.join("varnish"), command, is_ready)
        .context("Varnish is needed (apt-get install varnish)")?;
    Ok((daemon, port))
}

/// nginx with a cache that validates what is stale, and serves it while nobody answers.
pub fn nginx(origin: u16, dir: &Path) -> Result<(Daemon, u16)> {
    let port = tools::free_port();
    let own = dir.join("nginx");
    std::fs::create_dir_all(&own)?;
    let at = own.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
        .join(" ");
    let text = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{ worker_connections 1024; }}
http {{ access_log off; {temporary} proxy_cache_path {at}/kept keys_zone=kept:10m max_size=100m;
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1;
proxy_set_header Connection \"\"; proxy_set_header Host $host; proxy_cache kept; proxy_cache_revalidate on;
proxy_cache_use_stale error timeout updating; }} }} }}
"
    );
    let file = own.join("nginx.conf");
    std::fs::write(&file, text)?;
    let command = move || {
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.arg("-c").arg(&file);
        Ok(nginx)
    };
    let is_ready = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
    let daemon = Daemon::start(&dir.join("nginx"), command, is_ready)
        .context("nginx is needed (apt-get install nginx)")?;
    Ok((daemon, port))
}

/// How many of each kind passed, of how many.
pub fn count(cases: &[Case]) -> BTreeMap<&str, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for case in cases {
        let (passed, all) = counts.entry(case.kind.as_str()).or_insert((0, 0));
        *passed += usize::from(case.why.is_none());
        *all += 1;
    }
    counts
}
