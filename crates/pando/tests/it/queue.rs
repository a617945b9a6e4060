//! Jobs done by workers, with both engines of the queue: none is lost, whatever becomes of workers and broker.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::daemon::Daemon;
use testkit::http::Client;
use testkit::nats::{self, Nats};
use testkit::pando::Engine;
use testkit::sink::Sink;
use testkit::{Request, tools};

use crate::candidate::{BINARY, Candidate};

const WAIT: Duration = Duration::from_secs(120);
/// A job that calls the sink.
const CALL: &str = r#"{"kind":"cron","id":"call"}"#;
const NOW: &str = "extract(epoch from now()) * 1000";

/// A database, somebody who is called, and what workers are told.
struct Rig {
    candidate: Candidate,
    dir: tempfile::TempDir,
    sink: Sink,
    config: PathBuf,
}

impl Rig {
    fn new(more: &str) -> Option<Rig> {
        let candidate = Candidate::new(Engine::Postgres);
        candidate.postgres.as_ref()?;
        let (dir, sink) = (tempfile::tempdir().unwrap(), Sink::start(&[]).unwrap());
        let config = dir.path().join("pando.toml");
        let cron = format!("[[crons]]\nid = 'call'\nschedule = '0 0 1 1 *'\nurl = '{}'\n", sink.url("/"));
        std::fs::write(&config, format!("{more}\n{cron}")).unwrap();
        Some(Rig { candidate, dir, sink, config })
    }

