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
ALTER TABLE "_logs" ADD COLUMN IF NOT EXISTS "request" text COLLATE "C"
    GENERATED ALWAYS AS ("data"->>'requestId') STORED;
CREATE INDEX IF NOT EXISTS "idx__pando_logs_request" ON "_logs" ("request") WHERE "request" IS NOT NULL;
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
DO $do$ BEGIN
    -- Asked first, as an alteration waits for everybody who reads the table, such as a dump.
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid='"_pando_jobs"'::regclass AND attname='error') THEN
        ALTER TABLE "_pando_jobs"
            ADD COLUMN IF NOT EXISTS "priority" double precision DEFAULT 0 NOT NULL,
            ADD COLUMN IF NOT EXISTS "origin" text COLLATE "C" DEFAULT '' NOT NULL,
            ADD COLUMN IF NOT EXISTS "error" text COLLATE "C" DEFAULT '' NOT NULL;
    END IF;
END $do$;
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
CREATE TABLE IF NOT EXISTS "_pando_exchanges" (
    "id" text COLLATE "C" PRIMARY KEY,
    "kind" text COLLATE "C" DEFAULT '' NOT NULL,
    "state" text COLLATE "C" DEFAULT '' NOT NULL,
    "step" double precision DEFAULT 0 NOT NULL,
    "value" text COLLATE "C" DEFAULT '' NOT NULL,
    "created" timestamptz(3),
    "updated" timestamptz(3),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_pando_webhooks" (
    "id" text COLLATE "C" PRIMARY KEY,
    "value" text COLLATE "C" DEFAULT '' NOT NULL,
    "failing" double precision DEFAULT 0 NOT NULL,
    "created" text COLLATE "C" DEFAULT '' NOT NULL,
    "updated" text COLLATE "C" DEFAULT '' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_pando_deliveries" (
    "id" text COLLATE "C" PRIMARY KEY,
    "webhook" text COLLATE "C" DEFAULT '' NOT NULL,
    "event" text COLLATE "C" DEFAULT '' NOT NULL,
    "type" text COLLATE "C" DEFAULT '' NOT NULL,
    "state" text COLLATE "C" DEFAULT '' NOT NULL,
    "attempts" double precision DEFAULT 0 NOT NULL,
    "next" double precision DEFAULT 0 NOT NULL,
    "holder" text COLLATE "C" DEFAULT '' NOT NULL,
    "status" double precision DEFAULT 0 NOT NULL,
    "error" text COLLATE "C" DEFAULT '' NOT NULL,
    "response" text COLLATE "C" DEFAULT '' NOT NULL,
    "duration" double precision DEFAULT 0 NOT NULL,
    "request" text COLLATE "C" DEFAULT '' NOT NULL,
    "body" text COLLATE "C" DEFAULT '' NOT NULL,
    "tried" timestamptz(3),
    "created" timestamptz(3),
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_deliveries_due" ON "_pando_deliveries" ("state", "next");
CREATE INDEX IF NOT EXISTS "idx__pando_deliveries_log" ON "_pando_deliveries" ("webhook", "created");
CREATE TABLE IF NOT EXISTS "_pando_alerts" (
    "id" text COLLATE "C" PRIMARY KEY,
    "value" text COLLATE "C" DEFAULT '' NOT NULL,
    "state" text COLLATE "C" DEFAULT '' NOT NULL,
    "holder" text COLLATE "C" DEFAULT '' NOT NULL,
    "due" double precision DEFAULT 0 NOT NULL,
    "created" text COLLATE "C" DEFAULT '' NOT NULL,
    "updated" text COLLATE "C" DEFAULT '' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
) WITH (fillfactor=50);
CREATE TABLE IF NOT EXISTS "_pando_pulses" (
    "id" text COLLATE "C" PRIMARY KEY,
    "node" text COLLATE "C" DEFAULT '' NOT NULL,
    "step" double precision DEFAULT 0 NOT NULL,
    "at" double precision DEFAULT 0 NOT NULL,
    "value" text COLLATE "C" DEFAULT '' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_pulses_at" ON "_pando_pulses" ("step", "at");
CREATE TABLE IF NOT EXISTS "_pando_system_events" (
    "id" text COLLATE "C" PRIMARY KEY,
    "at" double precision DEFAULT 0 NOT NULL,
    "kind" text COLLATE "C" DEFAULT '' NOT NULL,
    "element" text COLLATE "C" DEFAULT '' NOT NULL,
    "detail" text COLLATE "C" DEFAULT '' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_system_events_at" ON "_pando_system_events" ("at");
CREATE TABLE IF NOT EXISTS "_pando_audit" (
    "id" text COLLATE "C" PRIMARY KEY,
    "created" timestamptz(3),
    "actor" text COLLATE "C" DEFAULT '' NOT NULL,
    "email" text COLLATE "C" DEFAULT '' NOT NULL,
    "ip" text COLLATE "C" DEFAULT '' NOT NULL,
    "request" text COLLATE "C" DEFAULT '' NOT NULL,
    "node" text COLLATE "C" DEFAULT '' NOT NULL,
    "action" text COLLATE "C" DEFAULT '' NOT NULL,
    "collection" text COLLATE "C" DEFAULT '' NOT NULL,
    "target" text COLLATE "C" DEFAULT '' NOT NULL,
    "outcome" text COLLATE "C" DEFAULT '' NOT NULL,
    "status" double precision DEFAULT 0 NOT NULL,
    "detail" text COLLATE "C" DEFAULT '' NOT NULL,
    "changes" json DEFAULT '{}' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_audit_created" ON "_pando_audit" ("created" NULLS FIRST);
CREATE INDEX IF NOT EXISTS "idx__pando_audit_target" ON "_pando_audit" ("collection", "target");
CREATE TABLE IF NOT EXISTS "_pando_active" (
    "id" text COLLATE "C" PRIMARY KEY,
    "collection" text COLLATE "C" DEFAULT '' NOT NULL,
    "record" text COLLATE "C" DEFAULT '' NOT NULL,
    "day" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_active_record" ON "_pando_active" ("collection", "record", "day");
CREATE INDEX IF NOT EXISTS "idx__pando_active_day" ON "_pando_active" ("day");
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
CREATE TABLE IF NOT EXISTS "_pando_queues" (
    "id" text COLLATE "C" PRIMARY KEY,
    "definition" text COLLATE "C" DEFAULT '' NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE TABLE IF NOT EXISTS "_pando_queue_heads" (
    "id" text COLLATE "C" PRIMARY KEY,
    "seq" double precision DEFAULT 0 NOT NULL,
    "total" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
) WITH (fillfactor=50);
CREATE TABLE IF NOT EXISTS "_pando_queue_messages" (
    "id" text COLLATE "C" PRIMARY KEY,
    "stream" text COLLATE "C" DEFAULT '' NOT NULL,
    "subject" text COLLATE "C" DEFAULT '' NOT NULL,
    "data" text COLLATE "C" DEFAULT '' NOT NULL,
    "headers" text COLLATE "C" DEFAULT '' NOT NULL,
    "bytes" double precision DEFAULT 0 NOT NULL,
    "time" double precision DEFAULT 0 NOT NULL,
    "due" double precision DEFAULT 0 NOT NULL,
    "seq" double precision DEFAULT 0 NOT NULL,
    "total" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_queue_messages_seq" ON "_pando_queue_messages" ("stream", "seq", "due", "_pando_seq");
CREATE INDEX IF NOT EXISTS "idx__pando_queue_messages_time" ON "_pando_queue_messages" ("stream", "time");
CREATE TABLE IF NOT EXISTS "_pando_queue_deliveries" (
    "id" text COLLATE "C" PRIMARY KEY,
    "queue" text COLLATE "C" DEFAULT '' NOT NULL,
    "message" text COLLATE "C" DEFAULT '' NOT NULL,
    "rank" double precision DEFAULT 0 NOT NULL,
    "attempts" double precision DEFAULT 0 NOT NULL,
    "due" double precision DEFAULT 0 NOT NULL,
    "holder" text COLLATE "C" DEFAULT '' NOT NULL,
    "time" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_queue_deliveries_due" ON "_pando_queue_deliveries" ("queue", "due", "_pando_seq");
CREATE INDEX IF NOT EXISTS "idx__pando_queue_deliveries_message" ON "_pando_queue_deliveries" ("message");
CREATE TABLE IF NOT EXISTS "_pando_queue_subscribers" (
    "id" text COLLATE "C" PRIMARY KEY,
    "stream" text COLLATE "C" DEFAULT '' NOT NULL,
    "position" double precision DEFAULT 0 NOT NULL,
    "seen" double precision DEFAULT 0 NOT NULL,
    "_pando_seq" bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX IF NOT EXISTS "idx__pando_queue_subscribers_stream" ON "_pando_queue_subscribers" ("stream", "seen");
CREATE INDEX IF NOT EXISTS "idx__pando_jobs_next" ON "_pando_jobs" ("queue", "due" NULLS FIRST, "_pando_seq");
DROP INDEX IF EXISTS "idx__pando_jobs_queue_due";
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
