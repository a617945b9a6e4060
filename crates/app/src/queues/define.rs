//! Defining streams and groups, and reading their definitions. A change commits only if nobody was faster, and is
//! answered when every process goes by it.

use std::sync::Arc;

use base::limits::{QUEUE_GROUPS_MAX, QUEUE_STREAMS_MAX};
use base::{Name, Value};
use model::filter::{Resolver, Trust};
use model::violation::Violation;
use model::{Request, Violations};
use query::{Assign, Batch, Ddl, Guard, Op, Select};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use store::Store;

use super::stream::{Group, Stream, Streams};
use super::table::{self, HEADS, QUEUES, columns};
use super::{find_group, sweep};
use crate::changing::{Changing, overtaken};
use crate::error::{Error, Result};
use crate::parts::Parts;

/// The ids of what is left of deleted streams and groups begin with it.
const GONE: &str = "gone.";

/// A stream or a group that was deleted, whose rows are still to be removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remains {
    #[serde(skip)]
    pub id: Name,
    /// When it was deleted (ms).
    pub at: i64,
    pub stream: Option<String>,
    pub groups: Vec<String>,
}

async fn rows(store: &Store) -> Result<Vec<(String, String)>> {
    let mut select = Select::table(QUEUES, columns(&["id", "definition"]));
    select.sort = vec![table::insertion()];
    let rows = store.select(&select).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0).text_or_empty().into(), row.get(1).text_or_empty().into()))
        .collect())
}

pub(super) async fn load(store: &Store) -> Result<Streams> {
    let mut all = Vec::new();
    for (id, definition) in rows(store).await? {
        if id.starts_with(GONE) {
            continue;
        }
        let stream: Stream = serde_json::from_str(&definition)
            .map_err(|error| Error::internal(format!("the stored stream {id} cannot be read: {error}")))?;
        all.push(Arc::new(stream));
    }
    Ok(Streams::new(all))
}

pub(super) async fn remains(store: &Store) -> Result<Vec<Remains>> {
    let gone = rows(store).await?.into_iter().filter(|(id, _)| id.starts_with(GONE));
    Ok(gone
        .map(|(id, definition)| Remains {
            id: id.into(),
            ..serde_json::from_str(&definition).unwrap_or_default()
        })
        .collect())
}

pub async fn create(parts: &Parts, body: &Map<String, Json>) -> Result<Stream> {
    change(parts, |streams| {
        let now = parts.clock.now().to_string();
        let id = base::id::record();
        let stream = Stream { id, created: now.clone(), updated: now, ..Stream::default() }.patched(body)?;
        if streams.all.len() >= QUEUE_STREAMS_MAX {
            return Err(Error::new(
                base::Kind::Invalid,
                format!("There are {QUEUE_STREAMS_MAX} streams already."),
            ));
        }
        judge(parts, streams, &stream)?;
        let id: Name = stream.id.as_str().into();
        let head = Op::Insert { table: HEADS.into(), values: vec![("id".into(), Value::from(&*id))] };
        let values = vec![("id".into(), Value::from(&*id)), ("definition".into(), stored(&stream))];
        Ok((
            Batch { ops: vec![Op::Insert { table: QUEUES.into(), values }, head], ..Batch::default() },
            stream,
        ))
    })
    .await
}

pub async fn update(parts: &Parts, name: &str, body: &Map<String, Json>) -> Result<Stream> {
    edit(parts, name, |stream| Ok((stream.patched(body)?, Vec::new()))).await
}

/// Its messages go with it, those of its groups too.
pub async fn delete(parts: &Parts, name: &str) -> Result<()> {
    change(parts, |streams| {
        let stream = existing(streams, name)?;
        let id: Name = stream.id.as_str().into();
        let gone = |table: &str| Op::Delete { table: table.into(), id: id.clone(), row: None };
        let groups = stream.groups.iter().map(|group| group.id.clone()).collect();
        let left = Remains { stream: Some(stream.id.clone()), groups, ..Remains::default() };
        let ops = vec![gone(QUEUES), gone(HEADS), buried(parts, &stream.id, left)];
        Ok((Batch { ops, jobs: vec![sweep::job()], ..Batch::default() }, ()))
    })
    .await
}

/// The group gets what is published from now on.
pub async fn create_group(parts: &Parts, stream: &str, body: &Map<String, Json>) -> Result<Group> {
    let id = base::id::record();
    let stream = edit(parts, stream, |stream| {
        let group = Group { id: id.clone(), ..Group::default() }.patched(body)?;
        let mut stream = stream.clone();
        if stream.groups.len() >= QUEUE_GROUPS_MAX {
            let message = format!("A stream has {QUEUE_GROUPS_MAX} groups at most.");
            return Err(Error::new(base::Kind::Invalid, message));
        }
        judge_group(&stream, &group)?;
        stream.groups.push(group);
        Ok((stream, Vec::new()))
    })
    .await?;
    find_group(&stream, &id).cloned()
}

