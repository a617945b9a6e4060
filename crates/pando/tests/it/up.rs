//! Topologies as processes: what dies comes back, what is promoted has every acknowledged write, and nothing stays behind.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster::{Condition, NodeStatus, Role, Standing, Status};
use serde_json::json;
use testkit::topology::Rig;
use testkit::{Client, Request, fault};

const BUILT: &str = env!("CARGO_BIN_EXE_pando");

/// A primary with two standbys, and nobody who asks them.
const REPLICATED: &str = "
name = 'test'
[web]
nodes = 0
[database]
engine = 'postgres'
replicas = 2
synchronous = 1
fsync = false
";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn count(rig: &Rig, node: &str) -> Option<u64> {
    rig.sql(node, "select count(*) from t").ok()?.parse().ok()
}

#[test]
fn the_most_advanced_standby_takes_over_and_the_old_primary_follows() {
    let mut rig = Rig::start(REPLICATED, BUILT).unwrap();
    rig.sql("db-1", "create table t (n int)").unwrap();
    rig.sql("db-1", "set synchronous_commit = on; insert into t select generate_series(1, 100)").unwrap();
    until("the standby replays", || count(&rig, "db-3") == Some(100));
    // One standby hears nothing of what the other acknowledges.
    rig.node("db-2").unwrap().freeze().unwrap();
    rig.sql("db-1", "set synchronous_commit = on; insert into t values (101)").unwrap();
    rig.node("db-1").unwrap().kill().unwrap();
    let refused = rig.promote("any").unwrap_err().to_string();
    assert!(refused.contains("2 are needed"), "{refused}");
    rig.node("db-2").unwrap().thaw().unwrap();
    // The one that lacks it gets it from the other before it becomes the primary.
    assert_eq!(rig.promote("db-2").unwrap(), "db-2");
    assert_eq!((rig.primary().unwrap().as_str(), count(&rig, "db-2")), ("db-2", Some(101)));
    // The other one acknowledges already, so that the next failover loses nothing either.
    rig.sql("db-2", "set synchronous_commit = on; insert into t values (102)").unwrap();
    until("the other standby follows", || count(&rig, "db-3") == Some(102));

    // The old primary comes back as it was, writes what nobody acknowledges, and has to drop it.
    let old = rig.node("db-1").unwrap();
    old.restart().unwrap();
    rig.sql("db-1", "insert into t values (-1)").unwrap();
    rig.rejoin("db-1").unwrap();
    until("the old primary follows", || count(&rig, "db-1") == Some(102));
    assert_eq!(rig.sql("db-1", "select pg_is_in_recovery(), min(n) > 0 from t").unwrap(), "t|t");

    rig.sql("db-2", "insert into t values (103)").unwrap();
    rig.again().unwrap();
    assert_eq!(rig.primary().unwrap(), "db-2");
    until("all of it is there after another start", || count(&rig, "db-1") == Some(103));
    assert!(rig.status().nodes.iter().all(|node| node.condition == Condition::Ready));
}

/// What `pando up` runs on this directory, as another process sees it.
fn status(dir: &Path) -> Status {
    Status::read(dir).unwrap()
}

fn all_ready(dir: &Path) -> bool {
    let ready = |status: &Status| status.nodes.iter().all(|node| node.condition == Condition::Ready);
    // Until all are planned, none is shown.
    Status::read(dir).is_ok_and(|status| status.is_up && !status.nodes.is_empty() && ready(&status))
}

struct Up {
    process: Child,
    dir: PathBuf,
}

impl Up {
    fn start(dir: &Path, topology: &str) -> Up {
        let file = dir.join("topology.toml");
        std::fs::write(&file, topology).unwrap();
        let cluster = dir.join("cluster");
        let mut command = pando(&cluster);
        if topology.contains("[nats]") {
            // The system's own is too old.
            let nats = testkit::nats::program().unwrap();
            let paths = std::env::var_os("PATH").unwrap_or_default();
            let own = [nats.parent().unwrap().to_path_buf()];
            let all = own.into_iter().chain(std::env::split_paths(&paths));
            command.env("PATH", std::env::join_paths(all).unwrap());
        }
        let process = command.arg("up").arg(&file).spawn().unwrap();
        let up = Up { process, dir: cluster };
        until("the topology is ready", || all_ready(&up.dir));
        up
    }

    fn node(&self, name: &str) -> NodeStatus {
        status(&self.dir).nodes.into_iter().find(|node| node.name == name).unwrap()
    }

    fn end(mut self) {
        let ended = pando(&self.dir).arg("down").output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = cluster::down(&self.dir);
    }
}

