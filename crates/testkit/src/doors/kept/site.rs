//! Two web nodes on one database and two edges, with a wire of its own for each thing that one says to another.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Happening;
use crate::front::Front;
use crate::link::{Cut, Link};
use crate::postgres::{Options, Postgres};
use crate::server::{SUPERUSER, Server};
use crate::sink::{Reply, Sink};
use crate::{Client, Request, tools};

pub const COLLECTION: &str = "kept";
const EDGES: usize = 2;
const NODES: usize = 2;

pub struct Site {
    pub nodes: Vec<Server>,
    edges: Vec<Front>,
    /// From the edges to each node.
    requests: Vec<Link>,
    /// From each node to the edges.
    announcements: Vec<Vec<Link>>,
    _liars: Vec<Sink>,
    _postgres: Postgres,
    // Last, so that the directory goes after the processes.
    _dir: TempDir,
}

impl Site {
    /// With `deaf`, nothing arrives at the edges of what nodes wrote, though they hear that nodes are there.
    pub fn start(pando: &str, deaf: bool) -> Result<Site> {
        let postgres = Postgres::start(Options::default())?;
        let dir = tempfile::tempdir()?;
        let program = crate::pando::program(pando, Some(postgres.database()?))?.role("web");
        let (mut edges, mut controls) = (Vec::new(), Vec::new());
        for _ in 0..EDGES {
            let control = tools::free_port();
            let address = format!("127.0.0.1:{control}");
            let variables = [("PANDO_FRONT_CONTROL", address.as_str())];
            edges.push(Front::start(&program.path, dir.path(), "edge", "", &variables)?);
            controls.push(control);
        }
        program.upsert_superuser(&dir.path().join("superuser"), SUPERUSER.0, SUPERUSER.1)?;
        let (mut nodes, mut requests, mut announcements, mut liars) = (vec![], vec![], vec![], vec![]);
        for number in 0..NODES {
            let port = tools::free_port();
            let asked = Link::to(port)?;
            let told = controls.iter().map(|control| Link::to(*control)).collect::<Result<Vec<Link>>>()?;
            let mut to: Vec<String> = told.iter().map(|link| format!("http://{}", link.address())).collect();
            if deaf {
                let without = controls.iter().map(|control| without_purges(*control));
                liars.extend(without.collect::<Result<Vec<Sink>>>()?);
                to = liars[number * EDGES..].iter().map(|liar| liar.url("")).collect();
            }
            let mut own = program.clone();
            own.variables.push(("PANDO_ANNOUNCE_TO".into(), to.join(",")));
            own.variables.push(("PANDO_ANNOUNCE_ADDRESS".into(), asked.address().to_string()));
            let mut node = Server::spawn(own, dir.path().join(format!("node-{number}")), port)?;
            node.wait_ready()?;
            nodes.push(node);
            requests.push(asked);
            announcements.push(told);
        }
        Ok(Site { nodes, edges, requests, announcements, _liars: liars, _postgres: postgres, _dir: dir })
    }

    pub fn edges(&self) -> Vec<SocketAddr> {
        self.edges.iter().map(|edge| ([127, 0, 0, 1], edge.port()).into()).collect()
    }

    /// A collection that edges may keep, and records in it.
    pub fn fill(&self, records: usize) -> Result<()> {
        let (client, token) = (self.nodes[0].client(), self.nodes[0].superuser_token()?);
        let send = |path: &str, body: &Value| -> Result<()> {
            let answer = client.send(&Request::json("POST", path, body).token(&token))?;
            anyhow::ensure!(answer.status == 200, "{path} answered {}: {}", answer.status, answer.text());
            Ok(())
        };
        let collection = json!({"name": COLLECTION, "type": "base", "listRule": "", "viewRule": "", "updateRule": "",
            "fields": [{"name": "n", "type": "number"}], "cache": {"ttl": 3600, "scope": "public"}});
        send("/api/collections", &collection)?;
        for record in 0..records {
            send(&path(), &json!({"id": id(record), "n": 0}))?;
        }
        Ok(())
    }

    pub fn strike(&mut self, happening: Happening) {
        match happening {
            Happening::Nothing => {}
            Happening::Announcements(cut) => self.turn_announcements(cut),
            Happening::Requests(cut) => self.requests[0].turn(cut),
            Happening::Both(cut) => {
                self.turn_announcements(cut);
                self.requests[0].turn(cut);
            }
            Happening::Kill => self.nodes[0].kill(),
            Happening::Freeze => drop(crate::fault::freeze(self.nodes[0].pid())),
        }
    }

    pub fn mend(&mut self, happening: Happening) -> Result<()> {
        match happening {
            Happening::Nothing => {}
            Happening::Announcements(_) | Happening::Requests(_) | Happening::Both(_) => {
                self.turn_announcements(Cut::None);
                self.requests[0].turn(Cut::None);
            }
            Happening::Kill => self.nodes[0].restart_in_place()?,
            Happening::Freeze => drop(crate::fault::thaw(self.nodes[0].pid())),
        }
        Ok(())
    }

    fn turn_announcements(&self, cut: Cut) {
        self.announcements[0].iter().for_each(|link| link.turn(cut));
    }

    pub fn logs(&self) -> String {
        let edges = self.edges.iter().map(|edge| edge.daemon.said());
        edges.chain(self.nodes.iter().map(Server::log)).collect::<Vec<_>>().join("\n==\n")
    }

    /// Puts the logs where they outlive the run.
    pub fn keep_logs(&self, dir: &Path) -> Result<()> {
        Ok(std::fs::write(dir.join("kept.log"), self.logs())?)
    }
}

pub fn id(record: usize) -> String {
    format!("kept{record:011}")
}

pub fn path() -> String {
    format!("/api/collections/{COLLECTION}/records")
}

/// Passes announcements on to a control address, and keeps to itself what was written.
fn without_purges(control: u16) -> Result<Sink> {
    let client = Mutex::new(Client::new(control));
    Sink::answering(0, move |request| {
        let mut said: Value = serde_json::from_str(&request.body).unwrap_or_default();
        said["purge"] = json!({});
        let path = request.line.split(' ').nth(1).unwrap_or("/");
        let sent =
            client.lock().unwrap_or_else(PoisonError::into_inner).send(&Request::json("POST", path, &said));
        Reply::status(sent.map_or(503, |answer| answer.status))
    })
}
