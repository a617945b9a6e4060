//! A connection of its own to one host, to ask it again and again what it is and how far it has come. It shares
//! nothing with the pool: a host that does not answer holds up nobody who asks for data.

use std::time::Duration;

use base::limits;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::address::Address;
use super::connect::{failure, tls};
use crate::error::{Error, Result};

/// Beyond a log's position the functions differ on either side, and each refuses to run on the other.
const POSITION: &str = "\
    SELECT recovering, \
        (CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text, \
        (CASE WHEN recovering THEN pg_last_wal_receive_lsn() END)::text, \
        CASE WHEN NOT recovering THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END, \
        current_setting('synchronous_standby_names')";
const FROM: &str = " FROM (SELECT pg_is_in_recovery() AS recovering OFFSET 0) AS role";
const OWN: &str = "\
    , (SELECT string_agg(\"id\" || ' ' || \"value\", E'\\n') FROM \"_pando_meta\"), \
    (SELECT string_agg(concat_ws(' ', \"state\", \"generation\", \"strikes\", \
        floor(extract(epoch FROM clock_timestamp() - \"since\") * 1000)::bigint, \"id\"), E'\\n') \
     FROM \"_pando_replicas\")";

/// What a host says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    pub role: Role,
    /// The timeline that its copy of the database knows of: 0 before anybody wrote one.
    pub timeline: u64,
    /// The schema's version in its copy.
    pub schema: u64,
    /// How many of the standbys that its copy knows of confirm each commit.
    pub quorum: Quorum,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    Primary {
        /// Everything before this position is on its disk.
        flushed: u64,
        /// The timeline that it writes.
        timeline: u64,
        /// What its settings say.
        quorum: Quorum,
        /// What is agreed on its replicas.
        replicas: Vec<Agreed>,
    },
    Standby {
        replayed: u64,
        /// Everything before this position has come over; `None` while it has not asked a primary for more.
        received: Option<u64>,
    },
}

/// A row of `_pando_replicas`.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    pub id: String,
    /// Whether writers wait for it, and readers may ask it.
    pub is_in: bool,
    /// Raised with every change.
    pub generation: u64,
    /// How often it was put out of late.
    pub strikes: u32,
    /// Since the last change.
    pub age_ms: u64,
}

/// A commit is confirmed by `confirming` of `listed` standbys; all there are when 0 are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quorum {
    pub confirming: usize,
    pub listed: usize,
}

impl Quorum {
    /// As `synchronous_standby_names` spells it: `ANY 1 (a, b)`, `FIRST 1 (*)`, `2 (a, b)` or `a, b`.
    pub fn parse(text: &str) -> Quorum {
        let text = text.trim();
        if text.is_empty() {
            return Quorum::default();
        }
        let (head, list) = match text.split_once('(') {
            Some((head, list)) => (head, list.trim_end().trim_end_matches(')')),
            None => ("", text),
        };
        let confirming = head.split_whitespace().last().map_or(Some(1), |number| number.parse().ok());
        let listed = if list.trim() == "*" { 0 } else { list.split(',').count() };
        Quorum { confirming: confirming.unwrap_or(1), listed }
    }
}

pub struct Probe {
    client: Client,
    statement: Option<Statement>,
    connection: JoinHandle<()>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Probe {
    pub async fn open(address: &Address) -> Result<Probe> {
        let wait = Duration::from_millis(limits::REPLICA_SILENT_MS);
        let mut config = address.config.clone();
        config.connect_timeout(wait);
        let opening = async {
            let (client, connection) = match config.get_ssl_mode() == SslMode::Require {
                true => {
                    let (client, connection) = config.connect(tls()?).await.map_err(failure)?;
                    (client, tokio::spawn(async move { drop(connection.await) }))
                }
                false => {
                    let (client, connection) = config.connect(NoTls).await.map_err(failure)?;
                    (client, tokio::spawn(async move { drop(connection.await) }))
                }
            };
            Ok(Probe { client, statement: None, connection })
        };
        match tokio::time::timeout(2 * wait, opening).await {
            Ok(probe) => probe,
            Err(_) => Err(Error::Away("no connection in time".into())),
        }
    }

    /// Asks once. The caller decides how long it waits.
    pub async fn ask(&mut self) -> Result<Sight> {
        if self.statement.is_none() {
            match self.client.prepare(&format!("{POSITION}{OWN}{FROM}")).await {
                Ok(statement) => self.statement = Some(statement),
                // A database that nobody has prepared yet.
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        let row = match &self.statement {
            Some(statement) => self.client.query_one(statement, &[]).await,
            None => self.client.query_one(&format!("{POSITION}{FROM}"), &[]).await,
        };
        let row = row.map_err(failure)?;
        read(&row).ok_or_else(|| Error::Internal("a position cannot be read".into()))
    }
}

fn read(row: &Row) -> Option<Sight> {
    let text = |index: usize| row.try_get::<_, Option<String>>(index).ok().flatten();
    let recovering: bool = row.try_get(0).ok()?;
    let position = position(&text(1)?)?;
    let (mut timeline, mut schema, mut known) = (0, 0, String::new());
    for line in text(5).unwrap_or_default().lines() {
        match line.split_once(' ') {
            Some(("timeline", value)) => timeline = value.parse().unwrap_or(0),
            Some(("schema_version", value)) => schema = value.parse().unwrap_or(0),
            Some(("synchronous", value)) => known = value.to_owned(),
            _ => {}
        }
    }
    let quorum = Quorum::parse(&known);
    let role = match recovering {
        true => Role::Standby { replayed: position, received: text(2).as_deref().and_then(self::position) },
        false => Role::Primary {
            flushed: position,
            timeline: u64::from_str_radix(&text(3)?, 16).ok()?,
            quorum: Quorum::parse(&text(4).unwrap_or_default()),
            replicas: text(6).unwrap_or_default().lines().filter_map(agreed).collect(),
        },
    };
    Some(Sight { role, timeline, schema, quorum })
}

/// `16/B374D848`
fn position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some(u64::from_str_radix(high, 16).ok()? << 32 | u64::from_str_radix(low, 16).ok()?)
}

fn agreed(line: &str) -> Option<Agreed> {
    let mut parts = line.splitn(5, ' ');
    Some(Agreed {
        is_in: parts.next()? == "in",
        generation: parts.next()?.parse().ok()?,
        strikes: parts.next()?.parse().ok()?,
        age_ms: parts.next()?.parse::<i64>().ok()?.max(0) as u64,
        id: parts.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_read() {
        let of = |text: &str| {
            let Quorum { confirming, listed } = Quorum::parse(text);
            (confirming, listed)
        };
        assert_eq!(of(""), (0, 0));
        assert_eq!(of("ANY 1 (db2, db3)"), (1, 2));
        assert_eq!(of("FIRST 2 (a, \"b\", c)"), (2, 3));
        assert_eq!(of("2(a,b,c)"), (2, 3));
        assert_eq!(of("ANY 1 (*)"), (1, 0));
        assert_eq!(of("*"), (1, 0));
        assert_eq!(of("a, b"), (1, 2));
    }

    #[test]
    fn positions_are_read() {
        assert_eq!(position("0/3000060"), Some(0x300_0060));
        assert_eq!(position("16/B374D848"), Some(0x16_B374_D848));
        assert_eq!(position("x"), None);
    }
}
