//! The data set: posts with an indexed number and an author, owned records under a rule, and a user. Collections
//! are made through the API; rows by SQL, for a million of them one by one would take longer than the bench.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;
use testkit::http::Client;
use testkit::postgres::Postgres;
use testkit::{Program, Request, tools};

/// The user who owns the records under the rule.
pub const OWNER: (&str, &str) = ("owner@example.com", "owner-password");
const OWNER_ID: &str = "owner0000000001";

pub fn authors(records: usize) -> usize {
    (records / 10).max(1)
}

/// Fills `dir` by the program, which is a server on SQLite.
pub fn make(program: &Program, dir: &Path, records: usize) -> Result<()> {
    let mut server = program.start(dir)?;
    collections(&server.client(), &server.superuser_token()?)?;
    server.terminate(Duration::from_secs(10));
    drop(server);
    let series =
        |n: usize| format!("with recursive s(i) as (select 1 union all select i + 1 from s where i < {n})");
    let now = "strftime('%Y-%m-%d %H:%M:%fZ')";
    let mut sql = format!(
        "insert into authors (id, name) {} select printf('a%014d', i), 'Author ' || i from s;",
        series(authors(records))
    );
    for (table, extra, value) in [("posts", "", ""), ("owned", ", owner", ", 'owner0000000001'")] {
        sql += &format!(
            "insert into {table} (id, title, body, views, author, created, updated{extra}) {} \
             select printf('p%014d', i), 'Post ' || i, replace(hex(zeroblob(16)), '00', 'lorem ipsum '), \
             (i * 7919) % {records} + 1, printf('a%014d', i % {} + 1), {now}, {now}{value} from s;",
            series(records),
            authors(records)
        );
    }
    sql += "pragma wal_checkpoint(truncate); analyze;";
    tools::run(Command::new("sqlite3").arg(dir.join("data.db")).arg(sql)).map(drop)
}

/// The same data set through Pando on PostgreSQL.
pub fn make_on_postgres(program: &Program, dir: &Path, postgres: &Postgres, records: usize) -> Result<()> {
    let mut server = program.start(dir)?;
    collections(&server.client(), &server.superuser_token()?)?;
    server.terminate(Duration::from_secs(10));
    drop(server);
    postgres.sql("test0", &rows_on_postgres(records)).map(drop)
}

/// SQL that fills the collections.
pub fn rows_on_postgres(records: usize) -> String {
    let id = |prefix: &str, n: &str| format!("'{prefix}' || lpad(({n})::text, 14, '0')");
    let mut sql = format!(
        "insert into authors (id, name) select {}, 'Author ' || i from generate_series(1, {}) i;",
        id("a", "i"),
        authors(records)
    );
    for (table, extra, value) in [("posts", "", ""), ("owned", ", owner", ", 'owner0000000001'")] {
        sql += &format!(
            "insert into {table} (id, title, body, views, author, created, updated{extra}) \
             select {}, 'Post ' || i, repeat('lorem ipsum ', 16), (i * 7919) % {records} + 1, {}, now(), now(){value} \
             from generate_series(1::bigint, {records}) i;",
            id("p", "i"),
            id("a", &format!("i % {} + 1", authors(records)))
        );
    }
    sql + "analyze;"
}

/// Makes the collections, and the user who owns some of the records.
pub fn collections(client: &Client, token: &str) -> Result<()> {
    let post = |path: &str, body: serde_json::Value| -> Result<serde_json::Value> {
        let answer = client.send(&Request::json("POST", path, &body).token(token))?;
        if answer.status != 200 {
            bail!("the server refused {body}: {} {}", answer.status, answer.text());
        }
        Ok(answer.json())
    };
    let authors = post(
        "/api/collections",
        json!({"name": "authors", "type": "base", "listRule": "", "viewRule": "", "fields": [{"name": "name", "type": "text"}]}),
    )?;
    let fields = json!([
        {"name": "title", "type": "text"},
        {"name": "body", "type": "text"},
        {"name": "views", "type": "number"},
        {"name": "author", "type": "relation", "collectionId": authors["id"]},
        {"name": "created", "type": "autodate", "onCreate": true},
        {"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true},
    ]);
    post(
        "/api/collections",
        json!({"name": "posts", "type": "base", "fields": fields, "listRule": "", "viewRule": "", "createRule": "",
            "updateRule": "", "indexes": ["create index idx_posts_views on posts (views)"]}),
    )?;
    let mut fields = fields.as_array().cloned().unwrap_or_default();
    fields.push(json!({"name": "owner", "type": "relation", "collectionId": "_pb_users_auth_"}));
    let rule = "@request.auth.id != '' && owner = @request.auth.id";
    post(
        "/api/collections",
        json!({"name": "owned", "type": "base", "fields": fields, "listRule": rule, "viewRule": rule}),
    )?;
    let user = json!({"id": OWNER_ID, "email": OWNER.0, "password": OWNER.1, "passwordConfirm": OWNER.1});
    post("/api/collections/users/records", user).map(drop)
}

pub fn copy(from: &Path, to: &Path) -> Result<()> {
    tools::run(Command::new("cp").arg("-r").arg(from).arg(to)).map(drop)
}
