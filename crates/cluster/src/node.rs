//! One process of a cluster, with its directory, address and log. What it runs is in its `Spec`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::limits::{NODE_RESTART_MS_MAX, NODE_RESTART_MS_MIN, NODE_START_MS, NODE_STOP_MS};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::{Error, tail};
use crate::groups::{Group, Usage};
use crate::network::Link;
use crate::process::{self, Identity};
use crate::site::{Ground, Spot};
use crate::spawn::{Spawner, Spec};
use crate::state::{Entry, Keeper};

const LOOK: Duration = Duration::from_millis(20);
/// A node that ran this long before it died begins with short pauses again.
const STEADY: Duration = Duration::from_secs(60);
/// What PostgreSQL says while children of a killed postmaster are still there: they end by themselves, soon.
const NOT_YET: &str = "pre-existing shared memory block";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Edge,
    Balancer,
    Web,
    Worker,
    Database,
    Redis,
    Sentinel,
    Nats,
    Etcd,
    Files,
}

/// What makes a node what it is.
pub(crate) struct Plan {
    pub name: String,
    pub role: Role,
    pub address: SocketAddr,
    /// Where it tells how it is, if that is not its address.
    pub monitor: Option<SocketAddr>,
    /// Where it answers HTTPS, if it does.
    pub https: Option<SocketAddr>,
    pub dir: PathBuf,
    pub spec: Spec,
    /// Whether it answers.
    pub ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// What asks it to end.
    pub stop: Signal,
    /// A database's data directory.
    pub data: Option<PathBuf>,
    /// Whether a second process takes over from the first.
    pub renews: bool,
    pub ground: Ground,
}

impl Plan {
    /// A program that SIGTERM asks to end, and that tells how it is where it answers.
    pub fn new(spot: Spot, role: Role, spec: Spec, ready: impl Fn() -> bool + Send + Sync + 'static) -> Plan {
        let Spot { name, dir, address, site } = spot;
        let (place, ground) = site.take();
        Plan {
            name,
            role,
            address,
            monitor: None,
            https: None,
            dir,
            spec: Spec { place, ..spec },
            ready: Box::new(ready),
            stop: Signal::TERM,
            data: None,
            renews: false,
            ground,
        }
    }
}

pub struct Node {
    plan: Plan,
    spawner: Arc<Spawner>,
    keeper: Arc<Keeper>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    child: Option<Child>,
    identity: Option<Identity>,
    started: Option<Instant>,
    starts: u32,
    /// Whether it shall run, as far as a supervisor is concerned.
    wanted: bool,
    pause_ms: u64,
    again: Option<Instant>,
}

impl Node {
    pub(crate) fn new(plan: Plan, spawner: Arc<Spawner>, keeper: Arc<Keeper>) -> Node {
        Node { plan, spawner, keeper, slot: Mutex::default() }
    }

    /// What is noted of it before its first start.
    pub(crate) fn entry(&self) -> Entry {
        let Plan { name, role, address, monitor, data, .. } = &self.plan;
        Entry {
            name: name.clone(),
            role: *role,
            address: *address,
            monitor: *monitor,
            process: None,
            restarts: 0,
            data: data.clone(),
        }
    }

    pub fn name(&self) -> &str {
        &self.plan.name
    }

    pub fn role(&self) -> Role {
        self.plan.role
    }

    pub fn address(&self) -> SocketAddr {
        self.plan.address
    }

    /// Where it answers HTTPS, if it does.
    pub fn https(&self) -> Option<SocketAddr> {
        self.plan.https
    }

    /// Its private directory.
    pub fn dir(&self) -> &Path {
        &self.plan.dir
    }

    /// The file that holds all that it said.
    pub fn log(&self) -> PathBuf {
        log_of(&self.plan.dir)
    }

    /// The process id while it lives, also while frozen.
    pub fn pid(&self) -> Option<u32> {
        self.slot().identity.filter(|identity| identity.is_alive()).map(|identity| identity.pid)
    }

    pub fn is_alive(&self) -> bool {
        self.pid().is_some()
    }

    /// Whether it answers.
    pub fn is_ready(&self) -> bool {
        self.is_alive() && (self.plan.ready)()
    }

    /// The processor time that it took so far, over all of its starts. Without control groups that of the processes that
    /// are alive now.
    pub fn usage(&self) -> Usage {
        if let Some(usage) = self.plan.ground.group.as_ref().and_then(Group::usage) {
            return usage;
        }
        let ticks: u64 = process::family(&self.roots(&self.slot())).iter().map(|stat| stat.ticks).sum();
        Usage { cpu: Duration::from_secs_f64(ticks as f64 / process::TICKS), ..Usage::default() }
    }

