//! Taking records in from a file: some rows at a time, each by the rules that hold when a superuser writes it, and how
//! far it is in the same commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backing::blob::{Attributes, Blob};
use base::Kind;
use base::limits::{
    EXCHANGE_CHUNK_BYTES, EXCHANGE_CHUNK_MS, EXCHANGE_CHUNK_MS_MAX, EXCHANGE_CHUNK_ROWS, EXCHANGE_ERRORS_MAX,
    EXCHANGE_TURN_MS,
};
use model::{Collection, FieldKind, Request, Violation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::Store;

use super::reader::{RawRow, Reader};
use super::stored::{RowError, told};
use super::{Direction, Exchange, Format, State, drop_upload, format, key, named, not_one_of, request, room};
use crate::error::{Error, Result};
use crate::files::Uploads;
use crate::jobs::Work;
use crate::parts::Parts;
use crate::records::input::PASSWORD_CONFIRM;
use crate::records::{create as creating, update as updating, upsert};
use crate::rules::Context;
use crate::transaction::{self, Outcome};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// An id that is taken is an error of its row.
    #[default]
    Create,
    /// A record of the same id is updated.
    Upsert,
}

impl Mode {
    fn of(name: &str) -> Option<Mode> {
        match name {
            "" | "create" => Some(Mode::Create),
            "upsert" => Some(Mode::Upsert),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Create => "create",
            Mode::Upsert => "upsert",
        }
    }
}

/// What is asked for.
pub struct Asked<'a> {
    pub collection: &'a str,
    pub format: &'a str,
    pub mode: &'a str,
}

pub async fn create(cx: &Context<'_>, asked: &Asked<'_>, uploads: Uploads) -> Result<Exchange> {
    let collection = named(cx, asked.collection)?;
    if collection.is_view() {
        return Err(Error::new(Kind::Invalid, "Unsupported collection type."));
    }
    let format = Format::of(asked.format).ok_or_else(|| not_one_of("format"))?;
    let mode = Mode::of(asked.mode).ok_or_else(|| not_one_of("mode"))?;
    let Some((upload, content)) = uploads.take("file") else {
        return Err(Error::form("file", Violation::required()));
    };
    room(cx).await?;
    let id: base::Name = base::id::record().into();
    let attributes = Attributes { content_type: format.content_type().into(), original: upload.original };
    let blobs = cx.parts.blobs()?;
    blobs.put(&key(&id), &content, &attributes).await?;
    let now = cx.parts.clock.now().to_string();
    let exchange = Exchange {
        id,
        direction: Direction::Import,
        collection: collection.id.to_string(),
        collection_name: collection.name.to_string(),
        by: cx.request.auth.as_ref().map(|auth| auth.id().to_owned()).unwrap_or_default(),
        format,
        mode,
        size_bytes: content.size_bytes(),
        created: now.clone(),
        updated: now,
        ..Exchange::default()
    };
    super::begin(cx, exchange).await
}

/// Goes on where the last commit ended.
pub(super) async fn run(parts: &Parts, exchange: &mut Exchange) -> Result<()> {
    let began = Instant::now();
    let blob: Blob = parts.blobs()?.get(&key(&exchange.id)).await?;
    let mut reader = Reader::open(&blob, exchange.format, exchange.position, exchange.lines).await?;
    let mut waiting: VecDeque<RawRow> = VecDeque::new();
    let mut ended = false;
    loop {
        let mut bytes: usize = waiting.iter().map(|row| row.bytes.len()).sum();
        while !ended && waiting.len() < EXCHANGE_CHUNK_ROWS && bytes < EXCHANGE_CHUNK_BYTES {
            match reader.next().await? {
                Some(row) if exchange.format == Format::Csv && exchange.header.is_empty() => {
                    exchange.header = header(&row)?;
                    (exchange.position, exchange.lines) = (row.position, row.lines);
                }
                Some(row) => {
                    bytes += row.bytes.len();
                    waiting.push_back(row);
                }
                None => ended = true,
            }
        }
        if waiting.is_empty() {
            exchange.position = exchange.size_bytes;
            exchange.state = State::Done;
            exchange.save(parts, Vec::new()).await?;
            return drop_upload(parts, exchange).await;
        }
        let taken = chunk(parts, exchange, &waiting).await?;
        waiting.drain(..taken);
        if began.elapsed() > Duration::from_millis(EXCHANGE_TURN_MS) {
            // Others get their turn, and no job runs for too long.
            let job = Work::Exchange { id: exchange.id.to_string() }.job();
            return exchange.save(parts, vec![job]).await;
        }
    }
}

