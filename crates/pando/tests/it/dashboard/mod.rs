//! The dashboard in a real browser: Debian's Chromium, driven by the scripts in `dashboard/tests` against a server of the test's
//! own. Pictures of every page come to `target/dashboard-shots`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::server::SUPERUSER;
use testkit::{Server, tools};

use crate::candidate::{Candidate, as_superuser};
use crate::sdk::package;

mod build;
mod consoles;
mod eyes;
mod serving;
mod settings;

const PLAYWRIGHT_VERSION: &str = "1.65.1";
const AXE_VERSION: &str = "4.14.1";

/// Runs a script; it fails with what it threw.
pub fn browse(script: &str, server: &Server, variables: &[(&str, &str)]) {
    let scripts = tools::workspace().join("dashboard/tests");
    let mut node = Command::new("node");
    node.arg(scripts.join(script)).env("BASE", format!("http://127.0.0.1:{}", server.port()));
    node.env("CHROMIUM", "/usr/bin/chromium").env("EMAIL", SUPERUSER.0).env("PASSWORD", SUPERUSER.1);
    node.env("PLAYWRIGHT", package("playwright-core", PLAYWRIGHT_VERSION, "index.js"));
    node.env("AXE", package("axe-core", AXE_VERSION, "axe.min.js"));
    node.env("POCKETBASE_SDK", package("pocketbase", crate::sdk::SDK_VERSION, "dist/pocketbase.es.mjs"));
    node.env("SHOTS", shots()).envs(variables.iter().copied());
    tools::run(&mut node).unwrap_or_else(|error| panic!("{error:#}\n{}", server.log()));
}

fn shots() -> PathBuf {
    tools::root().parent().unwrap_or(Path::new(".")).join("dashboard-shots")
}

/// A server with posts that have nothing but a title and views.
fn with_posts(test: impl Fn(&Server)) {
    if pando::is_oracle() {
        return;
    }
    let (candidate, dir) = (Candidate::new(Engine::Sqlite), tempfile::tempdir().unwrap());
    let server = candidate.program.start(dir.path()).unwrap();
    make_posts(&server);
    test(&server);
}

fn make_posts(server: &Server) {
    let fields = json!([
        {"name": "title", "type": "text", "required": true},
        {"name": "views", "type": "number"},
        {"name": "state", "type": "select", "values": ["draft", "live"], "maxSelect": 1},
        {"name": "public", "type": "bool"},
        {"name": "meta", "type": "json"},
        {"name": "created", "type": "autodate", "onCreate": true},
    ]);
    let posts = json!({"name": "posts", "type": "base", "fields": fields});
    as_superuser(server, "POST", "/api/collections", &posts);
}

#[test]
fn first_run() {
    if pando::is_oracle() {
        return;
    }
    let (candidate, dir) = (Candidate::new(Engine::Sqlite), tempfile::tempdir().unwrap());
    let server = candidate.program.serve(dir.path()).unwrap();
    let link = serving::link(&server);
    browse("first_run.mjs", &server, &[("LINK", &link)]);
}

#[test]
fn grid() {
    with_posts(|server| {
        let rows = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) \
             INSERT INTO posts (id, title, views, state, public, created, meta) SELECT printf('post%011d', i), \
             printf('Post %06d', i), (i * 7919) % 10007, iif(i % 3, 'live', 'draft'), i % 2, \
             '2026-01-01 10:00:00.000Z', '{}' FROM n";
        as_superuser(server, "POST", "/api/sql", &json!({"query": rows}));
        browse("grid.mjs", server, &[]);
    });
}

#[test]
fn exchange() {
    with_posts(|server| browse("exchange.mjs", server, &[]));
}

#[test]
fn schema() {
    with_posts(|server| browse("schema.mjs", server, &[]));
}
