//! PostgreSQL under Patroni: it makes the data directories, decides who is the primary by a lease in etcd, and brings
//! back an old one. What is done here is to start it, to ask it and to wait.

mod config;
mod etcd;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{NODE_ASK_MS, NODE_START_MS};
use rustix::process::Signal;

use crate::Result;
use crate::database::{Admin, create_application, data_of};
use crate::error::Error;
use crate::node::{Node, Plan, Role};
use crate::probe;
use crate::site::Site;
use crate::spawn::Spec;

pub(crate) use config::{settings, write};
pub(crate) use etcd::plan as plan_etcd;

const LOOK: Duration = Duration::from_millis(50);
/// Above a member's own bound: an old primary may have to be rewound, or copied, before it follows.
const SETTLE: Duration = Duration::from_millis(2 * NODE_START_MS);
/// Many of its rounds, which are a second.
const KNOWN: Duration = Duration::from_secs(10);

/// A database and the Patroni above it.
pub(crate) struct Member {
    pub node: Arc<Node>,
    /// Where Patroni answers.
    pub rest: SocketAddr,
}

pub(crate) struct Patroni {
    pub admin: Admin,
    pub members: Vec<Member>,
    /// What all members hold to, as Patroni's interface takes it.
    pub settings: serde_json::Value,
}

pub(crate) fn plan(
    program: &Path,
    (name, address, rest): (String, SocketAddr, SocketAddr),
    dir: &Path,
    site: Site,
) -> Plan {
    let (place, ground) = site.take();
    let spec = Spec::new(program, "/").args([dir.join(config::FILE).into_os_string()]).unprivileged();
    Plan {
        name,
        role: Role::Database,
        address,
        monitor: None,
        https: None,
        dir: dir.to_path_buf(),
        // PostgreSQL is no child of Patroni's: only Patroni can end it in order.
        spec: Spec { orphaned: "TERM", place, ..spec },
        ready: Box::new(move || is(rest, "/health")),
        stop: Signal::TERM,
        data: Some(data_of(dir)),
        renews: false,
        ground,
    }
}

/// Whether a member says so of itself.
fn is(rest: SocketAddr, what: &str) -> bool {
    probe::get(rest, what, Duration::from_millis(NODE_ASK_MS)).is_some_and(|(status, _)| status == 200)
}

impl Patroni {
    /// Starts all members. In a new cluster the first one alone, so that it becomes the primary.
    pub fn start(&self) -> Result<()> {
        let is_new = self.members.iter().all(|member| !data_of(member.node.dir()).exists());
        let (first, others) = self.members.split_at(if is_new { 1 } else { self.members.len() });
        for some in [first, others] {
            for member in some {
                member.node.start()?;
            }
            for member in some {
                member.node.wait_ready()?;
            }
            let primary = self.wait_primary(None)?;
            self.configure(primary)?;
            create_application(&self.admin, primary.node.address())?;
        }
        self.wait_followed()
    }

    pub fn primary(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.node.is_alive() && is(member.rest, "/primary"))
    }

    /// Hands the primary's place to a standby; for `any`, to the one that Patroni prefers. Where the primary is gone,
    /// Patroni does so by itself, and this waits for it.
    pub fn promote(&self, target: &str) -> Result<String> {
        let named = (target != "any").then_some(target);
        if let Some(name) = named {
            self.member(name)?;
        }
        let old = self.primary().map(|member| member.node.name().to_owned());
        if named.is_some() && old.as_deref() == named {
            return Err(Error::Refused(format!("{target} is the primary already")));
        }
        if let Some(old) = &old {
            let body = match named {
                Some(name) => serde_json::json!({"leader": old, "candidate": name}),
                None => serde_json::json!({"leader": old}),
            };
            self.hand_over(&body.to_string())?;
        } else if let Some(name) = named {
            // May come too late, or before the lease has ended: then Patroni's own choice stands.
            let _ = self.ask("POST", "/failover", &serde_json::json!({"candidate": name}).to_string());
        }
        let primary = self.wait_primary(old.as_deref())?;
        Ok(primary.node.name().to_owned())
    }

    /// Patroni rewinds an old primary, or copies it anew, as soon as it runs.
    pub fn rejoin(&self, name: &str) -> Result<()> {
        let member = self.member(name)?;
        match member.node.is_alive() {
            true => member.node.thaw()?,
            false => member.node.restart()?,
        }
        self.wait_followed()
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.members.iter().find(|member| member.node.name() == name).ok_or_else(|| Error::NoNode {
            name: name.into(),
            known: self.members.iter().map(|member| member.node.name().to_owned()).collect(),
        })
    }

    fn wait_primary(&self, not: Option<&str>) -> Result<&Member> {
        self.wait("there to be a primary", || self.primary().filter(|member| Some(member.node.name()) != not))
    }

    /// Until every other member streams from the primary.
    fn wait_followed(&self) -> Result<()> {
        let count = self.members.len() - 1;
        let sql = format!("select count(*) = {count} from pg_stat_replication where state = 'streaming'");
        self.wait("the standbys to follow", || {
            let primary = self.primary()?;
            self.admin.is_true(primary.node.address(), &sql).then_some(())
        })
    }

    fn configure(&self, primary: &Member) -> Result<()> {
        let wait = Duration::from_millis(NODE_ASK_MS);
        let body = self.settings.to_string();
        match probe::ask(primary.rest, "PATCH", "/config", &body, wait) {
            Some((200, _)) => Ok(()),
            answer => Err(Error::Refused(format!("Patroni did not take its settings: {answer:?}"))),
        }
    }

    /// Patroni finds out which standby is synchronous some moments after it follows, and hands over to no other.
    fn hand_over(&self, body: &str) -> Result<()> {
        let until = Instant::now() + KNOWN;
        loop {
            match self.ask("POST", "/switchover", body) {
                Err(Error::Refused(_)) if Instant::now() < until => std::thread::sleep(LOOK),
                answer => return answer,
            }
        }
    }

    /// Asks whichever member answers.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<()> {
        let mut last = "no member answers".to_owned();
        for member in self.members.iter().filter(|member| member.node.is_alive()) {
            match probe::ask(member.rest, method, path, body, Duration::from_millis(NODE_START_MS)) {
                Some((200 | 202, _)) => return Ok(()),
                Some((status, said)) => last = format!("{status} {said}"),
                None => {}
            }
        }
        Err(Error::Refused(format!("Patroni refused {path}: {last}")))
    }

    fn wait<T>(&self, what: &str, mut find: impl FnMut() -> Option<T>) -> Result<T> {
        let until = Instant::now() + SETTLE;
        loop {
            if let Some(found) = find() {
                return Ok(found);
            }
            let Some(first) = self.members.first() else {
                return Err(Error::Refused("there is no database".into()));
            };
            first.node.check()?;
            if Instant::now() > until {
                let logs: Vec<String> = self
                    .members
                    .iter()
                    .map(|member| {
                        format!("{}:\n{}", member.node.name(), crate::error::tail(&member.node.log()))
                    })
                    .collect();
                let what = format!("waiting for {what} took more than {SETTLE:?}");
                return Err(Error::Program { what, said: logs.join("\n") });
            }
            std::thread::sleep(LOOK);
        }
    }
}
