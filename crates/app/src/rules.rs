//! Judging records by rules: in memory where that is enough, in the database where a rule joins.

use std::sync::Arc;

use base::Kind;
use model::filter::{Filter, ResolveError, Resolved, Resolver, Trust};
use model::{Collection, Record, Request, Schema};
use parking_lot::Mutex;
use query::{Expr, Join, Operand, Route, Select, Source};
use quick_cache::sync::Cache;
use store::Store;

use crate::error::{Error, Result};
use crate::files::Uploads;
use crate::parts::Parts;
use crate::sources::Sources;

/// Parsed filters and rules, by their text.
pub struct FilterCache(Cache<String, Arc<Filter>>);

const FILTERS_MAX: usize = 2048;

impl Default for FilterCache {
    fn default() -> Self {
        FilterCache(Cache::new(FILTERS_MAX))
    }
}

impl FilterCache {
    pub fn parse(&self, text: &str) -> Result<Arc<Filter>> {
        if let Some(filter) = self.0.get(text) {
            return Ok(filter);
        }
        let filter =
            Arc::new(model::filter::parse(text).map_err(|error| Error::bad_request().details(error))?);
        self.0.insert(text.to_string(), filter.clone());
        Ok(filter)
    }
}

/// Everything one request is judged with.
pub struct Context<'a> {
    pub parts: &'a Parts,
    pub schema: Arc<Schema>,
    pub request: &'a Request,
    store: &'a Store,
    /// Files that came with the request, if any.
    pub(crate) uploads: Option<Arc<Uploads>>,
    /// What the answer is made of.
    pub(crate) sources: Mutex<Sources>,
}

/// A condition ready to be run or evaluated.
#[derive(Clone, Debug)]
pub struct Condition {
    pub expr: Expr,
    pub joins: Vec<Join>,
}

impl Condition {
    pub fn always() -> Self {
        Condition { expr: Expr::Const(true), joins: Vec::new() }
    }
}

impl<'a> Context<'a> {
    pub fn new(parts: &'a Parts, request: &'a Request) -> Self {
        Self::within(parts, request, &parts.store)
    }

    /// Everything the request reads and writes is the store's: that of an open transaction, or the ordinary one.
    pub fn within(parts: &'a Parts, request: &'a Request, store: &'a Store) -> Self {
        Context {
            parts,
            schema: parts.catalog.schema(),
            request,
            store,
            uploads: None,
            sources: Mutex::default(),
        }
    }

    /// The same for another form of the request, on the same store.
    pub fn with_request<'b>(&'b self, request: &'b Request) -> Context<'b> {
        let (parts, schema) = (self.parts, self.schema.clone());
        let uploads = self.uploads.clone();
        Context { parts, schema, request, store: self.store, uploads, sources: Mutex::default() }
    }

    /// Notes all that caches outside must know of the answer.
    pub fn traced(self) -> Self {
        Context { sources: Mutex::new(Sources::traced()), ..self }
    }

    /// Where the request's reads and writes go; never around it, as they may be part of a transaction.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// One record by id.
    pub async fn fetch(&self, collection: &Arc<Collection>, id: &str) -> Result<Option<Record>> {
        self.parts.fetch_from(self.store, collection, id).await
    }

    /// Several records by id, those that exist, in no particular order.
    pub async fn fetch_many(&self, collection: &Arc<Collection>, ids: Vec<String>) -> Result<Vec<Record>> {
        self.parts.fetch_many_from(self.store, collection, ids).await
    }

    /// Records of a select whose columns are the collection's.
    pub async fn select(&self, collection: &Arc<Collection>, select: &Select) -> Result<Vec<Record>> {
        let rows = self.store.select(select).await?;
        Ok(rows
            .into_iter()
            .map(|row| Record { collection: collection.clone(), row: Arc::new(row) })
            .collect())
    }

    pub fn is_superuser(&self) -> bool {
        self.request.is_superuser()
    }

    pub fn collection(&self, name_or_id: &str) -> Option<Arc<Collection>> {
        self.schema.find(name_or_id).cloned()
    }

