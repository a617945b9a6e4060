//! Writing a collection's records to a file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backing::blob::{Attributes, Content};
use base::limits::{EXCHANGE_PAGE_ROWS, EXCHANGE_PROGRESS_MS, FILTER_REQUEST_BYTES_MAX};
use base::{Kind, Value};
use model::Collection;
use model::filter::{Resolved, Trust};
use query::{ColumnType, Expr, Operand, Operator, Select};
use tokio::io::AsyncWriteExt;

use super::{Direction, Exchange, Format, State, key, named, not_one_of, request, room};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::records::list::id_order;
use crate::rules::Context;

/// What is asked for.
pub struct Asked<'a> {
    pub collection: &'a str,
    pub format: &'a str,
    /// In the language of rules; empty for all records.
    pub filter: &'a str,
}

pub async fn create(cx: &Context<'_>, asked: &Asked<'_>) -> Result<Exchange> {
    let collection = named(cx, asked.collection)?;
    let format = Format::of(asked.format).ok_or_else(|| not_one_of("format"))?;
    if asked.filter.len() > FILTER_REQUEST_BYTES_MAX {
        return Err(Error::bad_request().details("the filter is too long"));
    }
    select(cx, &collection, asked.filter)?;
    // Before the work, whether it can be kept.
    cx.parts.blobs()?;
    room(cx).await?;
    let now = cx.parts.clock.now().to_string();
    let exchange = Exchange {
        id: base::id::record().into(),
        direction: Direction::Export,
        collection: collection.id.to_string(),
        collection_name: collection.name.to_string(),
        by: cx.request.auth.as_ref().map(|auth| auth.id().to_owned()).unwrap_or_default(),
        format,
        filter: asked.filter.into(),
        created: now.clone(),
        updated: now,
        ..Exchange::default()
    };
    super::begin(cx, exchange).await
}

fn select(cx: &Context<'_>, collection: &Arc<Collection>, filter: &str) -> Result<Select> {
    let mut resolver = cx.resolver(collection, Trust::Full);
    let condition = match filter {
        "" => Expr::Const(true),
        filter => resolver.condition(&*cx.parts.filters.parse(filter)?)?,
    };
    let Resolved { filter, joins, .. } = resolver.finish(condition, Vec::new())?;
    let table = &collection.table;
    let mut select = Select::table(table.name.clone(), table.columns.clone());
    (select.joins, select.filter) = (joins, filter);
    Ok(select)
}

/// Does it from the beginning: what an earlier try wrote is of no use.
pub(super) async fn run(parts: &Parts, exchange: &mut Exchange) -> Result<()> {
    let request = request(parts, exchange).await?;
    let cx = Context::new(parts, &request);
    let gone = || Error::new(Kind::NotFound, "The collection is gone.");
    let collection = cx.schema.by_id(&exchange.collection).cloned().ok_or_else(gone)?;
    let blobs = parts.blobs()?;
    let select = select(&cx, &collection, &exchange.filter)?;
    exchange.total = parts.store.count(&select).await?;
    (exchange.rows, exchange.size_bytes) = (0, 0);
    exchange.save(parts, Vec::new()).await?;

    let failed = |error: std::io::Error| Error::internal(error);
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(Error::internal)?;
    let mut file = tokio::fs::File::from_std(file.map_err(failed)?);
    let mut text = String::new();
    exchange.format.head(&collection, &mut text);
    let mut told = Instant::now();
    let mut last = None;
    loop {
        let mut page = select.clone().limit(EXCHANGE_PAGE_ROWS);
        page.sort = id_order();
        if let Some(last) = &last {
            let left = Operand::base("id", ColumnType::Id);
            page = page.filter(Expr::Compare { left, op: Operator::Gt, right: Value::clone(last).into() });
        }
        let records = cx.select(&collection, &page).await?;
        for record in &records {
            exchange.format.write(record, &mut text);
        }
        exchange.size_bytes += text.len() as u64;
        file.write_all(text.as_bytes()).await.map_err(failed)?;
        text.clear();
        exchange.rows += records.len() as u64;
        if (records.len() as u64) < EXCHANGE_PAGE_ROWS {
            break;
        }
        last = records.last().map(|record| Value::from(record.id()));
        if told.elapsed() > Duration::from_millis(EXCHANGE_PROGRESS_MS) {
            told = Instant::now();
            exchange.save(parts, Vec::new()).await?;
        }
    }
    file.flush().await.map_err(failed)?;
    let content = Content::File { file: file.into_std().await, size_bytes: exchange.size_bytes };
    let attributes = Attributes {
        content_type: exchange.format.content_type().into(),
        original: format!("{}.{}", collection.name, exchange.format.name()),
    };
    blobs.put(&key(&exchange.id), &content, &attributes).await?;
    exchange.state = State::Done;
    exchange.error.clear();
    exchange.save(parts, Vec::new()).await
}
