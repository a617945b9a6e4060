//! The collections that the load works on, and what stands in them before it begins.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{Client, Request};

pub const PEOPLE: &str = "check_people";
pub const RECORDS: &str = "check_records";
/// Records like those, of which subscribers may see only what is not hidden.
pub const FEED: &str = "check_feed";
pub const ENTRIES: &str = "check_entries";
pub const CLAIMS: &str = "check_claims";
pub const COUNTERS: &str = "check_counters";
pub const ACCOUNTS: &str = "check_accounts";
/// Each record of it is told of by a webhook.
pub const HOOKED: &str = "check_hooked";
pub const QUEUE: &str = "check";
pub const LEDGER: &str = "check_ledger";

pub const COUNTERS_COUNT: usize = 3;
pub const ACCOUNTS_COUNT: usize = 6;
pub const BALANCE: i64 = 1000;

const ANYBODY: &str = "@request.auth.id != ''";
const OPEN: &str = "@request.auth.id != '' && hidden = false";
/// A caller's own: for records that have one writer.
const OWN: &str = "owner = @request.auth.id";

pub fn path(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

pub fn one(collection: &str, id: &str) -> String {
    format!("/api/collections/{collection}/records/{id}")
}

pub fn counter(n: usize) -> String {
    format!("counter{n:08}")
}

pub fn account(n: usize) -> String {
    format!("account{n:08}")
}

/// Makes everything, through one node.
pub fn prepare(client: &Client, token: &str) -> Result<()> {
    let send = |method: &str, path: &str, body: &Value| -> Result<()> {
        let answer = client.send(&Request::json(method, path, body).token(token))?;
        match answer.status {
            200 => Ok(()),
            status => bail!("{method} {path} answered {status}: {}", answer.text()),
        }
    };
    send("PATCH", "/api/settings", &json!({"batch": {"enabled": true, "maxRequests": 50, "timeout": 5}}))?;
    // The cheapest hash that is allowed: what is checked is where an account is known, not how well it is kept.
    let password = json!({"name": "password", "type": "password", "system": true, "hidden": true,
        "required": true, "min": 8, "cost": 4});
    send(
        "POST",
        "/api/collections",
        &json!({"name": PEOPLE, "type": "auth", "createRule": "", "listRule": ANYBODY, "viewRule": "id = @request.auth.id",
            "updateRule": "id = @request.auth.id", "fields": [password]}),
    )?;
    let text = |name: &str| json!({"name": name, "type": "text", "max": 200});
    let number = |name: &str| json!({"name": name, "type": "number"});
    let index = |table: &str, kind: &str, columns: &str| {
        let name = columns.replace(", ", "_");
        json!([format!("CREATE {kind} `idx_{table}_{name}` ON `{table}` ({columns})")])
    };
    for (name, fields, rule, indexes) in [
        (
            RECORDS,
            json!([text("owner"), text("shelf"), number("version"), text("content")]),
            OWN,
            index(RECORDS, "INDEX", "shelf"),
        ),
        (
            FEED,
            json!([text("owner"), text("shelf"), number("version"), text("content"), {"name": "hidden", "type": "bool"}]),
            OWN,
            json!([]),
        ),
        (ENTRIES, json!([text("shelf"), text("element")]), ANYBODY, index(ENTRIES, "INDEX", "shelf")),
        (HOOKED, json!([text("element")]), ANYBODY, json!([])),
        (CLAIMS, json!([text("name"), text("element")]), ANYBODY, index(CLAIMS, "UNIQUE INDEX", "name")),
        (COUNTERS, json!([number("n")]), ANYBODY, json!([])),
        (ACCOUNTS, json!([number("balance")]), ANYBODY, json!([])),
        (LEDGER, json!([text("shelf"), text("element")]), ANYBODY, index(LEDGER, "INDEX", "shelf")),
    ] {
        let list = if name == FEED { OPEN } else { ANYBODY };
        let body = json!({"name": name, "type": "base", "listRule": list, "viewRule": ANYBODY,
            "createRule": rule, "updateRule": rule, "deleteRule": rule, "fields": fields, "indexes": indexes});
        send("POST", "/api/collections", &body)?;
    }
    for n in 0..COUNTERS_COUNT {
        send("POST", &path(COUNTERS), &json!({"id": counter(n), "n": 0}))?;
    }
    for n in 0..ACCOUNTS_COUNT {
        send("POST", &path(ACCOUNTS), &json!({"id": account(n), "balance": BALANCE}))?;
    }
    Ok(())
}

/// Lets every record of that collection be told of at this address.
pub fn hook(client: &Client, token: &str, url: &str) -> Result<()> {
    let body =
        json!({"name": "check", "url": url, "collections": [HOOKED], "events": ["create"], "enabled": true});
    let answer = client.send(&Request::json("POST", "/api/webhooks", &body).token(token))?;
    match answer.status {
        200 => Ok(()),
        status => bail!("the webhook was refused with {status}: {}", answer.text()),
    }
}

/// The application's queue, and the group that takes its messages.
pub fn queue(client: &Client, token: &str) -> Result<()> {
    let stream = json!({"name": QUEUE, "subjects": [format!("{QUEUE}.>")], "publishRule": ANYBODY});
    let group = json!({"name": "all", "leaseMs": 5_000});
    for (path, body) in [("/api/queues".to_owned(), stream), (format!("/api/queues/{QUEUE}/groups"), group)] {
        let answer = client.send(&Request::json("POST", &path, &body).token(token))?;
        if answer.status != 200 {
            bail!("{path} answered {}: {}", answer.status, answer.text());
        }
    }
    Ok(())
}

/// Waits until every node knows all collections, as their definitions are followed and not asked for.
pub fn known(clients: &[Client], wait: Duration) -> Result<()> {
    let until = Instant::now() + wait;
    for client in clients {
        for name in [PEOPLE, RECORDS, FEED, HOOKED, ENTRIES, CLAIMS, COUNTERS, ACCOUNTS, LEDGER] {
            while !client.send(&Request::get(&path(name))).is_ok_and(|answer| answer.status == 200) {
                if Instant::now() > until {
                    bail!("a node does not know the collection {name}");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}
