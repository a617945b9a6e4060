//! One process, killed again and again, on each engine; and the database under it.

use testkit::pando::Engine;
use testkit::postgres::Options;

use super::{ALLOW_PRIVATE, WAIT, address, observed, verdict};
use crate::candidate::Candidate;

fn rounds() -> usize {
    std::env::var("PANDO_FAULTS_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(3)
}

#[test]
fn a_quiet_run_on_sqlite() {
    run(Engine::Sqlite, &[]);
}

#[test]
fn a_quiet_run_on_postgres() {
    run(Engine::Postgres, &[]);
}

#[test]
fn a_killed_server_on_sqlite() {
    run(Engine::Sqlite, &[Target::Server]);
}

#[test]
fn a_killed_server_and_database_on_postgres() {
    run(Engine::Postgres, &[Target::Server, Target::Database]);
}

#[derive(Clone, Copy)]
enum Target {
    Server,
    Database,
}

fn run(engine: Engine, targets: &[Target]) {
    let mut candidate = Candidate::with(engine, Options { fsync: !targets.is_empty() });
    candidate.program.variables.push(ALLOW_PRIVATE.map(str::to_owned).into());
    let dir = tempfile::tempdir().unwrap();
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    let running = observed(vec![address(&server)], &server);
    assert!(running.more(100, 100, WAIT), "the load does not run");
    for target in targets.iter().cycle().take(rounds() * targets.len()) {
        match (target, &mut candidate.postgres) {
            (Target::Database, Some(postgres)) => postgres.restart().unwrap(),
            _ => server.restart_in_place().unwrap(),
        }
        assert!(running.more(50, 50, WAIT), "the load does not go on");
    }
    let verdict = verdict(running);
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.proven.by_others > 50, "too little was proven: {verdict}");
    let proven = &verdict.proven;
    assert!(proven.jobs > 0 && proven.events > 50, "too little came after the answers: {verdict}");
}
