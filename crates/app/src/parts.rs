//! What the use cases work with, put together once by the binary.

use std::sync::Arc;

use arc_swap::ArcSwap;
use backing::{Bus, Fetch, Mailer, QueryCache, RecordCache, Stamps};
use base::Clock;
use model::Collection;
use store::Store;

use crate::audit::Audit;
use crate::auth::attempts::Attempts;
use crate::auth::passkeys;
use crate::auth::password::Hasher;
use crate::auth::token::TokenCache;
use crate::backups::Backups;
use crate::caching::Keeping;
use crate::catalog::Catalog;
use crate::crons::OwnCron;
use crate::files::Files;
use crate::insights::Active;
use crate::insights::report::Reports;
use crate::logs::Logs;
use crate::nodes::Nodes;
use crate::outside::Outside;
use crate::queues::Queues;
use crate::realtime::Realtime;
use crate::rules::FilterCache;
use crate::settings::insight::InsightSettings;
use crate::settings::{self, Cipher};
use crate::system::System;
use crate::webhooks::Webhooks;

pub struct Parts {
    pub store: Store,
    pub catalog: Catalog,
    pub stamps: Arc<Stamps>,
    pub records: RecordCache,
    pub answers: QueryCache,
    pub filters: FilterCache,
    pub tokens: TokenCache,
    pub hasher: Hasher,
    pub attempts: Attempts,
    pub mailer: Mailer,
    pub bus: Bus,
    pub fetch: Fetch,
    pub passkeys: passkeys::Options,
    pub realtime: Realtime,
    pub webhooks: Webhooks,
    pub clock: Arc<dyn Clock>,
    /// Those in force: what is stored, under what the configuration fixes.
    pub settings: settings::Held,
    /// The processes that work on the same database.
    pub nodes: Nodes,
    /// All that there is, and how it does.
    pub system: System,
    /// The application's own.
    pub queues: Queues,
    pub files: Files,
    pub backups: Backups,
    /// Schedules of the configuration.
    pub crons: Vec<OwnCron>,
    /// Who writes down what superusers do.
    pub audit: Audit,
    /// Who notes which accounts are active.
    pub active: Active,
    pub reports: Reports,
    /// What is kept of what happens.
    pub insight: ArcSwap<InsightSettings>,
    /// Asks the front doors that this process knows, if it knows any.
    pub doors: Option<crate::logs::doors::Ask>,
    /// Where the request log is kept.
    pub logs: Logs,
    /// How the settings are stored.
    pub cipher: Cipher,
    /// Off in short commands, and when other processes write to the same database and nothing tells us of it.
    pub caching: bool,
    /// Caches in front of the server.
    pub outside: Outside,
    /// How records are kept.
    pub keeping: Keeping,
}

impl Parts {
    /// Whether records and answers are kept. Not of a database that was moved to under way: others may write to it. With
    /// other nodes, good for the moment only.
    pub fn caches(&self) -> bool {
        self.caching && self.bus.may_cache() && !self.store.has_switched()
    }

    /// Whether anybody is told which of the collection's records are deleted, and how they were.
    pub fn is_followed(&self, collection: &Collection) -> bool {
        self.realtime.is_followed(collection)
            || self.webhooks.follow(collection)
            || self.bus.is_followed(&[&collection.name, &collection.id])
    }
}
