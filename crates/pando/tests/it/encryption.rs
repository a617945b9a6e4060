//! Settings that are encrypted at rest, by the reference and by Pando, on a directory that both take turns with.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::server::Program;
use testkit::{Request, Server, oracle};

use crate::candidate::{Candidate, as_superuser};

const VARIABLE: &str = "SETTINGS_KEY";
const KEY: &str = "01234567890123456789012345678901";
const STOP: Duration = Duration::from_secs(20);

fn with_key(program: &Program, option: &str, key: &str) -> Program {
    Program {
        options: vec![option.into(), VARIABLE.into()],
        variables: vec![(VARIABLE.into(), key.into())],
        ..program.clone()
    }
}

fn name(server: &Server) -> String {
    let request = Request::get("/api/settings").token(&server.superuser_token().unwrap());
    server.client().send(&request).unwrap().at("/meta/appName").unwrap()
}

fn rename(server: &Server, name: &str) {
    as_superuser(server, "PATCH", "/api/settings", &json!({"meta": {"appName": name}}));
}

/// Whether any file of the directory holds the text.
fn is_readable(dir: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn directories_change_hands() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let reference = with_key(&oracle::program().unwrap(), "--encryptionEnv", KEY);
    let candidate = Candidate::new(Engine::Sqlite);
    let program = with_key(&candidate.program, "--encryption-env", KEY);

    let mut server = reference.start(&data).unwrap();
    rename(&server, "Kept by the reference");
    server.terminate(STOP);
    drop(server);

    let mut server = program.serve(&data).unwrap();
    assert_eq!(name(&server), "Kept by the reference");
    rename(&server, "Kept by the candidate");
    server.terminate(STOP);
    drop(server);
    assert!(!is_readable(&data, "Kept by the candidate"));

    let mut server = reference.serve(&data).unwrap();
    assert_eq!(name(&server), "Kept by the candidate");
    server.terminate(STOP);
    drop(server);

    // Without the key, nothing is served, rather than defaults.
    let wrong = with_key(&candidate.program, "--encryption-env", &KEY.replace('0', "x"));
    let short = with_key(&candidate.program, "--encryption-env", "short");
    let unset = Program { variables: Vec::new(), ..program.clone() };
    for (program, why) in [
        (&candidate.program, "no encryption key is given"),
        (&wrong, "with another key"),
        (&short, "32 bytes"),
        (&unset, VARIABLE),
    ] {
        let (code, log) = program.serve_to_end(&data, STOP).unwrap();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(why), "{log}");
    }
}

#[test]
fn postgres() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(Engine::Postgres);
    // What was stored before there was a key is read with one too, and encrypted when it changes.
    let mut server = candidate.program.start(&data).unwrap();
    rename(&server, "Before");
    server.terminate(STOP);
    drop(server);
    let program = with_key(&candidate.program, "--encryption-env", KEY);
    let mut server = program.serve(&data).unwrap();
    assert_eq!(name(&server), "Before");
    rename(&server, "After");
    server.restart().unwrap();
    assert_eq!(name(&server), "After");
    server.terminate(STOP);
    drop(server);
    let (code, log) = candidate.program.serve_to_end(&data, STOP).unwrap();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("no encryption key is given"), "{log}");
}
