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
CREATE TABLE IF NOT EXISTS `_pando_queues` (
    `id`         TEXT PRIMARY KEY NOT NULL,
    `definition` TEXT DEFAULT '' NOT NULL
);
CREATE TABLE IF NOT EXISTS `_pando_queue_heads` (
    `id`    TEXT PRIMARY KEY NOT NULL,
    `seq`   NUMERIC DEFAULT 0 NOT NULL,
    `total` NUMERIC DEFAULT 0 NOT NULL
);
CREATE TABLE IF NOT EXISTS `_pando_queue_messages` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `stream`  TEXT DEFAULT '' NOT NULL,
    `subject` TEXT DEFAULT '' NOT NULL,
    `data`    TEXT DEFAULT '' NOT NULL,
    `headers` TEXT DEFAULT '' NOT NULL,
    `bytes`   NUMERIC DEFAULT 0 NOT NULL,
    `time`    NUMERIC DEFAULT 0 NOT NULL,
    `due`     NUMERIC DEFAULT 0 NOT NULL,
    `seq`     NUMERIC DEFAULT 0 NOT NULL,
    `total`   NUMERIC DEFAULT 0 NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_queue_messages_seq` ON `_pando_queue_messages` (`stream`, `seq`, `due`);
CREATE INDEX IF NOT EXISTS `idx__pando_queue_messages_time` ON `_pando_queue_messages` (`stream`, `time`);
CREATE TABLE IF NOT EXISTS `_pando_queue_deliveries` (
    `id`       TEXT PRIMARY KEY NOT NULL,
    `queue`    TEXT DEFAULT '' NOT NULL,
    `message`  TEXT DEFAULT '' NOT NULL,
    `rank`     NUMERIC DEFAULT 0 NOT NULL,
    `attempts` NUMERIC DEFAULT 0 NOT NULL,
    `due`      NUMERIC DEFAULT 0 NOT NULL,
    `holder`   TEXT DEFAULT '' NOT NULL,
    `time`     NUMERIC DEFAULT 0 NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_queue_deliveries_due` ON `_pando_queue_deliveries` (`queue`, `due`);
