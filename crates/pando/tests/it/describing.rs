//! The API described for machines: the OpenAPI document held against a validator and against the server, and the
//! TypeScript types compiled together with the official SDK.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::http::Request;
use testkit::pando::{self, Engine};
use testkit::server::SUPERUSER;
use testkit::{Server, tools};

use crate::candidate::{Candidate, as_superuser};

const PACKAGES: [&str; 5] = [
    "@readme/openapi-parser@9.0.0",
    "ajv@8.20.0",
    "ajv-formats@3.0.1",
    "pocketbase@0.28.1",
    "typescript@5.9.3",
];

/// The directory above `node_modules`.
fn validators() -> PathBuf {
    let dir = tools::once("js-validators-1", |dir| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        tools::run(npm.arg(dir).args(PACKAGES)).map(drop)
    });
    dir.expect("npm installs the validators")
}

fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/js")
}

fn openapi(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(dir.path()).unwrap();
    let mut node = Command::new("node");
    node.arg(scripts().join("openapi.mjs")).arg(format!("http://127.0.0.1:{}", server.port()));
    node.args([SUPERUSER.0, SUPERUSER.1]).arg(scripts().join("collections.json"));
    let said = tools::run(node.env("VALIDATORS", validators()))
        .unwrap_or_else(|e| panic!("{e:#}\n{}", server.log()));
    println!("{said}");
}

/// `pando types` beside a running server.
fn types_command(candidate: &Candidate, dir: &Path) -> Command {
    let mut command = Command::new(&candidate.program.path);
    command.arg("types").arg("--dir").arg(dir);
    if let Some(url) = &candidate.program.data {
        command.args(["--data", url]);
    }
    command
}

fn import(server: &Server) -> String {
    let text = std::fs::read_to_string(scripts().join("collections.json")).unwrap();
    let collections: Value = serde_json::from_str(&text).unwrap();
    let body = json!({ "collections": collections });
    as_superuser(server, "PUT", "/api/collections/import", &body);
    server.superuser_token().unwrap()
}

fn types(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&data).unwrap();
    let token = import(&server);

    let printed = tools::run(&mut types_command(&candidate, &data)).unwrap();
    let file = dir.path().join("types.ts");
    tools::run(types_command(&candidate, &data).arg("--out").arg(&file)).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(printed, written);
    let asked = |token: &str| {
        let request = Request::get("/api/types.ts").token(token);
        server.client().send(&request).unwrap()
    };
    assert_eq!(asked(&token).text(), written);
    assert_eq!(asked("").status, 401);

    let modules = validators().join("node_modules");
    std::os::unix::fs::symlink(&modules, dir.path().join("node_modules")).unwrap();
    for script in ["types-right.ts", "types-wrong.ts"] {
        std::fs::copy(scripts().join(script), dir.path().join(script)).unwrap();
        let config = json!({
            "compilerOptions": {
                "strict": true,
                "noUncheckedIndexedAccess": true,
                "noEmit": true,
                "module": "esnext",
                "moduleResolution": "bundler",
                "target": "es2022",
                "lib": ["es2022", "dom"],
                "types": [],
            },
            // Each by itself: one of them says what a JSON field holds, which is anything to the other.
            "files": [script],
        });
        std::fs::write(dir.path().join("tsconfig.json"), config.to_string()).unwrap();
        let mut tsc = Command::new("node");
        tsc.arg(modules.join("typescript/bin/tsc")).args(["--project", "tsconfig.json"]);
        tools::run(tsc.current_dir(dir.path())).unwrap_or_else(|e| panic!("{script}: {e:#}"));
    }
}

#[test]
fn types_need_data() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let error = tools::run(&mut types_command(&Candidate::new(Engine::Sqlite), &missing)).unwrap_err();
    assert!(format!("{error:#}").contains("there is no data in"), "{error:#}");
    assert!(!missing.exists());
}

macro_rules! on_both {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn sqlite() {
                super::$name(Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                super::$name(Engine::Postgres);
            }
        }
    )*};
}

on_both! {
    openapi
    types
}
