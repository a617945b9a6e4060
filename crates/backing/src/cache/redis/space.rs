//! Which space this process works by, and how it comes and goes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::limits::{TIER_LEFT_MAX, TIER_LOOK_MS, TIER_LOOKS_PER_CHECK, TIER_RETRY_MS};
use fred::types::Value;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::link::{Link, Script, Servers};
use super::{Error, Members, Options, meters};

/// What is declared where no space is worked by.
const AWAY: &str = "away";

/// All keys of one generation on one set of servers.
pub struct Space {
    /// What is declared, and what its keys begin with.
    pub name: Box<str>,
    pub servers: Servers,
    generation: String,
    prefix: Arc<str>,
}

impl Space {
    fn new(prefix: &Arc<str>, servers: Servers, generation: String) -> Self {
        // Short, as it is in every key; the generation is random, so nothing depends on how well this spreads.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in servers.identity.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let name = format!("{generation}{hash:016x}").into();
        Space { name, servers, generation, prefix: prefix.clone() }
    }

    pub fn key(&self, table: &str, id: &str) -> String {
        format!("{}:{}:{{{table}:{id}}}", self.prefix, self.name)
    }
}

#[derive(Clone)]
pub enum Standing {
    Open(Arc<Space>),
    /// Others may still work by what this process has left.
    Leaving,
    Away,
}

pub struct Spaces {
    pub link: Link,
    prefix: Arc<str>,
    /// The key that says which generation it is.
    generation: String,
    members: Arc<dyn Members>,
    standing: watch::Sender<Standing>,
    /// What is declared last is what stands.
    declaring: tokio::sync::Mutex<()>,
    left: Mutex<VecDeque<Box<str>>>,
    failures: Arc<AtomicU32>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Spaces {
    pub fn open(
        options: &Options,
        members: Arc<dyn Members>,
        failures: Arc<AtomicU32>,
    ) -> Result<Arc<Spaces>, Error> {
        let spaces = Arc::new(Spaces {
            link: Link::open(&options.url, options.call)?,
            prefix: options.prefix.as_str().into(),
            generation: format!("{}:generation", options.prefix),
            members,
            standing: watch::Sender::new(Standing::Away),
            declaring: tokio::sync::Mutex::default(),
            left: Mutex::default(),
            failures,
            keeper: Mutex::default(),
        });
        let weak = Arc::downgrade(&spaces);
        let keeper = tokio::spawn(async move {
            let mut said = None;
            let mut looks = 0;
            while let Some(spaces) = weak.upgrade() {
                let pause = spaces.keep(&mut said, &mut looks).await;
                drop(spaces);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        });
        *spaces.keeper.lock() = Some(keeper);
        Ok(spaces)
    }

    pub fn current(&self) -> Option<Arc<Space>> {
        match &*self.standing.borrow() {
            Standing::Open(space) => Some(space.clone()),
            _ => None,
        }
    }

    /// Whether all members work by it.
    pub fn is_common(&self, space: &Space) -> bool {
        self.members.all_declare(&space.name)
    }

    /// Never [`Standing::Leaving`]: waits until that is over.
    pub async fn settled(&self) -> Standing {
        let mut standing = self.standing.subscribe();
        let settled = standing.wait_for(|standing| !matches!(standing, Standing::Leaving)).await;
        settled.map_or(Standing::Away, |standing| standing.clone())
    }

    /// For good. Returns at once; [`Self::settled`] waits until the others know.
    pub fn leave(self: &Arc<Self>, space: &Arc<Space>, why: &str) {
        if self.begin_to_leave(space) {
            tracing::warn!("the shared cache is left: {why}");
            meters::left();
        }
    }

    /// The same when nothing is wrong.
    pub fn turn(self: &Arc<Self>, space: &Arc<Space>) {
        self.begin_to_leave(space);
    }

    fn begin_to_leave(self: &Arc<Self>, space: &Arc<Space>) -> bool {
        let left = self.standing.send_if_modified(|standing| match standing {
            Standing::Open(current) if Arc::ptr_eq(current, space) => {
                *standing = Standing::Leaving;
                true
            }
            _ => false,
        });
        if left {
            meters::is_open(false);
            let mut gone = self.left.lock();
            gone.push_back(space.name.clone());
            if gone.len() > TIER_LEFT_MAX {
                gone.pop_front();
            }
            let spaces = self.clone();
            // A caller that goes away does not keep the others from being told.
            tokio::spawn(async move {
                let _declaring = spaces.declaring.lock().await;
                spaces.members.declare(AWAY).await;
                spaces.standing.send_replace(Standing::Away);
            });
        }
        left
    }

    /// One round. Returns for how many milliseconds nothing is to be done.
    async fn keep(self: &Arc<Self>, said: &mut Option<String>, looks: &mut u32) -> u64 {
        let standing = self.settled().await;
        let kept = match &standing {
            Standing::Open(space) => self.look_after(space, looks).await,
            _ => self.enter().await,
        };
        match kept {
            Ok(()) => {
                *said = None;
                TIER_LOOK_MS
            }
            Err(error) => {
                let text = error.to_string();
                if said.as_deref() != Some(text.as_str()) {
                    tracing::warn!("the shared cache is not used: {text}");
                    *said = Some(text);
                }
                TIER_RETRY_MS
            }
        }
    }

    async fn look_after(self: &Arc<Self>, space: &Arc<Space>, looks: &mut u32) -> Result<(), Error> {
        let generation = self.link.get(&self.generation).await?;
        self.failures.store(0, Ordering::Relaxed);
        if generation.as_deref() != Some(space.generation.as_bytes()) {
            self.turn(space);
            self.settled().await;
            return self.enter().await;
        }
        *looks += 1;
        if looks.is_multiple_of(TIER_LOOKS_PER_CHECK)
            && self.link.identity().await? != *space.servers.identity
        {
            self.leave(space, "its servers are others now");
            self.settled().await;
            return self.enter().await;
        }
        Ok(())
    }

    /// Finds out which space there is, makes a new one if this process has left that before, and works by it from here on.
    async fn enter(&self) -> Result<(), Error> {
        let servers = self.link.learn().await?;
        let mut space = Space::new(&self.prefix, servers.clone(), self.turn_from(&servers, "").await?);
        if self.left.lock().contains(&space.name) {
            space =
                Space::new(&self.prefix, servers.clone(), self.turn_from(&servers, &space.generation).await?);
        }
        if self.left.lock().contains(&space.name) {
            return Err(Error::Unsettled);
        }
        let space = Arc::new(space);
        tracing::debug!("the shared cache is entered: {}", space.name);
        self.failures.store(0, Ordering::Relaxed);
        // Writers keep to it before anybody may read by it.
        self.standing.send_replace(Standing::Open(space.clone()));
        meters::is_open(true);
        meters::entered();
        let _declaring = self.declaring.lock().await;
        if self.current().is_some_and(|current| Arc::ptr_eq(&current, &space)) {
            self.members.declare(&space.name).await;
        }
        Ok(())
    }

    /// The generation, which is another one if it was this. Where there is none, one is made.
    async fn turn_from(&self, servers: &Servers, from: &str) -> Result<String, Error> {
        let fresh = base::id::record();
        let arguments: Vec<Value> = vec!["turn".into(), from.into(), fresh.into()];
        let limit = self.link.call_max() * 3;
        let turned = self.link.run(servers, Script::Write, &self.generation, arguments, limit).await;
        let generation = turned.ok().and_then(Value::into_string);
        generation.ok_or(Error::Silent)
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }
}
