//! A database that was the primary once follows the new one. Writes that it alone had are dropped: nobody was told that
//! they are committed.

use std::time::Duration;

use base::limits::NODE_COPY_MS;

use super::configure::CONFIG;
use super::{ADMIN, Databases};
use crate::Result;
use crate::node::Node;
use crate::spawn::{Spec, run};

impl Databases {
    pub fn rejoin(&self, name: &str, primary: &str) -> Result<()> {
        let (node, primary) = (self.node(name)?, self.node(primary)?);
        if node.name() == primary.name() {
            return Err(crate::Error::Refused(format!("{name} is the primary")));
        }
        node.stop()?;
        self.make_slots(primary)?;
        self.rewind_or_copy(node, primary)
    }

    /// By `pg_rewind`, which copies only what differs; else by a copy of everything.
    pub(super) fn rewind_or_copy(&self, node: &Node, primary: &Node) -> Result<()> {
        self.configure(node, Some(primary))?;
        let rewound = self.rewind(node, primary).and_then(|()| {
            Self::make_standby(node)?;
            self.follow(node, primary)
        });
        let Err(error) = rewound else { return Ok(()) };
        tracing::warn!(node = node.name(), %error, "it cannot be rewound: its data are copied anew");
        node.stop()?;
        self.copy(node, primary)?;
        self.follow(node, primary)
    }

    fn rewind(&self, node: &Node, primary: &Node) -> Result<()> {
        let source = format!("{} dbname={ADMIN}", self.admin.conninfo(primary.address()));
        // The source's control file must tell the new timeline, and does so only after a checkpoint.
        self.ask(primary, "checkpoint")?;
        let mut spec = Spec::new(self.admin.bin.join("pg_rewind"), "/")
            .args(["--target-pgdata".into(), Self::data(node).into_os_string()])
            .args(["--config-file".into(), node.dir().join(CONFIG).into_os_string()])
            .args(["--source-server", &source])
            .env("PGPASSWORD", &self.admin.secret)
            .unprivileged();
        if !self.settings.fsync {
            spec = spec.args(["--no-sync"]);
        }
        run(&spec, Duration::from_millis(NODE_COPY_MS)).map(drop)
    }
}
