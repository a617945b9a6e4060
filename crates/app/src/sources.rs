//! What an answer was made of: for those who keep it, in this process or outside.

use base::Name;
use base::limits::ANSWER_TAG_RECORDS_MAX;
use model::Schema;
use model::filter::Depends;
use query::{Expr, Join, Source};

use crate::rules::Context;
use crate::tags;

/// Collected while a [`Context`] answers.
#[derive(Debug, Default)]
pub struct Sources {
    /// All tables that were read.
    pub tables: Vec<Name>,
    /// Those of which any record may have mattered.
    whole: Vec<Name>,
    /// The only ones of their table that mattered, unless it is among the whole ones too.
    records: Vec<(Name, String)>,
    /// What else it depends on. Known only of answers that are traced.
    pub depends: Depends,
    traced: bool,
}

impl Sources {
    /// Collects all that tags and headers need, not only the tables.
    pub(crate) fn traced() -> Self {
        Sources { traced: true, ..Sources::default() }
    }

    fn table(&mut self, table: &Name) {
        if !self.tables.contains(table) {
            self.tables.push(table.clone());
        }
    }

    fn whole(&mut self, table: &Name) {
        self.table(table);
        if self.traced && !self.whole.contains(table) {
            self.whole.push(table.clone());
        }
    }

    fn joins(&mut self, joins: &[Join]) {
        for join in joins {
            if let Source::Table(name) = &join.source {
                self.whole(name);
            }
            self.inside(&join.on);
        }
    }

    /// Tables that are joined within a condition alone.
    fn inside(&mut self, expr: &Expr) {
        expr.visit(&mut |part| {
            if let Expr::All { joins, .. } | Expr::Exists { joins, .. } = part {
                for join in joins {
                    if let Source::Table(name) = &join.source {
                        self.whole(name);
                    }
                }
            }
        });
    }

    /// A view is made of whatever its query names.
    fn look_through_views(&mut self, schema: &Schema) {
        let views: Vec<Name> = self.tables.clone();
        for view in views.iter().filter_map(|name| schema.find(name)) {
            let Some(query) = view.view_query() else { continue };
            for table in schema.sources_of_view(view) {
                self.whole(&table);
            }
            self.depends.time |= model::collection::is_timed(query);
        }
    }

    /// Tags by which the answer is purged when it is no longer true.
    pub fn tags(mut self) -> Vec<String> {
        if self.records.len() > ANSWER_TAG_RECORDS_MAX {
            for (table, _) in std::mem::take(&mut self.records) {
                self.whole(&table);
            }
        }
        let mut tags: Vec<String> = self.whole.iter().map(|table| tags::any_of(table)).collect();
        let mut named: Vec<&Name> = Vec::new();
        for (table, id) in self.records.iter().filter(|(table, _)| !self.whole.contains(table)) {
            tags.push(tags::record(table, id));
            if !named.contains(&table) {
                named.push(table);
            }
        }
        tags.extend(named.into_iter().map(|table| tags::all_of(table)));
        tags
    }
}

impl Context<'_> {
    /// Notes a table of which any record may matter.
    pub fn depends_on(&self, table: &Name) {
        self.sources.lock().whole(table);
    }

    /// Notes records that alone of their table matter, whether they are there or not.
    pub fn depends_on_records(&self, table: &Name, ids: &[String]) {
        let mut sources = self.sources.lock();
        sources.table(table);
        if sources.traced && sources.records.len() <= ANSWER_TAG_RECORDS_MAX {
            let room = ANSWER_TAG_RECORDS_MAX + 1 - sources.records.len();
            sources.records.extend(ids.iter().take(room).map(|id| (table.clone(), id.clone())));
            if ids.len() > room {
                sources.whole(table);
            }
        } else {
            sources.whole(table);
        }
    }

    /// Notes what a condition reads besides the record that it is about.
    pub fn depends_on_condition(&self, expr: &Expr, joins: &[Join]) {
        if joins.is_empty() && matches!(expr, Expr::Const(_) | Expr::Compare { .. }) {
            return;
        }
        let mut sources = self.sources.lock();
        sources.joins(joins);
        sources.inside(expr);
    }

    /// Notes what the verdict of a rule or filter depends on besides records.
    pub fn depends_on_text(&self, filter: &str) {
        let mut sources = self.sources.lock();
        if sources.traced {
            sources.depends |= Depends::of(filter);
        }
    }

    /// Notes that somebody else may be answered otherwise.
    pub fn depends_on_caller(&self) {
        self.sources.lock().depends.caller = true;
    }

    /// Notes that the same request may be answered otherwise at any time.
    pub fn depends_on_chance(&self) {
        self.sources.lock().depends.request = true;
    }

    /// The tables noted so far, of an answer that is traced.
    pub(crate) fn tables(&self) -> Vec<Name> {
        let sources = self.sources.lock();
        if sources.traced { sources.tables.clone() } else { Vec::new() }
    }

    /// All that was noted, the caller's own collection included.
    pub fn take_sources(&self) -> Sources {
        let mut sources = self.sources.lock();
        if let Some(auth) = &self.request.auth {
            sources.table(&auth.collection.name);
        }
        sources.look_through_views(&self.schema);
        std::mem::take(&mut sources)
    }
}
