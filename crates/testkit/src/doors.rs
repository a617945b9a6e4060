//! Front doors under load while what is behind them, and they themselves, are killed, stopped and restarted. Clients ask
//! what may be asked twice, over connections that they keep, and count each request that fails. A checker writes through
//! the same doors meanwhile, so that it is known that nothing acknowledged is lost.

mod certificates;
mod events;
pub mod kept;
mod load;
mod rows;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::{Cluster, Node, Role, Topology};
use serde_json::json;

use crate::checker::judge::{Verdict, judge};
use crate::checker::{load as checker, matrix};
use crate::topology::Rig;
use crate::{Client, Request};

use certificates::Certificates;

pub use events::{Act, Event, Target};
pub use load::{Asked, Load, Question};
pub use rows::{Row, table};

const NOTES: &str = "door_notes";
const NOTES_COUNT: usize = 40;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub topology: Topology,
    pub pando: String,
    pub events: Vec<Event>,
    pub clients: usize,
    /// What each client rests between two requests.
    pub pace: Duration,
    /// Requests of each phase, at least.
    pub requests: usize,
    /// How long each event lasts, at least.
    pub lasts: Duration,
    /// Callers of the checker, half of whom write.
    pub callers: usize,
    pub seed: u64,
}

impl Plan {
    /// A short one, before two web nodes.
    pub fn short(pando: &str, events: &[&str]) -> Plan {
        Plan {
            topology: topology(2, false),
            pando: pando.to_owned(),
            events: events.iter().map(|event| event.parse().unwrap()).collect(),
            clients: 8,
            pace: Duration::from_millis(10),
            requests: 100,
            lasts: Duration::from_millis(500),
            callers: 4,
            seed: 1,
        }
    }
}

/// What came of it.
pub struct Findings {
    pub rows: Vec<Row>,
    pub verdict: Verdict,
    /// Requests outside of all events.
    pub quiet: Vec<Asked>,
    pub clients: usize,
}

/// Web nodes on one database, with so many balancers and edges before them.
pub fn topology(doors: u32, network: bool) -> Topology {
    let mut topology = matrix::topology(0, false, network);
    topology.name = "doors".into();
    (topology.balancers.nodes, topology.edges.nodes) = (doors, doors);
    topology.database.fsync = false;
    topology
}

impl Findings {
    /// Fails when a request failed that nobody's death explains, or when anything acknowledged was lost.
    pub fn check(&self) -> Result<()> {
        if !self.verdict.is_clean() {
            bail!("{}", self.verdict);
        }
        if let Some(asked) = self.quiet.iter().find(|asked| asked.failure.is_some()) {
            bail!("a request failed while nothing happened: {asked:?}");
        }
        for row in &self.rows {
            if let Some(when) = row.stalled.first() {
                bail!("{}: requests do not end {when}: {}", row.event, row.why());
            }
            let most = row.event.failures_max(self.clients) * row.struck;
            let (failed, why) = (row.failed(), row.why());
            if failed > most {
                bail!("{}: {failed} of {} requests failed, {most} at most: {why}", row.event, row.count());
            }
        }
        Ok(())
    }
}

pub fn run(plan: &Plan) -> Result<Findings> {
    let certificates = Certificates::new()?;
    let mut topology = plan.topology.clone();
    if plan.events.iter().any(|event| event.act == Act::Certify) {
        topology.edges.certificates = vec![certificates.pair()];
    }
    let rig = Rig::of(&topology, &plan.pando)?;
    let result = run_on(plan, &rig, &certificates);
    if !result.as_ref().is_ok_and(|findings| findings.check().is_ok()) {
        eprintln!("{}", matrix::logs(&rig));
    }
    if let Some(dir) = std::env::var_os("PANDO_FAULTS_LOGS") {
        for node in rig.nodes() {
            std::fs::copy(node.log(), std::path::Path::new(&dir).join(format!("{}.log", node.name())))?;
        }
    }
    result
}

fn run_on(plan: &Plan, cluster: &Cluster, certificates: &Certificates) -> Result<Findings> {
    let (web, token) = matrix::ready(cluster, &plan.pando)?;
    let questions = prepare(&Client::to(web[0]), &token)?;
    let addresses =
        |nodes: Vec<Arc<Node>>| nodes.iter().map(|node| node.address()).collect::<Vec<SocketAddr>>();
    let entrances = addresses(cluster.entrances());
    // Whom clients may ask when no edge takes a connection.
    let behind =
        if cluster.of(Role::Edge).is_empty() { Vec::new() } else { addresses(cluster.of(Role::Balancer)) };
    let secure = certificates.clients(&cluster.of(Role::Edge));
    let half = plan.callers / 2;
    let judged = checker::Load {
        writers: half,
        readers: plan.callers - half,
        pace: Duration::from_millis(20),
        seed: plan.seed,
        ..checker::Load::on(entrances.clone())
    };
    let judged = judged.start(&token)?;
    let load = Load::start(&entrances, &behind, &secure, plan.clients, plan.pace, &questions);
    let mut rows = Vec::new();
    for event in &plan.events {
        let row =
            events::run(plan, cluster, &load, certificates, *event).with_context(|| event.to_string())?;
        eprintln!("{event}: {:.1} s", (row.end - row.start).as_secs_f64());
        rows.push(row);
    }
    matrix::whole(cluster)?;
    let mut asked = load.stop();
    for row in &mut rows {
        let within: Vec<Asked>;
        (within, asked) = asked.into_iter().partition(|one| (row.start..row.end).contains(&one.at));
        row.asked = within;
    }
    let verdict = judge(&judged.stop().settle()?);
    Ok(Findings { rows, verdict, quiet: asked, clients: plan.clients })
}

/// Records that anybody may read, and requests that read them.
pub fn prepare(client: &Client, token: &str) -> Result<Vec<Question>> {
    let send = |path: &str, body| -> Result<()> {
        let answer = client.send(&Request::json("POST", path, &body).token(token))?;
        if answer.status != 200 {
            bail!("{path} answered {}: {}", answer.status, answer.text());
        }
        Ok(())
    };
    let fields = json!([{"name": "n", "type": "number"}, {"name": "text", "type": "text"}]);
    let collection = json!({"name": NOTES, "type": "base", "listRule": "", "viewRule": "", "fields": fields});
    send("/api/collections", collection)?;
    let path = format!("/api/collections/{NOTES}/records");
    let id = |n: usize| format!("note{n:011}");
    let mut questions = Vec::new();
    for n in 0..NOTES_COUNT {
        send(&path, json!({"id": id(n), "n": n, "text": format!("note {n} is here")}))?;
        let expected = format!("note {n} is here");
        questions.push(Question { request: Request::get(&format!("{path}/{}", id(n))), expected });
    }
    for page in 1..=NOTES_COUNT / 10 {
        let list = Request::get(&format!("{path}?sort=n&perPage=10&page={page}"));
        questions.push(Question { request: list, expected: format!("note {} is here", page * 10 - 1) });
        let filtered = Request::get(&format!("{path}?filter=(n={page})"));
        questions.push(Question { request: filtered, expected: format!("note {page} is here") });
    }
    questions.push(Question { request: Request::get("/api/health"), expected: "200".into() });
    Ok(questions)
}