    /// SIGKILL to the node with all of its processes: nothing is flushed, no connection is closed in order.
    pub fn kill(&self) -> Result<()> {
        self.kill_in(&mut self.slot())
    }

    /// SIGSTOP to all of its processes: they keep their sockets and answer nothing.
    pub fn freeze(&self) -> Result<()> {
        let slot = self.slot();
        process::freeze(&self.alive(&slot)?);
        Ok(())
    }

    /// Ends a `freeze`.
    pub fn thaw(&self) -> Result<()> {
        let slot = self.slot();
        process::thaw(&self.alive(&slot)?);
        Ok(())
    }

    /// Cuts it off the network: packets to and from it vanish, and nobody is told. Needs `network.namespaces`.
    pub fn cut(&self) -> Result<()> {
        self.link()?.cut()
    }

    /// Ends a `cut`.
    pub fn heal(&self) -> Result<()> {
        self.link()?.heal()
    }

    fn link(&self) -> Result<&Link> {
        let link = self.plan.ground.link.as_ref();
        link.ok_or_else(|| Error::Refused("only nodes with network.namespaces = true can be cut off".into()))
    }

    /// Ends it in order if it runs, starts it again on the same directory and address, and waits until it answers.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()?;
        self.wait_ready()
    }

    /// Its successor takes its place without a break: it starts beside the process that runs, takes over where that one
    /// listens, and that one ends by itself when it has answered what it was asked. When the successor cannot start,
    /// nothing has changed.
    pub fn renew(&self) -> Result<()> {
        if !self.plan.renews {
            return Err(Error::Refused(format!("{} has no way to hand over: restart it", self.name())));
        }
        let mut old = self.begin_beside()?;
        let until = Instant::now() + Duration::from_millis(NODE_START_MS);
        loop {
            if let Some(status) = self.exited() {
                self.go_back_to(old)?;
                let what = format!("{}'s successor ended at its start, with {status}", self.name());
                return Err(Error::with_log(what, &self.log()));
            }
            if !matches!(old.try_wait(), Ok(None)) {
                return self.wait_ready();
            }
            if Instant::now() > until {
                let _ = old.kill();
                let _ = old.wait();
                let what =
                    format!("{} did not end {NODE_START_MS} ms after its successor began", self.name());
                return Err(Error::with_log(what, &self.log()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Starts another process of this node, and returns the one that ran so far.
    fn begin_beside(&self) -> Result<Child> {
        let mut slot = self.slot();
        self.alive(&slot)?;
        let before = slot.identity;
        let old = slot.child.take();
        let old = old.ok_or_else(|| Error::Refused(format!("{} is not running", self.name())))?;
        if let Err(error) = self.start_in(&mut slot) {
            (slot.child, slot.identity) = (Some(old), before);
            return Err(error);
        }
        Ok(old)
    }

    fn go_back_to(&self, old: Child) -> Result<()> {
        let mut slot = self.slot();
        let identity = Identity::of(old.id());
        (slot.child, slot.identity) = (Some(old), identity);
        self.keeper.entry(self.name(), |entry| entry.process = identity)
    }

    /// Asks it to end; kills it when it does not.
    pub fn stop(&self) -> Result<()> {
        let mut slot = self.slot();
        slot.wanted = false;
        let Some(identity) = slot.identity.filter(|identity| identity.is_alive()) else {
            // Others of its processes may have outlived it.
            return self.kill_in(&mut slot);
        };
        identity.signal(self.plan.stop);
        process::thaw(&self.roots(&slot));
        let until = Instant::now() + Duration::from_millis(NODE_STOP_MS);
        while Instant::now() < until {
            if !matches!(slot.child.as_mut().map(Child::try_wait), Some(Ok(None))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill_in(&mut slot)
    }

    /// Ends it at once, and leaves nothing of it on the machine but its files.
    pub(crate) fn end(&self) -> Result<()> {
        let mut slot = self.slot();
        slot.wanted = false;
        let ended = self.kill_in(&mut slot);
        self.plan.ground.clear();
        ended
    }

    /// Starts it without waiting.
    pub(crate) fn start(&self) -> Result<()> {
        self.start_in(&mut self.slot())
    }

    pub(crate) fn wait_ready(&self) -> Result<()> {
        let until = Instant::now() + Duration::from_millis(NODE_START_MS);
        loop {
            self.check()?;
            if let Some(status) = self.exited() {
                if Instant::now() < until && tail(&self.log()).contains(NOT_YET) {
                    std::thread::sleep(LOOK);
                    self.start()?;
                    continue;
                }
                return Err(Error::with_log(
                    format!("{} ended at its start, with {status}", self.name()),
                    &self.log(),
                ));
            }
            if (self.plan.ready)() {
                return Ok(());
            }
            if Instant::now() > until {
                let what = format!(
                    "{} does not answer at {} within {NODE_START_MS} ms",
                    self.name(),
                    self.address()
                );
                return Err(Error::with_log(what, &self.log()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// An error once nobody waits for the cluster any more.
    pub(crate) fn check(&self) -> Result<()> {
        self.spawner.check()
    }

    /// Tells the process to read its configuration again. One that is frozen does so when it is thawed.
    pub(crate) fn reload(&self) {
        if let Some(identity) = self.slot().identity {
            identity.signal(Signal::HUP);
        }
    }

    /// Leaves it alone when it is found dead.
    pub(crate) fn unwanted(&self) {
        self.slot().wanted = false;
    }

    /// Notices that it died, and starts it again if it is `supervised`, after a pause that doubles each time. Returns what
    /// there is to say.
    pub(crate) fn tend(&self, supervised: bool) -> Option<String> {
        let mut slot = self.slot();
        if !slot.wanted {
            return None;
        }
        if let Some(again) = slot.again {
            if Instant::now() < again {
                return None;
            }
            slot.again = None;
            return match self.start_in(&mut slot) {
                Ok(()) => Some(format!("{} is started again", self.name())),
                Err(error) => {
                    slot.again = Some(Instant::now() + Duration::from_millis(NODE_RESTART_MS_MAX));
                    Some(format!("{} cannot be started: {error}", self.name()))
                }
            };
        }
        let status = slot.child.as_mut()?.try_wait().ok()??;
        let steady = slot.started.is_some_and(|started| started.elapsed() > STEADY);
        let pause = if steady || slot.pause_ms == 0 { NODE_RESTART_MS_MIN } else { slot.pause_ms * 2 };
        let said = tail(&self.log());
        let last = said.lines().last().unwrap_or_default().trim().to_owned();
        let _ = self.kill_in(&mut slot);
        slot.wanted = supervised;
        slot.pause_ms = pause.min(NODE_RESTART_MS_MAX);
        slot.again = Some(Instant::now() + Duration::from_millis(slot.pause_ms));
        let then = if supervised { format!("; again in {} ms", slot.pause_ms) } else { String::new() };
        Some(format!("{} died with {status} ({last}){then}", self.name()))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, if it was started and has.
    fn exited(&self) -> Option<std::process::ExitStatus> {
        self.slot().child.as_mut()?.try_wait().ok()?
    }

    fn start_in(&self, slot: &mut Slot) -> Result<()> {
        let child = self.spawner.node(&self.plan.spec, &self.log())?;
        let identity = Identity::of(child.id());
        *slot = Slot {
            child: Some(child),
            identity,
            started: Some(Instant::now()),
            starts: slot.starts + 1,
            wanted: true,
            pause_ms: slot.pause_ms,
            again: None,
        };
        let restarts = slot.starts - 1;
        self.keeper.entry(self.name(), |entry| (entry.process, entry.restarts) = (identity, restarts))
    }

    /// Leaves `wanted` as it is.
    fn kill_in(&self, slot: &mut Slot) -> Result<()> {
        process::kill(&self.roots(slot));
        if let Some(mut child) = slot.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            if slot.wanted {
                slot.again = Some(Instant::now() + Duration::from_millis(NODE_RESTART_MS_MIN));
            }
        }
        slot.identity = None;
        self.keeper.entry(self.name(), |entry| entry.process = None)
    }

    /// The processes that all of its others descend from.
    fn roots(&self, slot: &Slot) -> Vec<Identity> {
        let postmaster = self.plan.data.as_deref().and_then(process::postmaster);
        let own = slot.identity.filter(|identity| identity.is_alive());
        own.into_iter().chain(postmaster.filter(|found| Some(*found) != own)).collect()
    }

    fn alive(&self, slot: &Slot) -> Result<Vec<Identity>> {
        let roots = self.roots(slot);
        if roots.is_empty() {
            return Err(Error::Refused(format!("{} is not running", self.name())));
        }
        Ok(roots)
    }
}

pub(crate) fn log_of(dir: &Path) -> PathBuf {
    dir.join("log")
}