    pub fn resolver<'b>(&'b self, collection: &'b Arc<Collection>, trust: Trust) -> Resolver<'b> {
        Resolver::new(&self.schema, collection, self.request, self.parts.clock.now(), trust)
    }

    /// How far the caller's own filters and sorts are trusted.
    pub fn trust(&self) -> Trust {
        if self.is_superuser() { Trust::Full } else { Trust::Client }
    }

    /// A collection's own rule, which may look at hidden fields.
    pub fn rule(&self, collection: &Arc<Collection>, rule: &str) -> Result<Condition> {
        if rule.is_empty() {
            return Ok(Condition::always());
        }
        self.resolve(self.resolver(collection, Trust::Full), rule)
    }

    /// A rule over a record that is not stored yet.
    pub fn creation_rule(&self, collection: &Arc<Collection>, rule: &str) -> Result<Condition> {
        if rule.is_empty() {
            return Ok(Condition::always());
        }
        self.resolve(self.resolver(collection, Trust::Full).creating(), rule)
    }

    fn resolve(&self, mut resolver: Resolver<'_>, rule: &str) -> Result<Condition> {
        self.depends_on_text(rule);
        let filter = self.parts.filters.parse(rule)?;
        let expr = resolver.condition(&filter)?;
        let Resolved { filter, joins, .. } = resolver.finish(expr, Vec::new())?;
        self.depends_on_condition(&filter, &joins);
        Ok(Condition { expr: filter, joins })
    }

    /// The rule that the caller has to pass: nothing for superusers, an error when only they may.
    pub fn required_rule(&self, collection: &Arc<Collection>, rule: &Option<String>) -> Result<Condition> {
        if self.is_superuser() {
            return Ok(Condition::always());
        }
        match rule {
            None => Err(Error::superusers_only()),
            Some(rule) => self.rule(collection, rule),
        }
    }

    /// Whether a stored record passes.
    pub async fn passes(&self, record: &Record, condition: &Condition) -> Result<bool> {
        if let Some(verdict) = evaluate(record, condition) {
            return Ok(verdict);
        }
        let mut select = Select::by_ids(record.collection.name.clone(), Vec::new(), vec![record.id().into()]);
        select.joins = condition.joins.clone();
        select = select.filter(condition.expr.clone()).limit(1);
        Ok(self.store().first(&select).await?.is_some())
    }

    /// Whether a record that is not stored yet passes.
    pub async fn would_pass(&self, record: &Record, condition: &Condition) -> Result<bool> {
        if let Some(verdict) = evaluate(record, condition) {
            return Ok(verdict);
        }
        let columns = record.collection.table.columns.iter().cloned();
        let select = Select {
            from: Source::Literal(columns.zip(record.row.0.iter().cloned()).collect()),
            columns: Vec::new(),
            joins: condition.joins.clone(),
            filter: condition.expr.clone(),
            sort: Vec::new(),
            limit: Some(1),
            offset: 0,
            route: Route::All,
        };
        Ok(self.store().first(&select).await?.is_some())
    }

    /// Those of the ids that pass, asked of the database in one query.
    pub async fn select_passing(
        &self,
        collection: &Arc<Collection>,
        ids: &Operand,
        values: Vec<String>,
        condition: &Condition,
    ) -> Result<Vec<Record>> {
        let table = &collection.table;
        let values = values.into_iter().map(base::Value::from).collect();
        let mut select = Select::table(table.name.clone(), table.columns.clone());
        select.joins = condition.joins.clone();
        select = select.filter(Expr::In { left: ids.clone(), values }).filter(condition.expr.clone());
        self.select(collection, &select).await
    }
}

/// The verdict in memory, or `None` when the condition needs the database.
pub fn evaluate(record: &Record, condition: &Condition) -> Option<bool> {
    match &condition.expr {
        Expr::Const(verdict) => Some(*verdict),
        expr => {
            let lookup = |column: &query::Column| record.get(&column.name);
            query::eval::eval(expr, &condition.joins, lookup).ok()
        }
    }
}

impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        match error.kind() {
            Kind::Forbidden => Error::superusers_only(),
            _ => Error::bad_request(),
        }
        .details(error)
    }
}