CREATE INDEX IF NOT EXISTS `idx__pando_queue_deliveries_message` ON `_pando_queue_deliveries` (`message`);
CREATE TABLE IF NOT EXISTS `_pando_queue_subscribers` (
    `id`       TEXT PRIMARY KEY NOT NULL,
    `stream`   TEXT DEFAULT '' NOT NULL,
    `position` NUMERIC DEFAULT 0 NOT NULL,
    `seen`     NUMERIC DEFAULT 0 NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_queue_subscribers_stream` ON `_pando_queue_subscribers` (`stream`, `seen`);
CREATE TABLE IF NOT EXISTS `_pando_exchanges` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `kind`    TEXT DEFAULT '' NOT NULL,
    `state`   TEXT DEFAULT '' NOT NULL,
    `step`    NUMERIC DEFAULT 0 NOT NULL,
    `value`   TEXT DEFAULT '' NOT NULL,
    `created` TEXT DEFAULT '' NOT NULL,
    `updated` TEXT DEFAULT '' NOT NULL
);
CREATE TABLE IF NOT EXISTS `_pando_webhooks` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `value`   TEXT DEFAULT '' NOT NULL,
    `failing` NUMERIC DEFAULT 0 NOT NULL,
    `created` TEXT DEFAULT '' NOT NULL,
    `updated` TEXT DEFAULT '' NOT NULL
);
CREATE TABLE IF NOT EXISTS `_pando_alerts` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `value`   TEXT DEFAULT '' NOT NULL,
    `state`   TEXT DEFAULT '' NOT NULL,
    `holder`  TEXT DEFAULT '' NOT NULL,
    `due`     NUMERIC DEFAULT 0 NOT NULL,
    `created` TEXT DEFAULT '' NOT NULL,
    `updated` TEXT DEFAULT '' NOT NULL
);
CREATE TABLE IF NOT EXISTS `_pando_deliveries` (
    `id`       TEXT PRIMARY KEY NOT NULL,
    `webhook`  TEXT DEFAULT '' NOT NULL,
    `event`    TEXT DEFAULT '' NOT NULL,
    `type`     TEXT DEFAULT '' NOT NULL,
    `state`    TEXT DEFAULT '' NOT NULL,
    `attempts` NUMERIC DEFAULT 0 NOT NULL,
    `next`     NUMERIC DEFAULT 0 NOT NULL,
    `holder`   TEXT DEFAULT '' NOT NULL,
    `status`   NUMERIC DEFAULT 0 NOT NULL,
    `error`    TEXT DEFAULT '' NOT NULL,
    `response` TEXT DEFAULT '' NOT NULL,
    `duration` NUMERIC DEFAULT 0 NOT NULL,
    `request`  TEXT DEFAULT '' NOT NULL,
    `body`     TEXT DEFAULT '' NOT NULL,
    `tried`    TEXT DEFAULT '' NOT NULL,
    `created`  TEXT DEFAULT '' NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_deliveries_due` ON `_pando_deliveries` (`state`, `next`);
CREATE INDEX IF NOT EXISTS `idx__pando_deliveries_log` ON `_pando_deliveries` (`webhook`, `created`);
CREATE TABLE IF NOT EXISTS `_pando_audit` (
    `id`         TEXT PRIMARY KEY NOT NULL,
    `created`    TEXT DEFAULT '' NOT NULL,
    `actor`      TEXT DEFAULT '' NOT NULL,
    `email`      TEXT DEFAULT '' NOT NULL,
    `ip`         TEXT DEFAULT '' NOT NULL,
    `request`    TEXT DEFAULT '' NOT NULL,
    `node`       TEXT DEFAULT '' NOT NULL,
    `action`     TEXT DEFAULT '' NOT NULL,
    `collection` TEXT DEFAULT '' NOT NULL,
    `target`     TEXT DEFAULT '' NOT NULL,
    `outcome`    TEXT DEFAULT '' NOT NULL,
    `status`     NUMERIC DEFAULT 0 NOT NULL,
    `detail`     TEXT DEFAULT '' NOT NULL,
    `changes`    JSON DEFAULT '{}' NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_audit_created` ON `_pando_audit` (`created`);
CREATE INDEX IF NOT EXISTS `idx__pando_audit_target` ON `_pando_audit` (`collection`, `target`);
CREATE TABLE IF NOT EXISTS `_pando_active` (
    `id`         TEXT PRIMARY KEY NOT NULL,
    `collection` TEXT DEFAULT '' NOT NULL,
    `record`     TEXT DEFAULT '' NOT NULL,
    `day`        NUMERIC DEFAULT 0 NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_active_record` ON `_pando_active` (`collection`, `record`, `day`);
CREATE INDEX IF NOT EXISTS `idx__pando_active_day` ON `_pando_active` (`day`);
CREATE INDEX IF NOT EXISTS `idx__pando_jobs_queue_due` ON `_pando_jobs` (`queue`, `due`);
";

/// Columns that the jobs' table did not have at first.
const JOBS_SINCE: [(&str, &str); 3] = [
    ("priority", "NUMERIC DEFAULT 0 NOT NULL"),
    ("origin", "TEXT DEFAULT '' NOT NULL"),
    ("error", "TEXT DEFAULT '' NOT NULL"),
];

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
CREATE TABLE IF NOT EXISTS `_pando_pulses` (
    `id`    TEXT PRIMARY KEY NOT NULL,
    `node`  TEXT DEFAULT '' NOT NULL,
    `step`  NUMERIC DEFAULT 0 NOT NULL,
    `at`    NUMERIC DEFAULT 0 NOT NULL,
    `value` TEXT DEFAULT '' NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_pulses_at` ON `_pando_pulses` (`step`, `at`);
CREATE TABLE IF NOT EXISTS `_pando_system_events` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `at`      NUMERIC DEFAULT 0 NOT NULL,
    `kind`    TEXT DEFAULT '' NOT NULL,
    `element` TEXT DEFAULT '' NOT NULL,
    `detail`  TEXT DEFAULT '' NOT NULL
);
CREATE INDEX IF NOT EXISTS `idx__pando_system_events_at` ON `_pando_system_events` (`at`);
CREATE TABLE IF NOT EXISTS `_pando_log_spool` (
    `id`      TEXT PRIMARY KEY NOT NULL,
    `entries` TEXT DEFAULT '' NOT NULL,
    `created` TEXT DEFAULT '' NOT NULL
);
";

pub fn is_log(file: &str) -> bool {
    file.starts_with("auxiliary")
}

/// Makes what is missing, in one transaction. `file` is `data.db`, or `auxiliary.db` for the request log.
pub fn bootstrap(connection: &Connection, file: &str, now: Timestamp) -> Result<()> {
    let fail = |error| failure(connection, error);
    if is_log(file) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {AUXILIARY} COMMIT")).map_err(fail)?;
        return logs_found(connection).map_err(fail);
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let made = data(connection, now);
    connection.execute_batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).map_err(fail)?;
    made
}

/// Lets entries be found by the request that they are of, those that another program writes as well, and by their time: of a
/// million, the newest were looked for in a second, and are in 3 ms.
fn logs_found(connection: &Connection) -> rusqlite::Result<()> {
    let has = "SELECT COUNT(*) FROM pragma_table_xinfo('_logs') WHERE name='request'";
    if connection.query_row(has, [], |row| row.get::<_, i64>(0))? == 0 {
        connection.execute_batch(
            "ALTER TABLE `_logs` ADD COLUMN `request` TEXT GENERATED ALWAYS AS \
             (iif(json_valid(`data`),json_extract(`data`,'$.requestId'),NULL)) VIRTUAL",
        )?;
    }
    connection.execute_batch(
        "CREATE INDEX IF NOT EXISTS `idx__pando_logs_request` ON `_logs` (`request`) WHERE `request` IS NOT NULL;
         CREATE INDEX IF NOT EXISTS `idx__pando_logs_created` ON `_logs` (`created`, `id`)",
    )
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
    for (name, column) in JOBS_SINCE {
        let has = format!("SELECT COUNT(*) FROM pragma_table_info('_pando_jobs') WHERE name='{name}'");
        if count(&has)? == 0 {
            let add = format!("ALTER TABLE `_pando_jobs` ADD COLUMN `{name}` {column}");
            connection.execute_batch(&add).map_err(fail)?;
        }
    }
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
