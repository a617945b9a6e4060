//! The configuration of one database. It stands beside the data directory and not inside, where `pg_rewind` and base
//! backups would overwrite it with another node's.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use base::limits::STANDBY_LOG_MIB_MAX;

use super::{ADMIN, APP, Admin, Databases, slot};
use crate::Result;
use crate::error::{Doing, write};
use crate::node::Node;
use crate::spawn::postgres_user;

pub(super) const CONFIG: &str = "postgresql.conf";
const HBA: &str = "pg_hba.conf";

/// What every database is started with; a topology's `settings` come after and win.
pub(crate) const DEFAULTS: &[(&str, &str)] = &[
    ("timezone", "UTC"),
    ("max_connections", "200"),
    ("shared_buffers", "64MB"),
    ("log_line_prefix", "%m [%p] "),
    ("wal_level", "replica"),
    ("hot_standby", "on"),
    // Rows that a standby's query still reads are not cleared away on the primary, so that replay need not wait.
    ("hot_standby_feedback", "on"),
    ("max_standby_streaming_delay", "1s"),
    ("max_wal_senders", "20"),
    ("max_replication_slots", "40"),
    ("wal_keep_size", "128MB"),
    ("wal_receiver_status_interval", "1s"),
    ("wal_retrieve_retry_interval", "200ms"),
    ("wal_receiver_timeout", "10s"),
    ("wal_sender_timeout", "10s"),
    ("recovery_target_timeline", "latest"),
];

impl Databases {
    /// Writes the configuration of a node that follows another one, or none.
    pub(super) fn configure(&self, node: &Node, follows: Option<&Node>) -> Result<()> {
        let mut text = String::from("# Written at every start.\n");
        let mut set = |name: &str, value: &str| {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''")));
        };
        set("listen_addresses", &node.address().ip().to_string());
        set("port", &node.address().port().to_string());
        set("unix_socket_directories", "");
        set("hba_file", &node.dir().join(HBA).to_string_lossy());
        set("cluster_name", node.name());
        set("fsync", if self.settings.fsync { "on" } else { "off" });
        for (name, value) in DEFAULTS {
            set(name, value);
        }
        set("max_slot_wal_keep_size", &format!("{STANDBY_LOG_MIB_MAX}MB"));
        set("synchronous_standby_names", &self.synchronous(node.name()));
        if let Some(primary) = follows {
            let conninfo = self.admin.conninfo(primary.address());
            let (name, secret) = (node.name(), &self.admin.secret);
            set("primary_conninfo", &format!("{conninfo} password={secret} application_name={name}"));
            set("primary_slot_name", &slot(name));
        }
        for (name, value) in &self.settings.settings {
            set(name, &value.to_string());
        }
        owned(&node.dir().join(CONFIG), &text)?;
        owned(
            &node.dir().join(HBA),
            "host all all all scram-sha-256\nhost replication all all scram-sha-256\n",
        )
    }

    /// The same on every node, less itself: a standby that is promoted waits for the others from its first write on.
    fn synchronous(&self, name: &str) -> String {
        let names: Vec<String> = self.others(name).map(|node| format!("\"{}\"", node.name())).collect();
        match self.settings.synchronous {
            0 => String::new(),
            count => format!("ANY {count} ({})", names.join(", ")),
        }
    }

    /// A physical slot for each of the others, so that the log they need is kept.
    pub(super) fn make_slots(&self, primary: &Node) -> Result<()> {
        for node in self.others(primary.name()) {
            let name = slot(node.name());
            let make = format!(
                "select pg_create_physical_replication_slot('{name}', true) \
                 where not exists (select from pg_replication_slots where slot_name = '{name}')"
            );
            self.ask(primary, &make)?;
        }
        Ok(())
    }
}

/// The role and the database of the application, if they are not there yet.
pub(crate) fn create_application(admin: &Admin, primary: SocketAddr) -> Result<()> {
    let secret = &admin.secret;
    if !admin.is_true(primary, &format!("select count(*) = 1 from pg_roles where rolname = '{APP}'")) {
        // It looks at the positions of standbys, which are for those who may monitor.
        admin.sql(
            primary,
            ADMIN,
            &format!("create role {APP} login password '{secret}' in role pg_monitor"),
        )?;
    }
    if !admin.is_true(primary, &format!("select count(*) = 1 from pg_database where datname = '{APP}'")) {
        admin.sql(primary, ADMIN, &format!("create database {APP} owner {APP}"))?;
    }
    Ok(())
}

/// A file that PostgreSQL's user may read and nobody else.
pub(crate) fn owned(path: &Path, text: &str) -> Result<()> {
    write(path, text)?;
    let doing = || format!("cannot hand {} to PostgreSQL", path.display());
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).doing(doing)?;
    give(path)
}

/// Hands a file or directory to the user that PostgreSQL runs as.
pub(crate) fn give(path: &Path) -> Result<()> {
    if rustix::process::getuid().is_root()
        && let Some((uid, gid)) = postgres_user()
    {
        chown(path, Some(uid), Some(gid))
            .doing(|| format!("cannot hand {} to PostgreSQL", path.display()))?;
    }
    Ok(())
}