fn header(row: &RawRow) -> Result<Vec<String>> {
    let wrong = |why: String| Error::new(Kind::Invalid, format!("The first row holds no names: {why}"));
    let text = std::str::from_utf8(&row.bytes).map_err(|error| wrong(error.to_string()))?;
    let names = format::cells(text).map_err(wrong)?;
    Ok(names.into_iter().map(|name| name.trim().to_owned()).collect())
}

/// Imports some of the rows. Returns how many are done with.
async fn chunk(parts: &Parts, exchange: &mut Exchange, waiting: &VecDeque<RawRow>) -> Result<usize> {
    let request = request(parts, exchange).await?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let open = transaction::begin(&parts.store, Duration::from_millis(EXCHANGE_CHUNK_MS_MAX)).await?;
        let result = rows(parts, open.store(), &request, exchange.clone(), waiting).await;
        match transaction::end(open, result, attempt).await {
            Outcome::Done(result) => {
                let (next, taken) = result?;
                *exchange = next;
                return Ok(taken);
            }
            Outcome::Expired => {
                return Err(Error::new(Kind::Unavailable, "A commit took too long. It is tried again."));
            }
            Outcome::Again => {}
        }
    }
}

async fn rows(
    parts: &Parts,
    store: &Store,
    request: &Request,
    mut exchange: Exchange,
    waiting: &VecDeque<RawRow>,
) -> Result<(Exchange, usize)> {
    let began = Instant::now();
    let schema = parts.catalog.schema();
    let gone = || Error::new(Kind::NotFound, "The collection is gone.");
    let collection = schema.by_id(&exchange.collection).ok_or_else(gone)?;
    let mut taken = 0;
    for row in waiting {
        let written = match body(collection, &exchange, row) {
            Ok(body) => one(parts, store, request, collection, exchange.mode, body).await,
            Err(message) => Err(Error::new(Kind::Invalid, message)),
        };
        match written {
            Ok(true) => exchange.created_rows += 1,
            Ok(false) => exchange.updated_rows += 1,
            // Nothing is wrong with the row.
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Internal) => return Err(error),
            Err(error) => {
                exchange.failed_rows += 1;
                if exchange.errors.len() < EXCHANGE_ERRORS_MAX {
                    exchange.errors.push(RowError { line: row.line, message: told(&error) });
                }
            }
        }
        taken += 1;
        exchange.rows += 1;
        (exchange.position, exchange.lines) = (row.position, row.lines);
        if began.elapsed() > Duration::from_millis(EXCHANGE_CHUNK_MS) {
            break;
        }
    }
    exchange.tries = 0;
    exchange.error.clear();
    exchange.save_within(parts, store, Vec::new()).await?;
    Ok((exchange, taken))
}

/// What a row says, as a body of a request would.
fn body(
    collection: &Collection,
    exchange: &Exchange,
    row: &RawRow,
) -> std::result::Result<Map<String, Json>, String> {
    let mut body = match exchange.format {
        Format::Jsonl => {
            serde_json::from_slice(&row.bytes).map_err(|error| format!("No JSON object: {error}"))?
        }
        Format::Csv => {
            let text = std::str::from_utf8(&row.bytes).map_err(|error| error.to_string())?;
            format::body(collection, &exchange.header, format::cells(text)?)?
        }
    };
    // Plain values only; files do not stand in a row, so their names would be nobody's.
    body.retain(|name, _| {
        let field = collection.position(name).map(|position| &collection.fields[position]);
        field.is_some_and(|field| !matches!(field.kind, FieldKind::File(_)))
    });
    if collection.is_auth()
        && let Some(password) = body.get("password").cloned()
    {
        body.insert(PASSWORD_CONFIRM.into(), password);
    }
    Ok(body)
}

/// Whether a record was created, rather than updated.
async fn one(
    parts: &Parts,
    store: &Store,
    request: &Request,
    collection: &Arc<Collection>,
    mode: Mode,
    body: Map<String, Json>,
) -> Result<bool> {
    let request = Request { method: "POST", body, ..request.clone() };
    let existing = match mode {
        Mode::Create => None,
        Mode::Upsert => upsert::existing(&Context::within(parts, &request, store), collection).await?,
    };
    match existing {
        Some(id) => {
            let request = Request { method: "PATCH", ..request };
            let cx = Context::within(parts, &request, store);
            updating::update(&cx, collection, &id, &[]).await.map(|_| false)
        }
        None => {
            let cx = Context::within(parts, &request, store);
            creating::create(&cx, collection, &[]).await.map(|_| true)
        }
    }
}