    fn command(&self, name: &str, port: u16) -> impl Fn() -> Command + Send + Sync + 'static {
        let program = std::env::var_os("PANDO_BIN").unwrap_or_else(|| BINARY.into());
        let (data, config) = (self.candidate.program.data.clone().unwrap(), self.config.clone());
        let dir = self.dir.path().join(name);
        move || {
            let mut command = Command::new(&program);
            command.env_remove("PANDO_BIN").arg("worker").args([
                "--data",
                &data,
                "--http",
                &format!("127.0.0.1:{port}"),
            ]);
            command.arg("--config").arg(&config).arg("--dir").arg(&dir);
            command
        }
    }

    /// One that is not expected to come far.
    fn begin(&self, name: &str) -> Daemon {
        let command = self.command(name, tools::free_port());
        Daemon::begin(&self.dir.path().join(name), move || Ok(command()), || false).unwrap()
    }

    fn worker(&self, name: &str) -> (Daemon, Client) {
        let port = tools::free_port();
        let (command, dir) = (self.command(name, port), self.dir.path().join(name));
        let ready = move || {
            let asked = Client::new(port).send(&Request::get("/readyz"));
            asked.is_ok_and(|answer| answer.status == 200)
        };
        (Daemon::start(&dir, move || Ok(command()), ready).unwrap(), Client::new(port))
    }

    fn sql(&self, sql: &str) -> String {
        let database = self.candidate.program.data.as_deref().and_then(|url| url.rsplit('/').next());
        let postgres = self.candidate.postgres.as_ref().unwrap();
        postgres.sql(database.unwrap(), sql).expect("psql").trim().to_owned()
    }

    fn add(&self, from: usize, to: usize) {
        self.sql(&format!(
            "INSERT INTO _pando_jobs (id, queue, payload) \
             SELECT 'job-' || n, 'crons', '{CALL}' FROM generate_series({from}, {}) AS n",
            to - 1
        ));
    }

    fn left(&self) -> usize {
        self.sql("SELECT count(*) FROM _pando_jobs").parse().unwrap()
    }

    /// The jobs whose calls came, each once.
    fn done(&self) -> BTreeSet<String> {
        self.calls().into_iter().collect()
    }

    fn calls(&self) -> Vec<String> {
        let id = |body: &str| serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned();
        self.sink.received().iter().map(|call| id(&call.body)).collect()
    }

    fn wait_for(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + WAIT;
        while !holds() {
            assert!(Instant::now() < until, "{what}: {}", self.sql("SELECT * FROM _pando_jobs LIMIT 5"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn all_done(&self, count: usize) {
        self.wait_for("all jobs are done", || self.left() == 0);
        let wanted: BTreeSet<String> = (0..count).map(|n| format!("job-{n}")).collect();
        assert_eq!(self.done(), wanted);
    }
}

fn through(broker: &Nats, more: &str) -> String {
    format!("[queue]\nengine = 'nats'\nurl = '{}'\n{more}", broker.url())
}

/// Workers that die, and that stand still for longer than they may.
fn survives_its_workers(rig: &Rig) {
    let (mut first, _) = rig.worker("first");
    let (second, _) = rig.worker("second");
    rig.add(0, 400);
    rig.wait_for("some are done", || rig.done().len() > 20);
    first.kill();
    second.freeze();
    let (third, watched) = rig.worker("third");
    rig.add(400, 500);
    rig.all_done(500);
    second.thaw();
    rig.add(500, 600);
    rig.all_done(600);
    let metrics = watched.send(&Request::get("/metrics")).unwrap().text();
    assert!(metrics.contains("pando_jobs_total{kind=\"cron\",outcome=\"done\"}"), "{metrics}");
    drop((second, third));
}

#[test]
fn embedded_survives_its_workers() {
    let Some(rig) = Rig::new("") else { return };
    survives_its_workers(&rig);
}

#[test]
fn nats_survives_its_workers() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Nats::start(&dir.path().join("nats")).unwrap();
    let Some(rig) = Rig::new(&through(&broker, "")) else { return };
    survives_its_workers(&rig);
}

#[test]
fn nats_that_is_away_or_lost_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("nats");
    let mut broker = Nats::start(&store).unwrap();
    let Some(rig) = Rig::new(&through(&broker, "[queues.crons]\nconcurrency = 1")) else { return };
    let (worker, _) = rig.worker("worker");
    rig.add(0, 20);
    rig.all_done(20);

    // Away: jobs wait. Back: they go on.
    broker.daemon.kill();
    rig.add(20, 40);
    rig.wait_for("the relay has noticed", || worker.said().contains("jobs wait in the database"));
    broker.daemon.restart().unwrap();
    rig.all_done(40);

    // All that it kept is gone, with jobs that it had been handed.
    worker.freeze();
    let (mut handing, _) = rig.worker("handing");
    rig.add(40, 2_000);
    let handed = "SELECT count(*) FROM _pando_jobs WHERE holder LIKE 'nats:%'";
    rig.wait_for("some are handed over", || rig.sql(handed).parse::<usize>().unwrap() > 100);
    handing.kill();
    broker.daemon.kill();
    std::fs::remove_dir_all(store.join("jetstream")).unwrap();
    broker.daemon.restart().unwrap();
    worker.thaw();
    rig.all_done(2_000);
}

#[test]
fn nats_without_jetstream_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let port = tools::free_port();
    let listens = move || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let command = move || {
        let mut command = Command::new(nats::program()?);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        Ok(command)
    };
    std::fs::create_dir_all(dir.path().join("plain")).unwrap();
    let _broker = Daemon::start(&dir.path().join("plain"), command, listens).unwrap();
    let queue = format!("[queue]\nengine = 'nats'\nurl = 'nats://127.0.0.1:{port}'");
    let Some(rig) = Rig::new(&queue) else { return };
    let mut worker = rig.begin("worker");
    rig.wait_for("it is refused", || worker.said().contains("has no JetStream"));
    let ended = worker.wait_ready().unwrap_err().to_string();
    assert!(ended.contains("has no JetStream"), "{ended}");
}

#[test]
fn order_and_times_are_kept() {
    let Some(rig) = Rig::new("[queues.crons]\nconcurrency = 1") else { return };
    // The tables are made by the first who comes.
    let (mut worker, _) = rig.worker("worker");
    worker.kill();
    let insert = |id: &str, due: &str| {
        let values = format!("('{id}', 'crons', '{CALL}', {due})");
        rig.sql(&format!("INSERT INTO _pando_jobs (id, queue, payload, due) VALUES {values}"));
    };
    insert("normal", &format!("{NOW} - 300000"));
    insert("low", NOW);
    insert("high", &format!("{NOW} - 600000"));
    insert("later", &format!("{NOW} + 8000"));
    let due: i64 = rig.sql("SELECT due::bigint FROM _pando_jobs WHERE id = 'later'").parse().unwrap();
    worker.restart().unwrap();
    rig.wait_for("all but the last are done", || rig.left() <= 1);
    rig.wait_for("all are done", || rig.left() == 0);
    let now: i64 = rig.sql(&format!("SELECT ({NOW})::bigint")).parse().unwrap();
    assert!(now >= due, "{} too early", due - now);
    assert_eq!(rig.calls(), ["high", "normal", "low", "later"]);
}

