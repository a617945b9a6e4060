//! The base tables and the functions of a database. Several processes may start on one at once: whoever holds
//! the lock makes what is missing, the others find it made.

use deadpool_postgres::Client;

use super::connect::failure;
use super::{receipt, standing};
use crate::error::Result;

const FUNCTIONS: &str = include_str!("functions.sql");

/// Taken for everything that changes the schema: "pando" in ASCII.
pub const SCHEMA_LOCK: i64 = 0x70_61_6e_64_6f;

const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS "_pando_meta" (
    "id" text COLLATE "C" PRIMARY KEY, "value" text COLLATE "C" DEFAULT '' NOT NULL
);
INSERT INTO "_pando_meta" ("id", "value") VALUES ('schema_version', '1') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS "_params" (
    "id" text COLLATE "C" PRIMARY KEY DEFAULT ('r' || substr(md5(gen_random_uuid()::text), 1, 14)),
    "value" json DEFAULT NULL,
    "created" timestamptz(3) DEFAULT now(),
    "updated" timestamptz(3) DEFAULT now(),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_collections" (
    "id" text COLLATE "C" PRIMARY KEY DEFAULT ('r' || substr(md5(gen_random_uuid()::text), 1, 14)),
    "system" boolean DEFAULT FALSE NOT NULL,
    "type" text COLLATE "C" DEFAULT 'base' NOT NULL,
    "name" text COLLATE "C" UNIQUE NOT NULL,
    "fields" json DEFAULT '[]' NOT NULL,
    "indexes" json DEFAULT '[]' NOT NULL,
    "listRule" text COLLATE "C" DEFAULT NULL,
    "viewRule" text COLLATE "C" DEFAULT NULL,
    "createRule" text COLLATE "C" DEFAULT NULL,
    "updateRule" text COLLATE "C" DEFAULT NULL,
    "deleteRule" text COLLATE "C" DEFAULT NULL,
    "options" json DEFAULT '{}' NOT NULL,
    "created" timestamptz(3) DEFAULT now(),
    "updated" timestamptz(3) DEFAULT now(),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_logs" (
    "id" text COLLATE "C" PRIMARY KEY DEFAULT ('r' || substr(md5(gen_random_uuid()::text), 1, 14)),
    "level" double precision DEFAULT 0 NOT NULL,
    "message" text COLLATE "C" DEFAULT '' NOT NULL,
    "data" json DEFAULT '{}' NOT NULL,
    "created" timestamptz(3) DEFAULT now(),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx_logs_created" ON "_logs" ("created" NULLS FIRST);
CREATE TABLE IF NOT EXISTS "_pando_log_spool" (
    "id" text COLLATE "C" PRIMARY KEY,
    "entries" text COLLATE "C" DEFAULT '' NOT NULL,
    "created" timestamptz(3) DEFAULT now(),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_pando_jobs" (
    "id" text COLLATE "C" PRIMARY KEY DEFAULT ('r' || substr(md5(gen_random_uuid()::text), 1, 14)),
    "queue" text COLLATE "C" DEFAULT '' NOT NULL,
    "payload" text COLLATE "C" DEFAULT '' NOT NULL,
    "attempts" double precision DEFAULT 0 NOT NULL,
    "due" double precision DEFAULT 0 NOT NULL,
    "holder" text COLLATE "C" DEFAULT '' NOT NULL,
    "created" timestamptz(3) DEFAULT now(),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_pando_passkeys" (
    "id" text COLLATE "C" PRIMARY KEY,
    "collectionRef" text COLLATE "C" DEFAULT '' NOT NULL,
    "recordRef" text COLLATE "C" DEFAULT '' NOT NULL,
    "credentialId" text COLLATE "C" DEFAULT '' NOT NULL,
    "credential" text COLLATE "C" DEFAULT '' NOT NULL,
    "name" text COLLATE "C" DEFAULT '' NOT NULL,
    "created" text COLLATE "C" DEFAULT '' NOT NULL,
    "used" text COLLATE "C" DEFAULT '' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE UNIQUE INDEX IF NOT EXISTS "idx__pando_passkeys_credential" ON "_pando_passkeys" ("collectionRef", "credentialId");
CREATE INDEX IF NOT EXISTS "idx__pando_passkeys_record" ON "_pando_passkeys" ("collectionRef", "recordRef");
CREATE TABLE IF NOT EXISTS "_pando_ceremonies" (
    "id" text COLLATE "C" PRIMARY KEY,
    "purpose" text COLLATE "C" DEFAULT '' NOT NULL,
    "collectionRef" text COLLATE "C" DEFAULT '' NOT NULL,
    "recordRef" text COLLATE "C" DEFAULT '' NOT NULL,
    "state" text COLLATE "C" DEFAULT '' NOT NULL,
    "expires" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_ceremonies_expires" ON "_pando_ceremonies" ("expires");
CREATE UNLOGGED TABLE IF NOT EXISTS "_pando_counters" (
    "key" text COLLATE "C" PRIMARY KEY,
    "used" bigint NOT NULL,
    "granted" bigint NOT NULL,
    "ends" timestamptz NOT NULL
) WITH (fillfactor=70);
CREATE TABLE IF NOT EXISTS "_pando_attempts" (
    "key" text COLLATE "C" PRIMARY KEY,
    "used" bigint NOT NULL,
    "granted" bigint NOT NULL,
    "ends" timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS "_pando_otp_requests" (
    "id" text COLLATE "C" PRIMARY KEY,
    "address" text COLLATE "C" DEFAULT '' NOT NULL,
    "expires" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_otp_requests_address" ON "_pando_otp_requests" ("address", "expires");
CREATE TABLE IF NOT EXISTS "_pando_nodes" (
    "id" text COLLATE "C" PRIMARY KEY,
    "address" text COLLATE "C" DEFAULT '' NOT NULL,
    "release" text COLLATE "C" DEFAULT '' NOT NULL,
    "schema" bigint DEFAULT 0 NOT NULL,
    "started" timestamptz DEFAULT now() NOT NULL,
    "seen" timestamptz DEFAULT now() NOT NULL
) WITH (fillfactor=50);
CREATE INDEX IF NOT EXISTS "idx__pando_jobs_queue_due" ON "_pando_jobs" ("queue", "due");
"#;

/// Where the functions are. Without the underscore, as it was called at first, it would be the default schema of a user
/// called `pando`, who would look for tables there.
const SCHEMA: &str = "DO $do$ BEGIN \
    IF to_regproc('pando.guard') IS NOT NULL AND to_regnamespace('_pando') IS NULL THEN \
        ALTER SCHEMA pando RENAME TO _pando; \
    END IF; \
    END $do$; CREATE SCHEMA IF NOT EXISTS _pando;";

pub async fn bootstrap(client: &mut Client) -> Result<()> {
    let transaction = client.transaction().await.map_err(failure)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await.map_err(failure)?;
    transaction.batch_execute(TABLES).await.map_err(failure)?;
    transaction.batch_execute(standing::TABLES).await.map_err(failure)?;
    transaction.batch_execute(receipt::TABLE).await.map_err(failure)?;
    transaction.batch_execute(receipt::SWEEP).await.map_err(failure)?;
    let mark = functions_mark();
    let current = transaction
        .query_opt("SELECT \"value\" FROM \"_pando_meta\" WHERE \"id\"='functions'", &[])
        .await
        .map_err(failure)?
        .and_then(|row| row.try_get::<_, String>(0).ok());
    if current.as_deref() != Some(&mark) {
        // The bodies refer to each other and to functions that come later.
        transaction
            .batch_execute(&format!("SET LOCAL check_function_bodies=off; {SCHEMA} {FUNCTIONS}"))
            .await
            .map_err(failure)?;
        let upsert = "INSERT INTO \"_pando_meta\" (\"id\", \"value\") VALUES ('functions', $1) \
                      ON CONFLICT (\"id\") DO UPDATE SET \"value\"=EXCLUDED.\"value\"";
        transaction.execute(upsert, &[&mark]).await.map_err(failure)?;
    }
    transaction.commit().await.map_err(failure)
}

/// Differs whenever the functions' text does.
fn functions_mark() -> String {
    let hash = FUNCTIONS
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}
