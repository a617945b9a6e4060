//! Listing and searching.

use std::sync::Arc;

use base::Kind;
use base::limits::{FILTER_REQUEST_BYTES_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use model::Collection;
use model::filter::{Resolved, Trust, superusers_only};
use query::select::SortKey;
use query::{ColumnType, Row, Select, Sort};
use store::Store;

use super::shown::Shown;
use crate::error::{Error, Result};
use crate::rules::Context;

#[derive(Clone, Debug)]
pub struct ListQuery {
    pub page: u64,
    pub per_page: u64,
    pub sort: String,
    pub filter: String,
    pub skip_total: bool,
    pub expand: Vec<String>,
}

impl Default for ListQuery {
    fn default() -> Self {
        ListQuery {
            page: 1,
            per_page: PAGE_ROWS_DEFAULT as u64,
            sort: String::new(),
            filter: String::new(),
            skip_total: false,
            expand: Vec::new(),
        }
    }
}

impl ListQuery {
    /// The page, counted from 1, and its size within the bounds.
    pub fn window(&self) -> (u64, u64) {
        let per_page = match self.per_page {
            0 => PAGE_ROWS_DEFAULT as u64,
            rows => rows.min(PAGE_ROWS_MAX as u64),
        };
        (self.page.max(1), per_page)
    }

    /// The page of what is whole in memory.
    pub fn cut<T>(&self, all: Vec<T>) -> Page<T> {
        let (page, per_page) = self.window();
        let total = (!self.skip_total).then_some(all.len() as u64);
        let skip = usize::try_from((page - 1).saturating_mul(per_page)).unwrap_or(usize::MAX);
        let items = all.into_iter().skip(skip).take(per_page as usize).collect();
        Page { items, page, per_page, total }
    }

    /// The page of what a statement finds, in tables that are no collections.
    pub(crate) async fn find<T>(
        &self,
        store: &Store,
        mut select: Select,
        read: impl Fn(&Row) -> T,
    ) -> Result<Page<T>> {
        let (page, per_page) = self.window();
        select.limit = Some(per_page);
        select.offset = (page - 1).saturating_mul(per_page);
        let rows = store.select(&select).await?;
        let total = match self.skip_total {
            true => None,
            false if page == 1 && (rows.len() as u64) < per_page => Some(rows.len() as u64),
            false => Some(store.count(&select).await?),
        };
        Ok(Page { items: rows.iter().map(read).collect(), page, per_page, total })
    }
}

#[derive(Debug)]
pub struct Page<T = Shown> {
    pub items: Vec<T>,
    pub page: u64,
    pub per_page: u64,
    /// `None` when the caller did not want it counted.
    pub total: Option<u64>,
}

/// The records that the caller may list, of one page.
pub async fn list(cx: &Context<'_>, collection: &Arc<Collection>, query: &ListQuery) -> Result<Page> {
    if collection.list_rule.is_none() && !cx.is_superuser() {
        return Err(Error::superusers_only());
    }
    let (page, per_page) = query.window();

    // One resolver, so that rule and filter are about the same related records.
    let mut resolver = cx.resolver(collection, Trust::Full);
    let mut filters = Vec::new();
    let rule = collection.list_rule.as_deref().filter(|rule| !rule.is_empty() && !cx.is_superuser());
    if let Some(rule) = rule {
        cx.depends_on_text(rule);
        filters.push(resolver.condition(&*cx.parts.filters.parse(rule)?)?);
    }
    resolver.trust(cx.trust());
    if !cx.is_superuser()
        && let Some(prefix) = superusers_only(&query.filter).or_else(|| superusers_only(&query.sort))
    {
        return Err(Error::new(Kind::Forbidden, format!("Only superusers can filter by {prefix}")));
    }
    if query.filter.len() > FILTER_REQUEST_BYTES_MAX {
        return Err(Error::bad_request().details("the filter is too long"));
    }
    if !query.filter.is_empty() {
        cx.depends_on_text(&query.filter);
        filters.push(resolver.condition(&*cx.parts.filters.parse(&query.filter)?)?);
    }
    let sort = resolver.sort(&query.sort)?;
    if collection.is_view()
        && sort.iter().any(|key| key.by == SortKey::Insertion)
        && query.sort.contains("@rowid")
    {
        return Err(Error::bad_request().details("the rows of a view have no order of insertion"));
    }
    let Resolved { filter, sort, joins } = resolver.finish(query::Expr::and(filters), sort)?;

    let table = &collection.table;
    let mut select = Select::table(table.name.clone(), table.columns.clone());
    select.joins = joins;
    select.filter = filter;
    select.sort = sort;
    select.limit = Some(per_page);
    select.offset = (page - 1).saturating_mul(per_page);

    let (records, total) = if query.skip_total {
        (cx.select(collection, &select).await?, None)
    } else {
        let records = cx.select(collection, &select).await?;
        let first_page_is_all = page == 1 && (records.len() as u64) < per_page;
        let total = if first_page_is_all { records.len() as u64 } else { cx.store().count(&select).await? };
        (records, Some(total))
    };
    cx.depends_on(&table.name);
    cx.depends_on_condition(&select.filter, &select.joins);
    trace(cx, query);
    let mut items = cx.show_all(records).await?;
    if !query.expand.is_empty() {
        cx.expand(&mut items, &query.expand).await?;
    }
    Ok(Page { items, page, per_page, total })
}

/// The client's own words bring rules of other collections along, where they lead into them, and chance.
fn trace(cx: &Context<'_>, query: &ListQuery) {
    if query.sort.contains('@') {
        cx.depends_on_chance();
    }
    for collection in cx.tables().iter().filter_map(|table| cx.schema.find(table)) {
        cx.depends_on_text(collection.list_rule.as_deref().unwrap_or_default());
    }
}

/// The order that pages rely on when the caller names none.
pub fn insertion_order() -> Vec<Sort> {
    vec![Sort { by: SortKey::Insertion, descending: false }]
}

/// The order by id, for stable walks over a whole collection.
pub fn id_order() -> Vec<Sort> {
    vec![Sort { by: SortKey::Operand(query::Operand::base("id", ColumnType::Id)), descending: false }]
}
