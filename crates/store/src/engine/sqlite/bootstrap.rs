//! The base tables of a new directory. They are the reference's own, so that it opens the directory afterwards;
//! tables that start with `_pando_` are ours, and it ignores them.

use base::Timestamp;
use rusqlite::Connection;

use super::connection::failure;
use crate::error::{Error, Result};

/// What the reference's migrations leave behind in a directory that it made itself. Listed there, so that it
/// does not run them again.
const MIGRATIONS: [&str; 8] = [
    "1640988000_aux_init.go",
    "1640988000_init.go",
    "1717233556_v0.23_migrate.go",
    "1717233557_v0.23_migrate2.go",
    "1717233558_v0.23_migrate3.go",
    "1717233559_v0.23_migrate4.go",
    "1763020353_update_default_auth_alert_templates.go",
    "1778828400_normalize_indexes.go",
];

const DATA: &str = "
CREATE TABLE IF NOT EXISTS `_migrations` (file VARCHAR(255) PRIMARY KEY NOT NULL, applied INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS `_params` (
    `id`      TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
    `value`   JSON DEFAULT NULL,
    `created` TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL,
    `updated` TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
);
CREATE TABLE IF NOT EXISTS `_collections` (
    `id`         TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
    `system`     BOOLEAN DEFAULT FALSE NOT NULL,
    `type`       TEXT DEFAULT 'base' NOT NULL,
    `name`       TEXT UNIQUE NOT NULL,
    `fields`     JSON DEFAULT '[]' NOT NULL,
    `indexes`    JSON DEFAULT '[]' NOT NULL,
    `listRule`   TEXT DEFAULT NULL,
    `viewRule`   TEXT DEFAULT NULL,
    `createRule` TEXT DEFAULT NULL,
    `updateRule` TEXT DEFAULT NULL,
    `deleteRule` TEXT DEFAULT NULL,
    `options`    JSON DEFAULT '{}' NOT NULL,
    `created`    TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL,
    `updated`    TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
);
CREATE INDEX IF NOT EXISTS idx__collections_type on `_collections` (`type`);
CREATE TABLE IF NOT EXISTS `_pando_meta` (`id` TEXT PRIMARY KEY NOT NULL, `value` TEXT DEFAULT '' NOT NULL);
CREATE TABLE IF NOT EXISTS `_pando_jobs` (
    `id`       TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
    `queue`    TEXT DEFAULT '' NOT NULL,
    `payload`  TEXT DEFAULT '' NOT NULL,
    `attempts` NUMERIC DEFAULT 0 NOT NULL,
    `due`      NUMERIC DEFAULT 0 NOT NULL,
    `holder`   TEXT DEFAULT '' NOT NULL,
    `created`  TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
);
CREATE TABLE IF NOT EXISTS `_pando_passkeys` (
    `id`            TEXT PRIMARY KEY NOT NULL,
    `collectionRef` TEXT DEFAULT '' NOT NULL,
    `recordRef`     TEXT DEFAULT '' NOT NULL,
    `credentialId`  TEXT DEFAULT '' NOT NULL,
    `credential`    TEXT DEFAULT '' NOT NULL,
    `name`          TEXT DEFAULT '' NOT NULL,
    `created`       TEXT DEFAULT '' NOT NULL,
    `used`          TEXT DEFAULT '' NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS `idx__pando_passkeys_credential` ON `_pando_passkeys` (`collectionRef`, `credentialId`);
CREATE INDEX IF NOT EXISTS `idx__pando_passkeys_record` ON `_pando_passkeys` (`collectionRef`, `recordRef`);
CREATE TABLE IF NOT EXISTS `_pando_ceremonies` (
    `id`            TEXT PRIMARY KEY NOT NULL,
    `purpose`       TEXT DEFAULT '' NOT NULL,
    `collectionRef` TEXT DEFAULT '' NOT NULL,
    `recordRef`     TEXT DEFAULT '' NOT NULL,
    `state`         TEXT DEFAULT '' NOT NULL,
    `expires`       NUMERIC DEFAULT 0 NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_ceremonies_expires` ON `_pando_ceremonies` (`expires`);
CREATE INDEX IF NOT EXISTS `idx__pando_jobs_queue_due` ON `_pando_jobs` (`queue`, `due`);
";

const AUXILIARY: &str = "
CREATE TABLE IF NOT EXISTS `_logs` (
    `id`      TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
    `level`   INTEGER DEFAULT 0 NOT NULL,
    `message` TEXT DEFAULT '' NOT NULL,
    `data`    JSON DEFAULT '{}' NOT NULL,
    `created` TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_logs_level on `_logs` (`level`);
CREATE INDEX IF NOT EXISTS idx_logs_message on `_logs` (`message`);
CREATE INDEX IF NOT EXISTS idx_logs_created_hour on `_logs` (strftime('%Y-%m-%d %H:00:00', `created`));
CREATE TABLE IF NOT EXISTS `_pando_log_spool` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `entries` TEXT DEFAULT '' NOT NULL,
    `created` TEXT DEFAULT '' NOT NULL
);
";

/// Makes what is missing, in one transaction. `file` is `data.db`, or `auxiliary.db` for the request log.
pub fn bootstrap(connection: &Connection, file: &str, now: Timestamp) -> Result<()> {
    let fail = |error| failure(connection, error);
    if file.starts_with("auxiliary") {
        return connection.execute_batch(&format!("BEGIN IMMEDIATE; {AUXILIARY} COMMIT")).map_err(fail);
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let made = data(connection, now);
    connection.execute_batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).map_err(fail)?;
    made
}

fn data(connection: &Connection, now: Timestamp) -> Result<()> {
    let fail = |error| failure(connection, error);
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fail);
    let old = count("SELECT COUNT(*) FROM sqlite_master WHERE name='_collections'")? > 0
        && count("SELECT COUNT(*) FROM pragma_table_info('_collections') WHERE name='fields'")? == 0;
    if old {
        return Err(Error::Refused(
            "the directory was made by PocketBase before 0.23: open it once with PocketBase 0.40, which upgrades it"
                .into(),
        ));
    }
    let fresh = count("SELECT COUNT(*) FROM sqlite_master WHERE name='_migrations'")? == 0;
    connection.execute_batch(DATA).map_err(fail)?;
    if fresh {
        for (index, file) in MIGRATIONS.iter().enumerate() {
            connection
                .execute(
                    "INSERT INTO `_migrations` (file, applied) VALUES (?, ?)",
                    (file, now.0.saturating_mul(1000) + index as i64),
                )
                .map_err(fail)?;
        }
    }
    Ok(())
}
