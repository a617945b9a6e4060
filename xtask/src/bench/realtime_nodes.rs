//! Many open event streams, spread over several nodes on one PostgreSQL and a bus between them: how soon everyone hears
//! of a write, at whichever node it was made.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cluster::{Cluster, Programs};
use serde_json::json;
use tempfile::TempDir;
use testkit::server::{SUPERUSER, login};
use testkit::{Client, Request, tools};

use super::realtime::{
    Heard, LATE, Layout, SETTLES, USERS, collection, listen, open, raise_limit, spread, user_id,
};
use super::site::{Backing, Caches};
use super::{Options, built, machine, report, wrk};

const PAUSE: Duration = Duration::from_millis(200);
/// Until every node knows the collection.
const KNOWN_MAX: Duration = Duration::from_secs(20);

struct Round {
    kib_per_client: f64,
    /// From the sending of the write to the event, the median and the slow end;
    sent_ms: (f64, f64),
    /// from its answer;
    answered_ms: (f64, f64),
    /// and from its sending to the events at the other nodes.
    across_ms: (f64, f64),
    /// Of each node.
    cpu_us: Vec<f64>,
    database_us: f64,
    nats_us: f64,
    heard: usize,
    lost: i64,
}

struct Site {
    cluster: Cluster,
    backing: Backing,
    superuser: String,
    tokens: Vec<String>,
    // Last, so that the directory goes after the processes.
    _dir: TempDir,
}

pub fn run(options: &Options) -> Result<()> {
    raise_limit(options.clients as u64 * 2 + 1000)?;
    let mut text = report::conditions(&format!(
        "{} streams over {} web nodes on one PostgreSQL and one NATS, everything and the clients on one machine; one write every \
         {} ms for {} s, at one node after the other, {} rounds (medians); times from the sending of a write, and from its \
         answer, to the event at a client",
        options.clients,
        options.nodes,
        PAUSE.as_millis(),
        options.seconds,
        options.rounds
    ));
    text += "| subscribers | delivered | lost | p50 ms | p99 ms | after the answer: p50 ms | p99 ms | at other nodes: p50 ms | p99 ms | \
             CPU µs per event: each node | database | NATS | KiB per stream |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |\n";
    for layout in [Layout::Guests, Layout::Owners].into_iter().filter(|l| l.name().contains(&options.only)) {
        let site = Site::start(options, layout)?;
        let rounds = (0..options.rounds).map(|round| site.round(options, layout, round));
        let line = line(layout, &rounds.collect::<Result<Vec<Round>>>()?);
        eprint!("{line}");
        text += &line;
    }
    println!("{text}");
    match options.dry {
        true => Ok(()),
        false => report::section(&super::document(), "Realtime on several nodes", &text),
    }
}

