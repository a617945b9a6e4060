//! The official JavaScript SDK, driven from Node: the same script against the reference and against Pando, and
//! what it prints compared line by line.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testkit::diff::Bindings;
use testkit::openid::OpenId;
use testkit::pando::Engine;
use testkit::server::SUPERUSER;
use testkit::{Server, oracle, tools};

use crate::candidate::Candidate;

const SDK_VERSION: &str = "0.28.1";

fn sdk() -> PathBuf {
    let dir = tools::once(&format!("js-pocketbase-{SDK_VERSION}"), |dir| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        tools::run(npm.arg(dir).arg(format!("pocketbase@{SDK_VERSION}"))).map(drop)
    });
    dir.expect("npm installs the SDK").join("node_modules/pocketbase/dist/pocketbase.es.mjs")
}

fn run(script: &str, server: &Server, openid: &OpenId) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/js").join(script);
    let mut node = Command::new("node");
    node.arg(path).arg(format!("http://127.0.0.1:{}", server.port())).args([SUPERUSER.0, SUPERUSER.1]);
    let printed = tools::run(node.env("POCKETBASE_SDK", sdk()).env("OPENID", openid.url()))
        .unwrap_or_else(|e| panic!("{e:#}\n{}", server.log()));
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
    oauth2
    records
}