#[test]
fn web_nodes_leave_jobs_to_workers_that_give_back_what_they_cannot_finish() {
    let Some(rig) = Rig::new("[jobs]\nrun = false") else { return };
    let mut program = rig.candidate.program.clone();
    program.role = "web";
    program.options = vec!["--config".into(), rig.config.display().to_string()];
    let node = program.start(&rig.dir.path().join("node")).unwrap();
    let token = node.superuser_token().unwrap();
    let api =
        |method: &str, path: &str| node.client().send(&Request::new(method, path).token(&token)).unwrap();
    assert_eq!(api("POST", "/api/crons/call").status, 204);
    let waiting = api("GET", "/api/jobs?queue=crons&state=waiting").json();
    assert_eq!(waiting["totalItems"], 1, "{waiting}");
    assert_eq!(waiting["items"][0]["payload"]["id"], "call");
    assert_eq!((rig.calls().len(), rig.left()), (0, 1));

    // Garbage is given up at last, and can be looked at, mended, tried again and dropped.
    rig.sql(
        "INSERT INTO _pando_jobs (id, queue, payload, attempts) \
         VALUES ('poison', 'files', 'no json', 11), ('other', 'mail', '{}', 11)",
    );
    let (worker, _) = rig.worker("worker");
    rig.wait_for("the call is made", || rig.calls().len() == 1);
    let dead = "SELECT string_agg(id, ' ' ORDER BY id) FROM _pando_jobs WHERE queue = 'dead'";
    rig.wait_for("both are given up", || rig.sql(dead) == "other poison");
    let poison = api("GET", "/api/jobs/poison").json();
    assert_eq!((&poison["state"], &poison["queue"]), (&json!("dead"), &json!("files")), "{poison}");
    assert!(poison["error"].as_str().unwrap().contains("does not know the job"), "{poison}");
    assert_eq!(api("GET", "/api/jobs?queue=files&state=dead").json()["totalItems"], 1);
    assert_eq!(api("GET", "/api/jobs?state=wrong").status, 400);
    let queues = api("GET", "/api/jobs/queues").json();
    let files = queues["items"].as_array().unwrap().iter().find(|queue| queue["name"] == "files").unwrap();
    assert_eq!((&files["dead"], &files["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(api("GET", "/api/jobs/nobody").status, 404);
    rig.sql(&format!("UPDATE _pando_jobs SET payload = '{CALL}' WHERE id = 'poison'"));
    assert_eq!(api("POST", "/api/jobs/poison/retry").status, 204);
    rig.wait_for("it is done", || rig.calls().len() == 2);
    rig.sql(&format!("UPDATE _pando_jobs SET payload = '{CALL}' WHERE id = 'other'"));
    assert_eq!(api("POST", "/api/jobs/retry-dead").json()["retried"], 1);
    rig.wait_for("it is done", || rig.calls().len() == 3 && rig.left() == 0);
    rig.sql("INSERT INTO _pando_jobs (id, queue, payload) VALUES ('d', 'dead', 'no json')");
    assert_eq!(api("DELETE", "/api/jobs/d").status, 204);
    assert_eq!(api("DELETE", "/api/jobs/d").status, 404);
    assert_eq!(node.client().send(&Request::get("/api/jobs")).unwrap().status, 401);

    // What a worker cannot finish in time is there again as if it had not been taken.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let text = std::fs::read_to_string(&rig.config).unwrap().replace(&rig.sink.url("/"), &url);
    std::fs::write(&rig.config, text).unwrap();
    drop(worker);
    let (mut worker, _) = rig.worker("worker");
    rig.add(0, 1);
    let (held, _) = silent.accept().unwrap();
    let ended = Command::new("kill").args(["-TERM", &worker.pid().to_string()]).status().unwrap();
    assert!(ended.success());
    let left = "SELECT attempts || holder FROM _pando_jobs";
    rig.wait_for("it is given back", || rig.sql(left) == "0");
    worker.kill();
    drop(held);
}