impl Site {
    fn start(options: &Options, layout: Layout) -> Result<Site> {
        let dir = TempDir::with_prefix("pando-streams-")?;
        let backing = Backing::start(Caches::First)?;
        let topology = backing.topology("realtime-nodes", options.nodes);
        let programs = Programs::find(built("pando")?);
        let cluster = Cluster::start(&topology, dir.path().join("cluster"), &programs)?;
        let url = cluster.data_url().context("the topology has no database")?;
        let mut upsert = std::process::Command::new(&programs.pando);
        upsert.args(["superuser", "upsert", SUPERUSER.0, SUPERUSER.1, "--dir"]);
        tools::run(upsert.arg(dir.path().join("none")).env("PANDO_DATA", url))?;
        let clients: Vec<Client> = addresses(&cluster).into_iter().map(Client::to).collect();
        let superuser = login(&clients[0], "_superusers", SUPERUSER.0, SUPERUSER.1)?;
        let tokens = collection(&clients[0], &superuser, layout)?;
        let until = Instant::now() + KNOWN_MAX;
        let path = format!("/api/collections/{}/records?perPage=1", layout.collection());
        for client in &clients {
            while client.send(&Request::get(&path).token(&superuser))?.status != 200 {
                if Instant::now() > until {
                    bail!("a node does not know the collection");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(Site { cluster, backing, superuser, tokens, _dir: dir })
    }

    fn memory_kib(&self) -> f64 {
        self.cluster.web().iter().filter_map(|node| node.pid()).map(machine::rss_mib).sum::<f64>() * 1024.0
    }

    fn round(&self, options: &Options, layout: Layout, round: usize) -> Result<Round> {
        // Whatever the logins, or the streams before these, left behind has settled by then.
        std::thread::sleep(SETTLES);
        let nodes = addresses(&self.cluster);
        let count_nodes = nodes.len();
        let memory = self.memory_kib();
        let each = options.clients / nodes.len();
        // Each user listens at all nodes.
        let mut streams = Vec::new();
        for address in &nodes {
            streams.push(open(address.port(), layout, each, &self.tokens)?);
        }
        std::thread::sleep(SETTLES);
        let kib_per_client = (self.memory_kib() - memory) / (each * nodes.len()) as f64;
        let heard: Vec<Heard> = nodes.iter().map(|_| Heard::default()).collect();
        let listening =
            streams.into_iter().zip(&heard).map(|(streams, heard)| listen(streams, heard.clone()));
        let _listening = listening.collect::<Result<Vec<_>>>()?;
        let before = self.cpu_ms();
        let (sent, answered) = self.write(options, layout, round, &nodes)?;
        let expected = sent.len() * layout.audience(each) * nodes.len();
        let count = || heard.iter().map(|heard| lock(heard).len()).sum::<usize>();
        let until = Instant::now() + LATE;
        while count() < expected && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let after = self.cpu_ms();
        let heard: Vec<Vec<(usize, Instant)>> = heard.iter().map(|heard| lock(heard).clone()).collect();
        let all: Vec<(usize, Instant)> = heard.iter().flatten().copied().collect();
        let across = heard
            .iter()
            .enumerate()
            .flat_map(|(node, heard)| heard.iter().copied().filter(move |(n, _)| n % count_nodes != node));
        let across: Vec<(usize, Instant)> = across.collect();
        let us = |of: usize, events: usize| (after[of] - before[of]) * 1000.0 / events.max(1) as f64;
        Ok(Round {
            kib_per_client,
            sent_ms: spread(&all, &sent),
            answered_ms: spread(&all, &answered),
            across_ms: spread(&across, &sent),
            cpu_us: heard.iter().enumerate().map(|(node, heard)| us(node + 2, heard.len())).collect(),
            database_us: us(0, all.len()),
            nats_us: us(1, all.len()),
            heard: all.len(),
            lost: expected as i64 - all.len() as i64,
        })
    }

    /// When each write was sent and when it was answered.
    fn write(
        &self,
        options: &Options,
        layout: Layout,
        round: usize,
        nodes: &[SocketAddr],
    ) -> Result<(Vec<Instant>, Vec<Instant>)> {
        let clients: Vec<Client> = nodes.iter().map(|address| Client::to(*address)).collect();
        let path = format!("/api/collections/{}/records", layout.collection());
        let writes = (Duration::from_secs(options.seconds).as_millis() / PAUSE.as_millis()) as usize;
        let text = "lorem ipsum ".repeat(16);
        let (mut sent, mut answered) = (Vec::with_capacity(writes), Vec::with_capacity(writes));
        let begin = Instant::now();
        for n in 0..writes {
            std::thread::sleep((PAUSE * n as u32).saturating_sub(begin.elapsed()));
            let owner = if layout == Layout::Owners { user_id((n + round) % USERS) } else { String::new() };
            let body = json!({"n": n, "text": text, "owner": owner});
            sent.push(Instant::now());
            let request = Request::json("POST", &path, &body).token(&self.superuser);
            let answer = clients[n % clients.len()].send(&request)?;
            answered.push(Instant::now());
            if answer.status != 200 {
                bail!("a write gave {} {}", answer.status, answer.text());
            }
        }
        Ok((sent, answered))
    }

    /// Processor time until now of the database, of NATS, and of each web node.
    fn cpu_ms(&self) -> Vec<f64> {
        let of = |name: &str| {
            let node = self.cluster.node(name).ok();
            node.map_or(0.0, |node| node.usage().cpu.as_secs_f64() * 1000.0)
        };
        let web = self.cluster.web();
        let nodes = web.iter().map(|node| node.usage().cpu.as_secs_f64() * 1000.0);
        [of(crate::scale::rig::PRIMARY), self.backing.cpu_ms()[0]].into_iter().chain(nodes).collect()
    }
}

fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    cluster.web().iter().map(|node| node.address()).collect()
}

fn lock(heard: &Heard) -> std::sync::MutexGuard<'_, Vec<(usize, Instant)>> {
    heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn line(layout: Layout, rounds: &[Round]) -> String {
    let of = |get: &dyn Fn(&Round) -> f64| wrk::middle(rounds.iter().map(get).collect());
    let nodes = rounds.first().map_or(0, |round| round.cpu_us.len());
    let each: Vec<String> =
        (0..nodes).map(|node| format!("{:.1}", of(&|round| round.cpu_us[node]))).collect();
    format!(
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.1} | {:.2} | {:.1} |\n",
        layout.name(),
        rounds.iter().map(|round| round.heard).sum::<usize>(),
        rounds.iter().map(|round| round.lost).sum::<i64>(),
        of(&|round| round.sent_ms.0),
        of(&|round| round.sent_ms.1),
        of(&|round| round.answered_ms.0),
        of(&|round| round.answered_ms.1),
        of(&|round| round.across_ms.0),
        of(&|round| round.across_ms.1),
        each.join(", "),
        of(&|round| round.database_us),
        of(&|round| round.nats_us),
        // Later rounds find memory that the first one left.
        rounds.first().map_or(0.0, |round| round.kib_per_client),
    )
}