fn pando(dir: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("PANDO_BIN").unwrap_or_else(|| BUILT.into()));
    command.arg("--dir").arg(dir).stdout(Stdio::null());
    command
}

/// What a cluster has made on the machine besides its directory: groups, namespaces and devices hold the pid of `up`.
fn traces(pid: u32) -> Vec<String> {
    let mark = format!("pando.{pid}.");
    let names = |dir: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let groups = [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/cpu",
        "/sys/fs/cgroup/cpuacct",
        "/sys/fs/cgroup/cpuset",
        "/run/netns",
    ];
    let mut found: Vec<String> = groups.iter().flat_map(|dir| names(dir)).collect();
    for device in names("/sys/class/net") {
        found.push(std::fs::read_to_string(format!("/sys/class/net/{device}/ifalias")).unwrap_or_default());
    }
    found.retain(|name| name.contains(&mark));
    found
}

/// Nothing listens at any address of the topology, and none of its processes is left.
fn assert_gone(before: &Status, dir: &Path) {
    for node in &before.nodes {
        // Addresses of namespaces are nobody's any more, and lead wherever the machine's routes do.
        let own = !node.address.ip().is_loopback();
        let answer = TcpStream::connect_timeout(&node.address, Duration::from_millis(200));
        assert!(own || answer.is_err(), "{node:?}");
    }
    for node in status(dir).nodes {
        assert_eq!(node.condition, Condition::Dead, "{node:?}");
    }
}

#[test]
fn what_dies_is_started_again_and_nothing_is_left_at_the_end() {
    let dir = testkit::topology::directory().unwrap();
    let up = Up::start(dir.path(), &REPLICATED.replace("nodes = 0", "nodes = 2\nport = 0"));
    for name in ["db-2", "web-1"] {
        let before = up.node(name);
        assert!(fault::kill_9(before.pid.unwrap()));
        until("it is started again", || up.node(name).restarts == before.restarts + 1);
        until("all are ready again", || all_ready(&up.dir));
    }
    let again = pando(&up.dir)
        .arg("up")
        .arg(dir.path().join("topology.toml"))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        !again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is up already"),
        "{again:?}"
    );
    let (before, pid, place) = (status(&up.dir), up.process.id(), up.dir.clone());
    assert!(before.nodes.iter().any(|node| node.database.is_some_and(|database| database.is_primary)));
    up.end();
    assert_gone(&before, &place);
    assert_eq!(traces(pid), Vec::<String>::new());
}

#[test]
fn after_a_killed_up_the_next_one_begins_where_it_was() {
    let dir = testkit::topology::directory().unwrap();
    let topology = format!(
        "{}\n[network]\nnamespaces = true\n",
        REPLICATED.replace("nodes = 0", "nodes = 1\ncpu = 0.9")
    );
    let mut up = Up::start(dir.path(), &topology);
    let before = status(&up.dir);
    // Frozen, so that the kernel's signal does not end it: it is left for the next one.
    let left = up.node("db-3").pid.unwrap();
    fault::freeze(left);
    let first = up.process.id();
    fault::kill_9(first);
    up.process.wait().unwrap();
    let place = up.dir.clone();
    std::mem::forget(up);
    until("the kernel ends the others", || {
        status(&place)
            .nodes
            .iter()
            .filter(|node| node.name != "db-3")
            .all(|node| node.condition == Condition::Dead)
    });
    assert!(!traces(first).is_empty());
    let up = Up::start(dir.path(), &topology);
    assert_ne!(up.node("db-3").pid, Some(left));
    assert_eq!(traces(first), Vec::<String>::new());
    // Programs note each other's addresses among their data.
    let addresses = |status: &Status| status.nodes.iter().map(|node| node.address).collect::<Vec<_>>();
    assert_eq!(addresses(&status(&place)), addresses(&before));
    let (second, running) = (up.process.id(), status(&place));
    fault::kill_9(second);
    drop(up);
    assert_gone(&running, &place);
    assert_eq!(traces(second), Vec::<String>::new());
}

#[test]
fn a_node_that_is_cut_off_is_alive_and_unheard() {
    let rig = Rig::start(&format!("{REPLICATED}\n[network]\nnamespaces = true\n"), BUILT).unwrap();
    rig.sql("db-1", "create table t (n int)").unwrap();
    until("the standby follows", || count(&rig, "db-2") == Some(0));
    let cut = rig.node("db-2").unwrap();
    cut.cut().unwrap();
    rig.sql("db-1", "insert into t values (1)").unwrap();
    until("the other follows", || count(&rig, "db-3") == Some(1));
    assert!(cut.is_alive() && count(&rig, "db-2").is_none());
    cut.heal().unwrap();
    until("it catches up", || count(&rig, "db-2") == Some(1));
}

