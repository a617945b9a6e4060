//! What superusers work with: the SQL console, the realtime viewer, jobs, queues and webhooks.

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::sink::{Reply, Sink};

use super::{browse, make_posts, with_posts};
use crate::candidate::{Candidate, as_superuser};

#[test]
fn sql_and_realtime() {
    with_posts(|server| {
        let posts = [
            ("aaaaaaaaaaaaaaa", "first", 1),
            ("bbbbbbbbbbbbbbb", "second", 3),
            ("ccccccccccccccc", "with, comma", 10),
        ];
        for (id, title, views) in posts {
            let record = json!({"id": id, "title": title, "views": views});
            as_superuser(server, "POST", "/api/collections/posts/records", &record);
        }
        browse("console.mjs", server, &[]);
    });
}

/// Jobs that were given up come by hand: nobody waits for a mail to fail for hours.
const DEAD: &str = "INSERT INTO _pando_jobs (id, queue, origin, attempts, due, created, error, payload) VALUES \
    ('dead1', 'dead', 'mail', 12, 1, '2026-01-01 10:00:00.000Z', 'the mail server is asleep', '{\"kind\":\"cron\",\"id\":\"nothing\"}'), \
    ('dead2', 'dead', 'mail', 12, 2, '2026-01-01 10:00:00.000Z', 'the mail server is asleep', '{\"kind\":\"cron\",\"id\":\"nothing\"}'), \
    ('dead3', 'dead', 'files', 12, 3, '2026-01-01 10:00:00.000Z', 'the disk is full', '{\"kind\":\"cron\",\"id\":\"nothing\"}')";

#[test]
fn jobs_queues_and_webhooks() {
    if pando::is_oracle() {
        return;
    }
    let (candidate, dir) = (Candidate::new(Engine::Sqlite), tempfile::tempdir().unwrap());
    let file = dir.path().join("pando.toml");
    std::fs::write(&file, "[outbound]\nallow_private = true\n").unwrap();
    let mut program = candidate.program.clone();
    program.options = vec!["--config".into(), file.display().to_string()];
    let server = program.start(&dir.path().join("data")).unwrap();
    make_posts(&server);
    as_superuser(&server, "POST", "/api/sql", &json!({"query": DEAD}));
    let sink = Sink::answering(0, |request| match request.line.contains("/broken") {
        true => Reply::status(500),
        false => Reply { body: b"thank you".to_vec(), ..Reply::status(200) },
    })
    .unwrap();
    browse("queues.mjs", &server, &[("SINK", sink.url("").as_str())]);
}
