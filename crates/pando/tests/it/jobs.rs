//! Background jobs: which are taken, which are left, and what becomes of those that fail. On PostgreSQL, where a
//! second connection can look at the table while servers work on it.

use std::time::{Duration, Instant};

use testkit::pando::Engine;
use testkit::postgres::Postgres;

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(90);

/// Any work that this version knows.
const KNOWN: &str = r#"{"kind":"cron","id":"__pbDBOptimize__"}"#;

struct Jobs<'a> {
    postgres: &'a Postgres,
    database: String,
}

impl Jobs<'_> {
    fn sql(&self, sql: &str) -> String {
        self.postgres.sql(&self.database, sql).expect("psql").trim().to_owned()
    }

    /// `due` and `attempts` as SQL.
    fn add(&self, id: &str, payload: &str, due: &str, attempts: u32, holder: &str) {
        self.sql(&format!(
            "INSERT INTO _pando_jobs (id, queue, payload, due, attempts, holder)
             VALUES ('{id}', 'default', '{payload}', {due}, {attempts}, '{holder}')"
        ));
    }

    fn wait_for(&self, sql: &str, wanted: &str) {
        let until = Instant::now() + WAIT;
        let mut last = String::new();
        while Instant::now() < until {
            last = self.sql(sql);
            if last == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{sql}: {last:?}, not {wanted:?}; all: {}", self.sql("SELECT * FROM _pando_jobs"));
    }
}

#[test]
fn are_taken_when_due_and_tried_again_when_they_fail() {
    let candidate = Candidate::new(Engine::Postgres);
    let Some(postgres) = &candidate.postgres else { return };
    let database = candidate.program.data.as_deref().and_then(|url| url.rsplit('/').next()).expect("a URL");
    let jobs = Jobs { postgres, database: database.to_owned() };
    let dir = tempfile::tempdir().unwrap();
    let mut first = candidate.program.start(&dir.path().join("first")).unwrap();
    let second = candidate.program.serve(&dir.path().join("second")).unwrap();

    let now = "extract(epoch from now()) * 1000";
    jobs.add("new", KNOWN, "0", 0, "");
    jobs.add("of-a-dead-holder", KNOWN, &format!("{now} - 1"), 1, "gone");
    jobs.add("after-the-clock-was-set-back", KNOWN, &format!("{now} + 1e12"), 1, "gone");
    jobs.add("held", KNOWN, &format!("{now} + 600000"), 1, "busy");
    jobs.add("unknown", r#"{"kind":"of a later version"}"#, "0", 0, "");
    jobs.add("garbage", "not json", "0", 0, "");
    jobs.add("last-try", "not json", "0", 11, "");
    jobs.wait_for("SELECT string_agg(id, ' ' ORDER BY id) FROM _pando_jobs", "garbage held last-try unknown");
    jobs.wait_for("SELECT queue || attempts FROM _pando_jobs WHERE id = 'last-try'", "dead12");
    jobs.wait_for("SELECT attempts || holder FROM _pando_jobs WHERE id = 'held'", "1busy");
    // Tried again after a while, and again.
    jobs.wait_for(
        "SELECT count(*) FROM _pando_jobs WHERE id IN ('unknown', 'garbage') AND attempts > 1 AND queue = 'default'",
        "2",
    );

    // A server that is killed loses none, whichever held them.
    jobs.sql(&format!(
        "INSERT INTO _pando_jobs (queue, payload) SELECT 'default', '{KNOWN}' FROM generate_series(1, 300)"
    ));
    first.kill();
    // Those that the killed one held are taken over when their lease ends.
    jobs.wait_for(
        &format!("SELECT count(*) FROM _pando_jobs WHERE payload = '{KNOWN}' AND id <> 'held'"),
        "0",
    );
    drop(second);
}
