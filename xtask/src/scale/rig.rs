//! A running topology with the bench's data in it, and a load on all of its web nodes at once.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cluster::{Cluster, Programs, Role, Topology};
use tempfile::TempDir;
use testkit::server::SUPERUSER;
use testkit::{Request, http::Client, tools};

use super::machine;
use super::{CONNECTIONS, wrk};
use crate::bench::data;

pub const RECORDS: usize = 10_000;
/// Those that are asked for by Zipf's law: the first one most of all.
pub const POPULAR: usize = RECORDS * 9 / 10;
/// How long nodes are given to see what was made beside them.
const SEEN_MAX: Duration = Duration::from_secs(20);
pub const PRIMARY: &str = "db-1";

pub struct Load {
    pub name: &'static str,
    /// Lua that returns one request.
    pub request: &'static str,
}

/// What all web nodes did together in a slice; processor times in cores.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    pub requests: f64,
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub nodes: f64,
    /// The primary included.
    pub databases: f64,
    pub primary: f64,
    pub replicas: f64,
    pub load: f64,
    /// How much of the machine was busy, with whatever.
    pub machine: f64,
    /// For how much of the time nodes with quotas had work and none left, on the average.
    pub throttled: f64,
}

impl Slice {
    pub fn median(slices: &[Slice]) -> Slice {
        let of = |get: fn(&Slice) -> f64| wrk::middle(slices.iter().map(get).collect());
        Slice {
            requests: of(|s| s.requests),
            rate: of(|s| s.rate),
            p50_ms: of(|s| s.p50_ms),
            p99_ms: of(|s| s.p99_ms),
            nodes: of(|s| s.nodes),
            databases: of(|s| s.databases),
            primary: of(|s| s.primary),
            replicas: of(|s| s.replicas),
            load: of(|s| s.load),
            machine: of(|s| s.machine),
            throttled: of(|s| s.throttled),
        }
    }
}

pub struct Rig {
    cluster: Cluster,
    token: String,
    superuser: String,
    // Last, so that the directory goes after the processes.
    dir: TempDir,
}

