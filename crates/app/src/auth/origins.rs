//! Where a record has signed in from: a new place is told to its owner by mail.

use base::limits::{ALERT_AGENT_CHARS_MAX, AUTH_ORIGINS_MAX};
use base::{Timestamp, Value};
use md5::{Digest, Md5};
use model::{Client, Record};
use query::{Batch, Op};

use super::owned;
use crate::error::Result;
use crate::mail::Mail;
use crate::rules::Context;

const TABLE: &str = "_authOrigins";

/// Adds to the batch of a login what is to be remembered of its place, and the mail about a new one. The first place
/// of all is new to nobody.
pub(super) async fn note(cx: &Context<'_>, record: &Record, batch: &mut Batch) -> Result<()> {
    if !record.collection.auth().is_some_and(|options| options.auth_alert.enabled) {
        return Ok(());
    }
    let client = &cx.request.client;
    let fingerprint = fingerprint(client);
    let known = owned::all(cx, TABLE, record, AUTH_ORIGINS_MAX * 4).await?;
    let now = cx.parts.clock.now();
    if let Some(origin) = known.iter().find(|origin| origin.text("fingerprint") == fingerprint) {
        let seen = vec![("updated".into(), query::Assign::Set(Value::from(now.to_string())))];
        batch.ops.push(Op::Update { table: TABLE.into(), id: origin.id().into(), set: seen });
        return Ok(());
    }
    let mut origin = owned::blank(cx, TABLE, record)?;
    origin.set("fingerprint", Value::from(fingerprint));
    let over = (known.len() + 1).saturating_sub(AUTH_ORIGINS_MAX);
    batch.ops.extend(known.iter().take(over).map(owned::delete));
    batch.ops.push(cx.insertion(&origin));
    let email = record.text("email");
    if !known.is_empty() && !email.is_empty() {
        let alert = Mail::AuthAlert {
            collection: record.collection.id.to_string(),
            record: record.id().into(),
            email: email.into(),
            info: info(client, now),
        };
        batch.jobs.push(alert.job());
    }
    Ok(())
}

fn ip(client: &Client) -> String {
    client.ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// The reference's own, so that a directory that changes hands causes no mails.
fn fingerprint(client: &Client) -> String {
    let digest = Md5::digest([ip(client).as_bytes(), client.user_agent.as_bytes()].concat());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When, from which address, with what.
fn info(client: &Client, now: Timestamp) -> String {
    let mut agent: String = client.user_agent.chars().take(ALERT_AGENT_CHARS_MAX).collect();
    if agent.len() < client.user_agent.len() {
        agent.push_str("...");
    }
    format!("{now} - {} {agent}", ip(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_the_references() {
        let client =
            Client { ip: Some([127, 0, 0, 1].into()), user_agent: "UA6".into(), ..Client::default() };
        assert_eq!(fingerprint(&client), "579bbda921a30a627bc102383dc4f964");
    }

    #[test]
    fn long_agents_are_cut() {
        let client = Client { user_agent: "ü".repeat(ALERT_AGENT_CHARS_MAX + 1), ..Client::default() };
        let told = info(&client, Timestamp(0));
        assert_eq!(told, format!("1970-01-01 00:00:00.000Z -  {}...", "ü".repeat(ALERT_AGENT_CHARS_MAX)));
    }
}
