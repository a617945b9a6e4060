//! The server under test on each of its engines, with what the engine needs for as long as the test lasts.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use testkit::pando::{self, Engine};
use testkit::postgres::{Options, Postgres};
use testkit::server::{Program, Server};
use testkit::{Answer, Request};

/// A candidate's program, and the database server it talks to when it has one.
pub struct Candidate {
    pub program: Program,
    pub postgres: Option<Postgres>,
}

pub const BINARY: &str = env!("CARGO_BIN_EXE_pando");

impl Candidate {
    /// The candidate on `engine` with an empty database.
    pub fn new(engine: Engine) -> Candidate {
        Candidate::with(engine, Options::default())
    }

    pub fn with(engine: Engine, options: Options) -> Candidate {
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres if pando::is_oracle() => None,
            Engine::Postgres => Some(Postgres::start(options).expect("a private PostgreSQL")),
        };
        let data = postgres.as_ref().map(|p| p.database().expect("an empty database"));
        Candidate { program: pando::program(BINARY, data).expect("the candidate's binary"), postgres }
    }
}

/// A program that is a text for the shell.
pub fn script(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a test needs done before it begins, by a superuser; it must succeed.
pub fn as_superuser(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let token = server.superuser_token().unwrap();
    let answer = server.client().send(&Request::json(method, path, body).token(&token)).unwrap();
    assert!(answer.status < 300, "{path}: {}", answer.text());
    answer
}