impl Rig {
    pub fn start(topology: &Topology, programs: &Programs) -> Result<Rig> {
        let dir = TempDir::with_prefix("pando-scale-")?;
        let cluster = Cluster::start(topology, dir.path().join("cluster"), programs)?;
        let url = cluster.data_url().context("the topology has no database")?;
        let mut upsert = Command::new(&programs.pando);
        upsert.args(["superuser", "upsert", SUPERUSER.0, SUPERUSER.1, "--dir"]);
        tools::run(upsert.arg(dir.path().join("none")).env("PANDO_DATA", url))?;
        let first = client(&cluster, 0)?;
        let superuser = login(&first, "_superusers", SUPERUSER)?;
        data::collections(&first, &superuser)?;
        cluster.sql(PRIMARY, &data::rows_on_postgres(RECORDS))?;
        let token = login(&first, "users", data::OWNER)?;
        let rig = Rig { cluster, token, superuser, dir };
        rig.wait_until_seen()?;
        Ok(rig)
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A superuser's token.
    pub fn superuser(&self) -> &str {
        &self.superuser
    }

    /// Waits until every node answers for what was made through one of them.
    fn wait_until_seen(&self) -> Result<()> {
        let until = Instant::now() + SEEN_MAX;
        for index in 0..self.cluster.web().len() {
            let client = client(&self.cluster, index)?;
            let request = Request::get("/api/collections/owned/records/p00000000000001").token(&self.token);
            while client.send(&request)?.status != 200 {
                if Instant::now() > until {
                    bail!("web-{} does not know the records", index + 1);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// One slice: a generator for each node, all at once.
    pub fn load(&self, load: &Load, seed: usize, seconds: u64) -> Result<Slice> {
        let web = self.cluster.web();
        let mut ports = Vec::new();
        for (index, node) in web.iter().enumerate() {
            let script = self.dir.path().join(format!("load-{index}.lua"));
            std::fs::write(&script, lua(load, &self.token, seed * 100 + index))?;
            ports.push((node.address().port(), script));
        }
        let (before, begin) = (self.used()?, Instant::now());
        let slices: Vec<Result<wrk::Slice>> = std::thread::scope(|scope| {
            let running: Vec<_> = ports
                .iter()
                .map(|(port, script)| scope.spawn(|| wrk::run_anywhere(*port, script, seconds, CONNECTIONS)))
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| bail!("a generator's thread ended badly")))
                .collect()
        });
        let (after, elapsed) = (self.used()?, begin.elapsed().as_secs_f64());
        let slices: Vec<wrk::Slice> = slices.into_iter().collect::<Result<_>>()?;
        let failed: f64 = slices.iter().map(|s| s.failed).sum();
        if failed > 0.0 {
            bail!("{failed} requests of `{}` failed", load.name);
        }
        let cores = |get: fn(&Used) -> f64| (get(&after) - get(&before)) / elapsed;
        let middle = |get: fn(&wrk::Slice) -> f64| wrk::middle(slices.iter().map(get).collect());
        Ok(Slice {
            requests: slices.iter().map(|s| s.requests).sum(),
            rate: slices.iter().map(|s| s.rate).sum(),
            p50_ms: middle(|s| s.p50_ms),
            p99_ms: middle(|s| s.p99_ms),
            nodes: cores(|u| u.nodes),
            databases: cores(|u| u.primary + u.replicas),
            primary: cores(|u| u.primary),
            replicas: cores(|u| u.replicas),
            load: cores(|u| u.load),
            machine: cores(|u| u.busy) / machine::cores(),
            throttled: cores(|u| u.throttled) / self.limited(),
        })
    }

    /// How many nodes have quotas.
    fn limited(&self) -> f64 {
        let topology = self.cluster.topology();
        let web = if topology.web.cpu.is_some() { topology.web.nodes } else { 0 };
        let databases = if topology.database.cpu.is_some() { topology.databases() } else { 0 };
        f64::from(web + databases).max(1.0)
    }

    fn used(&self) -> Result<Used> {
        let primary = self.cluster.primary()?;
        let mut used = Used { load: machine::own_s(), busy: machine::busy_s(), ..Used::default() };
        for node in self.cluster.nodes() {
            if !node.is_alive() {
                bail!("{} has ended", node.name());
            }
            let usage = node.usage();
            let time = usage.cpu.as_secs_f64();
            match node.role() {
                Role::Web => used.nodes += time,
                Role::Database if node.name() == primary => used.primary += time,
                Role::Database => used.replicas += time,
                _ => {}
            }
            used.throttled += usage.throttled.as_secs_f64();
        }
        Ok(used)
    }
}

/// Seconds of processor time until now.
#[derive(Default)]
struct Used {
    nodes: f64,
    primary: f64,
    replicas: f64,
    load: f64,
    busy: f64,
    throttled: f64,
}

fn client(cluster: &Cluster, index: usize) -> Result<Client> {
    let web = cluster.web();
    let node = web.get(index).context("the topology has no web node")?;
    Ok(Client::new(node.address().port()))
}

fn login(client: &Client, collection: &str, (identity, password): (&str, &str)) -> Result<String> {
    let body = serde_json::json!({"identity": identity, "password": password});
    let path = format!("/api/collections/{collection}/auth-with-password");
    let answer = client.send(&Request::json("POST", &path, &body))?;
    let token = answer.json().get("token").and_then(|token| token.as_str()).map(str::to_owned);
    token.with_context(|| format!("login answered {}: {}", answer.status, answer.text()))
}

fn lua(load: &Load, token: &str, seed: usize) -> String {
    format!(
        r#"
math.randomseed({seed} + 1)
local owned, posts = '/api/collections/owned/records', '/api/collections/posts/records'
local headers = {{}}
headers['Content-Type'] = 'application/json'
headers['Authorization'] = '{token}'
local text = string.rep('lorem ipsum ', 16)
local count = 0
local function id() return string.format('p%014d', math.random({RECORDS})) end
local function author() return string.format('a%014d', math.random({authors})) end
local function views() return math.random({RECORDS}) end
local function view() return wrk.format('GET', owned .. '/' .. id(), headers) end
local function list(total)
  return wrk.format('GET', posts .. '?skipTotal=' .. total .. '&perPage=30&sort=-views&filter=views%20%3C%20' .. views(), headers)
end
local function total() return list(0) end
local function create()
  return wrk.format('POST', posts, headers, '{{"title":"new","body":"' .. text .. '","views":' .. views() .. ',"author":"' .. author() .. '"}}')
end
local function mixed()
  count = count + 1
  if count % 10 == 0 then return create() end
  if count % 10 == 5 then return list(1) end
  return view()
end
local shares
local function zipf()
  if not shares then
    local sum = 0
    shares = {{}}
    for i = 1, {POPULAR} do sum = sum + 1 / i ^ 0.99; shares[i] = sum end
  end
  local at, low, high = math.random() * shares[{POPULAR}], 1, {POPULAR}
  while low < high do
    local middle = math.floor((low + high) / 2)
    if shares[middle] < at then low = middle + 1 else high = middle end
  end
  return string.format('/p%014d', low)
end
local function popular()
  if math.random(100) == 1 then return wrk.format('PATCH', posts .. zipf(), headers, '{{"views":' .. views() .. '}}') end
  return wrk.format('GET', posts .. zipf(), headers)
end
request = function() return {request} end
{done}"#,
        authors = data::authors(RECORDS),
        request = load.request,
        done = crate::bench::cases::DONE,
    )
}