#[test]
fn patroni_promotes_by_itself_and_takes_the_old_primary_back() {
    let topology = REPLICATED.replace("synchronous = 1", "synchronous = 1\nfailover = 'patroni'");
    let mut rig = Rig::start(&topology, BUILT).unwrap();
    assert_eq!(rig.primary().unwrap(), "db-1");
    rig.sql("db-1", "create table t (n int)").unwrap();
    until("a standby is synchronous", || {
        let sql = "select count(*) = 1 from pg_stat_replication where sync_state = 'sync'";
        rig.sql("db-1", sql).is_ok_and(|rows| rows == "t")
    });
    rig.sql("db-1", "set synchronous_commit = on; insert into t values (1)").unwrap();
    rig.node("db-1").unwrap().kill().unwrap();
    until("another one is the primary", || rig.primary().is_ok_and(|name| name != "db-1"));
    let second = rig.primary().unwrap();
    assert_eq!(count(&rig, &second), Some(1));
    rig.rejoin("db-1").unwrap();
    until("the old primary follows", || count(&rig, "db-1") == Some(1));
    assert_eq!(rig.sql("db-1", "select pg_is_in_recovery()").unwrap(), "t");
    // A primary that is alive hands over.
    let third = rig.promote("any").unwrap();
    assert_ne!(third, second);
    until("it takes writes", || rig.sql(&third, "insert into t values (2)").is_ok());
    rig.again().unwrap();
    let primary = rig.primary().unwrap();
    assert_eq!(count(&rig, &primary), Some(2));
}

/// One or more of everything.
const WHOLE: &str = "
name = 'whole'
[edges]
nodes = 1
[balancers]
nodes = 1
[web]
nodes = 2
port = 0
[workers]
nodes = 1
[queue]
engine = 'nats'
[database]
engine = 'postgres'
fsync = false
[redis]
mode = 'single'
[nats]
nodes = 1
";

#[test]
fn whatever_of_everything_dies_comes_back() {
    let dir = testkit::topology::directory().unwrap();
    let up = Up::start(dir.path(), WHOLE);
    for name in ["redis-1", "nats-1", "worker-1", "web-2", "balancer-1", "edge-1", "db-1"] {
        let before = up.node(name);
        assert!(fault::kill_9(before.pid.unwrap()), "{name}");
        until(name, || up.node(name).restarts == before.restarts + 1);
        until("all are ready again", || all_ready(&up.dir));
    }
    let shown = pando(&up.dir).arg("status").stdout(Stdio::piped()).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        ["redis primary", "worker", "balancer", "edge"].iter().all(|role| shown.contains(role)),
        "{shown}"
    );
    // A web node runs no jobs here: who mails is the worker.
    let client = Client::to(up.node("edge-1").address);
    let email = json!({"email": "a@example.com"});
    let body = json!({"email": email["email"], "password": "12345678", "passwordConfirm": "12345678"});
    let made = client.send(&Request::json("POST", "/api/collections/users/records", &body)).unwrap();
    assert_eq!(made.status, 200, "{}", made.text());
    let asked = Request::json("POST", "/api/collections/users/request-verification", &email);
    assert_eq!(client.send(&asked).unwrap().status, 204);
    let outbox = up.dir.join("files/outbox");
    until("the worker mails", || std::fs::read_dir(&outbox).is_ok_and(|mails| mails.count() > 0));
    let (before, place) = (status(&up.dir), up.dir.clone());
    up.end();
    assert_gone(&before, &place);
}

/// A topology as it is shipped, on free ports, and without what protects a disk that is thrown away.
fn shipped(name: &str) -> String {
    let path = testkit::tools::workspace().join("topologies").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.replace("port = 8080", "port = 0")
        .replace("port = 8090", "port = 0")
        .replace("synchronous = 1", "synchronous = 1\nfsync = false")
}

/// Of each kind the last one.
fn of_each_kind(up: &Up) -> Vec<String> {
    let mut last = std::collections::BTreeMap::new();
    for node in status(&up.dir).nodes {
        let kind = node.name.rsplit_once('-').unwrap().0.to_owned();
        last.insert(kind, node.name);
    }
    last.into_values().collect()
}

fn is_answered(up: &Up, edge: &str) -> bool {
    let asked = Client::to(up.node(edge).address).send(&Request::get("/api/health"));
    asked.is_ok_and(|answer| answer.status == 200)
}

