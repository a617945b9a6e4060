//! Topologies as processes: what dies comes back, what is promoted has every acknowledged write, and nothing stays behind.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster::{Condition, NodeStatus, Status};
use testkit::fault;
use testkit::topology::Rig;

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
        let process = pando(&cluster).arg("up").arg(&file).spawn().unwrap();
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
    rig.sql(&third, "insert into t values (2)").unwrap();
    rig.again().unwrap();
    let primary = rig.primary().unwrap();
    assert_eq!(count(&rig, &primary), Some(2));
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
