//! What the processes agree on about the hosts of one database, kept in the database itself.

use super::Postgres;
use super::connect::failure;
use super::probe::Agreed;
use crate::error::Result;

pub const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS "_pando_replicas" (
    "id" text COLLATE "C" PRIMARY KEY,
    "state" text COLLATE "C" DEFAULT 'out' NOT NULL,
    "generation" bigint DEFAULT 0 NOT NULL,
    "strikes" integer DEFAULT 0 NOT NULL,
    "since" timestamptz DEFAULT now() NOT NULL
);
"#;

impl Postgres {
    /// Notes on the primary which timeline it writes and who confirms its commits. A copy that holds the note follows
    /// that timeline.
    pub async fn note_timeline(&self, timeline: u64) -> Result<()> {
        let client = self.0.client().await?;
        let raise = "INSERT INTO \"_pando_meta\" (\"id\", \"value\") VALUES ('timeline', $1) \
                     ON CONFLICT (\"id\") DO UPDATE SET \"value\"=EXCLUDED.\"value\" \
                     WHERE \"_pando_meta\".\"value\"::bigint < EXCLUDED.\"value\"::bigint";
        client.execute(raise, &[&timeline.to_string()]).await.map_err(failure)?;
        let quorum = "INSERT INTO \"_pando_meta\" (\"id\", \"value\") \
                      VALUES ('synchronous', current_setting('synchronous_standby_names')) \
                      ON CONFLICT (\"id\") DO UPDATE SET \"value\"=EXCLUDED.\"value\" \
                      WHERE \"_pando_meta\".\"value\" <> EXCLUDED.\"value\"";
        client.execute(quorum, &[]).await.map(drop).map_err(failure)
    }

    /// Puts a replica in or out, unless somebody else has changed that since it was seen as `before`. No standby is
    /// waited for: one that is away may be what this is about.
    pub async fn agree(&self, id: &str, before: Option<&Agreed>, is_in: bool, strikes: u32) -> Result<()> {
        let mut client = self.0.client().await?;
        let transaction = client.transaction().await.map_err(failure)?;
        transaction.batch_execute("SET LOCAL synchronous_commit=local").await.map_err(failure)?;
        let state = if is_in { "in" } else { "out" };
        match before {
            None => {
                let sql = "INSERT INTO \"_pando_replicas\" (\"id\", \"state\") VALUES ($1, $2) \
                           ON CONFLICT DO NOTHING";
                transaction.execute(sql, &[&id, &state]).await.map_err(failure)?;
            }
            Some(before) => {
                let sql = "UPDATE \"_pando_replicas\" SET \"state\"=$2, \"generation\"=\"generation\" + 1, \
                           \"strikes\"=$4, \"since\"=clock_timestamp() WHERE \"id\"=$1 AND \"generation\"=$3";
                let (generation, strikes) = (before.generation as i64, strikes as i32);
                transaction.execute(sql, &[&id, &state, &generation, &strikes]).await.map_err(failure)?;
            }
        }
        transaction.commit().await.map_err(failure)
    }
}