/// Asks an edge all the time, and counts how often it was not answered as it should have been.
fn while_it_is_asked(up: &Up, edge: &str, work: impl FnOnce()) -> (usize, Vec<String>) {
    let (address, stop) = (up.node(edge).address, std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let (client, mut asked, mut failed) = (Client::to(address).sending_once(), 0, Vec::new());
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                match client.connect().and_then(|()| client.send(&Request::get("/api/health"))) {
                    Ok(answer) if answer.status == 200 => asked += 1,
                    Ok(answer) => failed.push(format!("{}: {}", answer.status, answer.text())),
                    Err(error) => failed.push(error.to_string()),
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            (asked, failed)
        });
        work();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        asker.join().unwrap()
    })
}

#[test]
fn the_front_door_as_it_is_shipped() {
    let dir = testkit::topology::directory().unwrap();
    let up = Up::start(dir.path(), &shipped("8-front-door.toml"));
    let kinds = of_each_kind(&up);
    assert_eq!(
        kinds,
        ["balancer-2", "db-3", "edge-2", "nats-1", "redis-1", "web-3", "worker-1"],
        "what is struck is all there is"
    );
    assert!(["edge-1", "edge-2", "balancer-1", "balancer-2"].iter().all(|door| is_answered(&up, door)));
    for name in &kinds {
        let before = up.node(name);
        assert!(fault::kill_9(before.pid.unwrap()), "{name}");
        until(name, || up.node(name).restarts == before.restarts + 1);
        until("all are ready again", || all_ready(&up.dir));
        until("it is answered", || is_answered(&up, "edge-1") && is_answered(&up, "edge-2"));
    }
    // Everything that requests pass is started again, one after the other.
    let (asked, failed) = while_it_is_asked(&up, "edge-1", || {
        for name in ["web-1", "web-2", "web-3", "balancer-1", "balancer-2", "edge-1", "edge-2"] {
            let done = pando(&up.dir).args(["restart", name]).output().unwrap();
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            until("all are ready again", || all_ready(&up.dir));
        }
    });
    assert!(asked > 100 && failed.is_empty(), "{asked} were answered, and {failed:?} not");
    let (before, place) = (status(&up.dir), up.dir.clone());
    up.end();
    assert_gone(&before, &place);
}