pub async fn update_group(
    parts: &Parts,
    stream: &str,
    name: &str,
    body: &Map<String, Json>,
) -> Result<Group> {
    let mut id = String::new();
    let id = &parking_lot::Mutex::new(&mut id);
    let stream = edit(parts, stream, |stream| {
        let group = find_group(stream, name)?.patched(body)?;
        judge_group(stream, &group)?;
        let mut stream = stream.clone();
        id.lock().clone_from(&group.id);
        for known in stream.groups.iter_mut().filter(|known| known.id == group.id) {
            known.clone_from(&group);
        }
        Ok((stream, Vec::new()))
    })
    .await?;
    find_group(&stream, &id.lock()).cloned()
}

pub async fn delete_group(parts: &Parts, stream: &str, name: &str) -> Result<()> {
    edit(parts, stream, |stream| {
        let id = find_group(stream, name)?.id.clone();
        let mut stream = stream.clone();
        stream.groups.retain(|group| group.id != id);
        let left = Remains { groups: vec![id.clone()], ..Remains::default() };
        Ok((stream, vec![buried(parts, &id, left)]))
    })
    .await
    .map(drop)
}

fn buried(parts: &Parts, id: &str, left: Remains) -> Op {
    let left = Remains { at: parts.clock.now().0, ..left };
    let definition = Value::from(json!(left).to_string());
    let values = vec![("id".into(), Value::from(format!("{GONE}{id}"))), ("definition".into(), definition)];
    Op::Insert { table: QUEUES.into(), values }
}

fn stored(stream: &Stream) -> Value {
    Value::from(json!(stream).to_string())
}

fn existing<'s>(streams: &'s Streams, name: &str) -> Result<&'s Arc<Stream>> {
    let missing =
        || Error::new(base::Kind::NotFound, format!("There is no stream {:?}.", super::shown(name)));
    streams.find(name).ok_or_else(missing)
}

async fn edit(
    parts: &Parts,
    name: &str,
    edit: impl Fn(&Stream) -> Result<(Stream, Vec<Op>)>,
) -> Result<Stream> {
    change(parts, |streams| {
        let known = existing(streams, name)?;
        let (mut stream, mut ops) = edit(known)?;
        stream.updated = parts.clock.now().to_string();
        judge(parts, streams, &stream)?;
        let set = vec![("definition".into(), Assign::Set(stored(&stream)))];
        let jobs = if ops.is_empty() { Vec::new() } else { vec![sweep::job()] };
        ops.push(Op::Update { table: QUEUES.into(), id: stream.id.as_str().into(), set });
        Ok((Batch { ops, jobs, ..Batch::default() }, stream))
    })
    .await
}

async fn change<T>(parts: &Parts, plan: impl Fn(&Streams) -> Result<(Batch, T)>) -> Result<T> {
    let mut changing = Changing::begin(parts).await;
    loop {
        let tried = try_change(parts, &plan).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_change<T>(parts: &Parts, plan: &impl Fn(&Streams) -> Result<(Batch, T)>) -> Result<T> {
    let version = parts.store.schema_version().await?;
    let streams = load(&parts.store).await?;
    let (batch, out) = plan(&streams)?;
    // Other processes read the definitions again when the schema version grows.
    let batch = Batch { guards: vec![Guard::Version(version)], ddl: vec![Ddl::Announce], ..batch };
    parts.store.commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => overtaken(),
        other => other.into(),
    })?;
    parts.queues.reload(&parts.store).await?;
    Ok(out)
}

fn judge(parts: &Parts, streams: &Streams, stream: &Stream) -> Result<()> {
    let mut violations = stream.judge();
    let same =
        |other: &&Arc<Stream>| other.id != stream.id && [&other.name, &other.id].contains(&&stream.name);
    if streams.all.iter().find(same).is_some() {
        violations.add("name", Violation::not_unique());
    }
    for (field, rule) in [("publishRule", &stream.publish_rule), ("consumeRule", &stream.consume_rule)] {
        if let Some(error) = rule.as_deref().and_then(|rule| check_rule(parts, rule).err()) {
            let message = format!("Invalid rule. Raw error: {error}");
            violations.add(field, Violation::new("validation_invalid_rule", message));
        }
    }
    said(violations)
}

fn judge_group(stream: &Stream, group: &Group) -> Result<()> {
    let mut violations = group.judge();
    if stream
        .groups
        .iter()
        .any(|other| other.id != group.id && [&other.name, &other.id].contains(&&group.name))
    {
        violations.add("name", Violation::not_unique());
    }
    said(violations)
}

fn said(violations: Violations) -> Result<()> {
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error::form_with(violations)),
    }
}

fn check_rule(parts: &Parts, rule: &str) -> std::result::Result<(), String> {
    if rule.is_empty() {
        return Ok(());
    }
    let filter = model::filter::parse(rule).map_err(|error| error.to_string())?;
    let (schema, request) = (parts.catalog.schema(), Request::default());
    let collection = &parts.queues.collection;
    let resolver = Resolver::new(&schema, collection, &request, parts.clock.now(), Trust::Full);
    crate::collections::change::check_all(&mut resolver.creating(), &filter)
}
