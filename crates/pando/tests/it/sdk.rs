//! The official JavaScript SDK, driven from Node: the same script against the reference and against Pando, and
//! what it prints compared line by line.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testkit::diff::Bindings;
use testkit::openid::OpenId;
use testkit::pando::Engine;
use testkit::server::SUPERUSER;
use testkit::smtp::Sink;
use testkit::{Server, oracle, tools};

use crate::candidate::Candidate;

pub const SDK_VERSION: &str = "0.28.1";

/// What a browser has and Node.js lacks.
const EVENTSOURCE_VERSION: &str = "3.0.7";

pub fn package(name: &str, version: &str, module: &str) -> PathBuf {
    let dir = tools::once(&format!("js-{name}-{version}"), |dir| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        tools::run(npm.arg(dir).arg(format!("{name}@{version}"))).map(drop)
    });
    dir.expect("npm installs a package").join("node_modules").join(name).join(module)
}

/// Node with a script, and where its packages are.
pub fn node(script: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/js").join(script));
    node.env("POCKETBASE_SDK", package("pocketbase", SDK_VERSION, "dist/pocketbase.es.mjs"));
    node.env("EVENTSOURCE", package("eventsource", EVENTSOURCE_VERSION, "dist/index.js"));
    node
}

fn run(script: &str, server: &Server, openid: &OpenId) -> Vec<Value> {
    let mut node = node(script);
    node.arg(format!("http://127.0.0.1:{}", server.port())).args([SUPERUSER.0, SUPERUSER.1]);
    let mails = tempfile::NamedTempFile::new().unwrap();
    let sink = Sink::start();
    sink.keep_in(mails.path());
    node.env("OPENID", openid.url()).env("SMTP_PORT", sink.port().to_string()).env("MAILS", mails.path());
    let printed = tools::run(&mut node).unwrap_or_else(|e| panic!("{e:#}\n{}", server.log()));
    printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn check(script: &str, engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let reference = oracle::program().unwrap().start(&dir.path().join("reference")).unwrap();
    let server = candidate.program.start(&dir.path().join("candidate")).unwrap();
    let openid = OpenId::start();
    let (expected, actual) = (run(script, &reference, &openid), run(script, &server, &openid));
    let mut bindings = Bindings::default();
    let mut report = Vec::new();
    for (e, a) in expected.iter().zip(&actual) {
        for d in bindings.compare(e, a).iter().take(3) {
            report.push(format!(
                "[{}] at {}\n  expected {}\n  actual   {}",
                e["step"], d.path, d.expected, d.actual
            ));
        }
    }
    assert!(report.is_empty(), "{}", report.join("\n"));
    assert_eq!(expected.len(), actual.len());
    println!("{script}: {} steps equal", expected.len());
}

macro_rules! sessions {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn sqlite() {
                check(concat!(stringify!($name), ".mjs"), Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                check(concat!(stringify!($name), ".mjs"), Engine::Postgres);
            }
        }
    )*};
}

// One script of `tests/js` each.
sessions! {
    account
    batch
    oauth2
    files
    settings
    records
    realtime
}

/// A PostgreSQL database has no backups of its own.
#[test]
fn backups() {
    check("backups.mjs", Engine::Sqlite);
}