#[test]
fn the_smallest_front_door_as_it_is_shipped() {
    let dir = testkit::topology::directory().unwrap();
    let up = Up::start(dir.path(), &shipped("8a-edge.toml"));
    assert_eq!(of_each_kind(&up), ["edge-1", "web-1"]);
    until("it is answered", || is_answered(&up, "edge-1"));
    for name in ["web-1", "edge-1"] {
        let before = up.node(name);
        assert!(fault::kill_9(before.pid.unwrap()), "{name}");
        until(name, || up.node(name).restarts == before.restarts + 1);
        until("all are ready again", || all_ready(&up.dir));
        until("it is answered", || is_answered(&up, "edge-1"));
    }
    let (asked, failed) = while_it_is_asked(&up, "edge-1", || {
        let done = pando(&up.dir).args(["restart", "edge-1"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        until("all are ready again", || all_ready(&up.dir));
    });
    assert!(asked > 0 && failed.is_empty(), "{asked} were answered, and {failed:?} not");
    let (before, place) = (status(&up.dir), up.dir.clone());
    up.end();
    assert_gone(&before, &place);
}

/// What the caches on the way say of an answer, the nearest to the origin first.
fn cache_status(up: &Up, edge: &str, path: &str) -> Vec<String> {
    let answer = Client::to(up.node(edge).address).send(&Request::get(path)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.headers.iter().filter(|(name, _)| name == "cache-status");
    said.flat_map(|(_, value)| value.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn edges_and_their_shield_as_they_are_shipped() {
    let dir = testkit::topology::directory().unwrap();
    let up = Up::start(dir.path(), &shipped("8b-shield.toml"));
    assert_eq!(of_each_kind(&up), ["edge-3", "web-1"]);
    let page = Client::to(up.node("web-1").address).send(&Request::get("/_/")).unwrap().text();
    let asset = page.split_once("./assets/").unwrap().1.split_once('"').unwrap().0;
    let asset = format!("/_/assets/{asset}");
    let is_hit = |said: &String| said.starts_with("pando; hit");
    // What one edge asked for the shield has for the other.
    assert!(!cache_status(&up, "edge-1", &asset).iter().any(is_hit));
    until("it is kept", || cache_status(&up, "edge-1", &asset).iter().any(is_hit));
    let said = cache_status(&up, "edge-2", &asset);
    assert!(said.len() == 2 && said[0].starts_with("pando-shield; hit") && !is_hit(&said[1]), "{said:?}");
    // Without it nobody misses anything.
    let (asked, failed) = while_it_is_asked(&up, "edge-1", || {
        for _ in 0..2 {
            let before = up.node("edge-3");
            assert!(fault::kill_9(before.pid.unwrap()));
            until("the shield is back", || up.node("edge-3").restarts == before.restarts + 1);
            until("all are ready again", || all_ready(&up.dir));
        }
    });
    assert!(asked > 10 && failed.is_empty(), "{asked} were answered, and {failed:?} not");
    let (before, place) = (status(&up.dir), up.dir.clone());
    up.end();
    assert_gone(&before, &place);
}

/// All that stands beside the database, and nobody who asks it.
const BACKING: &str = "
name = 'backing'
[web]
nodes = 0
[database]
engine = 'postgres'
fsync = false
[nats]
nodes = 3
[redis]
mode = 'sentinel'
memory_mb = 16
[network]
namespaces = true
";

#[test]
fn a_cache_and_a_bus_outlive_any_of_their_servers() {
    let mut rig = Rig::start(BACKING, BUILT).unwrap();
    for _ in 0..2 {
        let old = rig.redis_primary().unwrap();
        rig.node(&old).unwrap().kill().unwrap();
        until("a replica takes over", || rig.redis_primary().is_ok_and(|name| name != old));
        rig.node(&old).unwrap().restart().unwrap();
        until("the old primary follows", || rig.is_redis_whole());
        rig.again().unwrap();
    }
    let standings = |rig: &Rig, standing| {
        let nodes = rig.status().nodes;
        nodes
            .into_iter()
            .filter(|node| node.standing == Some(standing))
            .map(|node| node.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(standings(&rig, Standing::Primary).len(), 1);
    assert_eq!(standings(&rig, Standing::Replica).len(), 2);
    let leader = standings(&rig, Standing::Leader).remove(0);
    let node = rig.node(&leader).unwrap();
    node.cut().unwrap();
    let is_other = |name: &String| *name != leader;
    until("another one leads", || standings(&rig, Standing::Leader).iter().any(is_other));
    assert!(node.is_alive());
    node.heal().unwrap();
    until("it hears the others again", || node.is_ready());
    until("all agree", || {
        standings(&rig, Standing::Leader).len() == 1 && standings(&rig, Standing::Follower).len() == 2
    });
}

#[test]
fn a_redis_cluster_is_made_and_made_again() {
    let topology = BACKING.replace("'sentinel'", "'cluster'\nreplicas = 1").replace("namespaces = true", "");
    let mut rig = Rig::start(&topology, BUILT).unwrap();
    assert!(rig.is_redis_whole());
    rig.again().unwrap();
    assert!(rig.is_redis_whole() && rig.of(Role::Redis).len() == 6);
    let old = rig.redis_primary().unwrap();
    rig.node(&old).unwrap().kill().unwrap();
    rig.node(&old).unwrap().restart().unwrap();
    until("it is whole again", || rig.is_redis_whole());
}

#[test]
fn what_cannot_start_says_why() {
    let dir = testkit::topology::directory().unwrap();
    let refused = |topology: &str, place: &str| {
        let (dir, programs) = (dir.path().join(place), cluster::Programs::find(BUILT));
        let started = cluster::Cluster::start(&cluster::Topology::parse(topology).unwrap(), dir, &programs);
        started.err().unwrap().to_string()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = refused(&REPLICATED.replace("nodes = 0", &format!("nodes = 1\nport = {port}")), "a");
    assert!(said.contains(&format!("port {port}, which web-1 needs, is taken")), "{said}");
    let said = refused(&REPLICATED.replace("'test'", "'other'"), "a");
    assert!(said.contains("holds the topology \"test\""), "{said}");
    let said = refused(&format!("{REPLICATED}settings = {{ shared_buffers = 'much' }}"), "b");
    assert!(said.contains("db-1 ended at its start") && said.contains("shared_buffers"), "{said}");
    std::fs::write(dir.path().join("b/db-1/data/PG_VERSION"), "12\n").unwrap();
    let said = refused(REPLICATED, "b");
    assert!(said.contains("of PostgreSQL 12") && said.contains("postgresql-12"), "{said}");
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    if is_root() {
        let said = refused(REPLICATED, "closed/a");
        assert!(said.contains("closed to the user postgres"), "{said}");
    }
}

/// Only root has to hand its data to another user.
fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}
