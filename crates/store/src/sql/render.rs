//! `Select` as SQL: the shape of the statement. Conditions are in `compare`, values in `operand`.

use query::select::SortKey;
use query::{Alias, Expr, Join, Operand, Select, Sort, Source};
use smallvec::SmallVec;

use super::aliases::Aliases;
use super::{Dialect, Statement, Views};

/// Writes one statement.
pub struct Renderer<'a> {
    pub(super) dialect: Dialect,
    pub(super) views: &'a Views,
    pub(super) sql: String,
    pub(super) params: Vec<base::Value>,
    /// Sources whose columns may be null: left joins, and views.
    pub(super) nullable: Aliases,
    /// `Each` sources over plain lists of texts.
    pub(super) lists: Aliases,
    /// Sources that are views: their columns need not have the declared type.
    computed: Aliases,
    /// Do `Each` sources number their rows?
    pub(super) numbered: bool,
}

/// A select taken apart: what is joined outside, and what must hide in a subquery so that base rows come once.
struct Shape<'s> {
    outer: SmallVec<[&'s Join; 8]>,
    inner: SmallVec<[&'s Join; 8]>,
    many: Aliases,
    /// Conditions that can stand in the outer WHERE.
    plain: SmallVec<[&'s Expr; 8]>,
    /// Conditions over `inner`: they hold together, for one combination of joined rows.
    joined: SmallVec<[&'s Expr; 8]>,
}

impl<'a> Renderer<'a> {
    pub fn new(dialect: Dialect, views: &'a Views) -> Self {
        Renderer {
            dialect,
            views,
            sql: String::with_capacity(256),
            params: Vec::new(),
            nullable: Aliases::default(),
            lists: Aliases::default(),
            computed: Aliases::default(),
            numbered: false,
        }
    }

    pub(super) fn views_at(&self, alias: Alias) -> bool {
        self.computed.contains(alias)
    }

    pub fn finish(self) -> Statement {
        Statement { sql: self.sql, params: self.params }
    }

    /// The rows of a select.
    pub fn select(mut self, select: &Select) -> Statement {
        self.rows(select);
        self.finish()
    }

    /// The same as a part of a statement.
    pub(super) fn rows(&mut self, select: &Select) {
        let shape = Shape::of(select, true);
        self.sql.push_str("SELECT ");
        if select.columns.is_empty() {
            self.sql.push('1');
        }
        for (index, column) in select.columns.iter().enumerate() {
            if index > 0 {
                self.sql.push(',');
            }
            self.column(Alias::BASE, &column.name);
        }
        self.source_and_filter(select, &shape);
        self.order(select, &shape);
        self.page(select);
    }

    /// The number of rows, the page aside.
    pub fn count(mut self, select: &Select) -> Statement {
        let shape = Shape::of(select, false);
        self.sql.push_str("SELECT COUNT(*)");
        self.source_and_filter(select, &shape);
        self.finish()
    }

    /// The number of rows for each hour of a date column.
    pub fn count_by_hour(mut self, select: &Select, column: &str) -> Statement {
        let shape = Shape::of(select, false);
        let (before, after) = match self.dialect {
            Dialect::Sqlite => ("strftime('%Y-%m-%d %H:00:00',", ")"),
            Dialect::Postgres => ("to_char(", ",'YYYY-MM-DD HH24:00:00')"),
        };
        self.sql.push_str("SELECT ");
        self.sql.push_str(before);
        self.column(Alias::BASE, column);
        self.sql.push_str(after);
        self.sql.push_str(match self.dialect {
            Dialect::Sqlite => ",COUNT(*)",
            Dialect::Postgres => ",COUNT(*)::float8",
        });
        self.source_and_filter(select, &shape);
        self.sql.push_str(" GROUP BY 1 ORDER BY 1");
        self.finish()
    }

    /// One row with one truth value: has the select a row? `lock` keeps that row until the transaction ends.
    pub fn exists(&mut self, select: &Select, lock: Option<&str>) {
        let shape = Shape::of(select, false);
        self.sql.push_str("EXISTS (SELECT 1");
        self.source_and_filter(select, &shape);
        if select.offset > 0 {
            self.page(select);
        }
        if let Some(lock) = lock
            && self.dialect == Dialect::Postgres
            && self.ordered(select)
        {
            self.sql.push(' ');
            self.sql.push_str(lock);
            self.sql.push_str(" OF ");
            self.dialect.alias(&mut self.sql, Alias::BASE);
        }
        self.sql.push(')');
    }

    fn page(&mut self, select: &Select) {
        use std::fmt::Write;
        match select.limit {
            Some(limit) => {
                let _ = write!(self.sql, " LIMIT {}", limit.min(i64::MAX as u64));
            }
            // SQLite takes an offset behind a limit only.
            None if select.offset > 0 && self.dialect == Dialect::Sqlite => self.sql.push_str(" LIMIT -1"),
            None => {}
        }
        if select.offset > 0 {
            let _ = write!(self.sql, " OFFSET {}", select.offset.min(i64::MAX as u64));
        }
    }

    fn source_and_filter(&mut self, select: &Select, shape: &Shape<'_>) {
        self.sql.push_str(" FROM ");
        if let Source::Table(name) = &select.from
            && self.views.contains(name)
        {
            self.nullable.insert(Alias::BASE);
        }
        self.source(&select.from, Alias::BASE);
        for join in &shape.outer {
            self.join(join, true);
        }
        let mut glue = " WHERE ";
        for part in &shape.plain {
            if matches!(part, Expr::Const(true)) {
                continue;
            }
            self.sql.push_str(glue);
            self.grouped(part);
            glue = " AND ";
        }
        if !shape.joined.is_empty() {
            self.sql.push_str(glue);
            self.sql.push_str("EXISTS (SELECT 1 ");
            let mut needed = Aliases::default();
            shape.joined.iter().for_each(|part| needed.add_expr(part));
            let mark = self.subquery_joins(&shape.inner, needed);
            self.joined_filter(shape);
            self.sql.push(')');
            self.nullable.truncate(mark);
        }
    }

    /// What is asked of the joined rows, inside of a subquery.
    fn joined_filter(&mut self, shape: &Shape<'_>) {
        let mut glue = " WHERE ";
        for part in &shape.joined {
            self.sql.push_str(glue);
            self.grouped(part);
            glue = " AND ";
        }
    }

    /// `FROM` of a subquery that joins what is needed to one empty row. Returns how many nullable aliases there
    /// were before.
    fn subquery_joins(&mut self, joins: &[&Join], needed: Aliases) -> usize {
        let mark = self.nullable.len();
        self.sql.push_str("FROM (SELECT 1) AS z");
        for join in wanted(joins, needed) {
            self.join(join, true);
        }
        mark
    }

    /// Appends a join; after a left one the alias may be null.
    pub(super) fn join(&mut self, join: &Join, left: bool) {
        self.sql.push_str(if left { " LEFT JOIN " } else { " JOIN " });
        self.source(&join.source, join.alias);
        self.sql.push_str(" ON ");
        match &join.on {
            Expr::Const(value) => self.sql.push_str(self.dialect.constant(*value)),
            on => self.expr(on),
        }
        let view = matches!(&join.source, Source::Table(name) if self.views.contains(name));
        if left || view {
            self.nullable.insert(join.alias);
        }
    }

    pub(super) fn source(&mut self, source: &Source, alias: Alias) {
        match source {
            Source::Table(name) => {
                if self.views.contains(name) {
                    self.computed.insert(alias);
                }
                self.dialect.ident(&mut self.sql, name);
                self.sql.push_str(" AS ");
                self.dialect.alias(&mut self.sql, alias);
            }
            Source::Each(of) => self.each(of, alias),
            Source::Literal(values) => {
                self.sql.push_str("(SELECT ");
                if values.is_empty() {
                    self.sql.push('1');
                }
                for (index, (column, value)) in values.iter().enumerate() {
                    if index > 0 {
                        self.sql.push(',');
                    }
                    let (before, after) = self.dialect.cast(column.ty);
                    self.sql.push_str(before);
                    self.param(value.clone());
                    self.sql.push_str(after);
                    self.sql.push_str(" AS ");
                    self.dialect.ident(&mut self.sql, &column.name);
                }
                self.sql.push_str(") AS ");
                self.dialect.alias(&mut self.sql, alias);
            }
        }
    }

    fn order(&mut self, select: &Select, shape: &Shape<'_>) {
        if select.sort.is_empty() {
            if self.ordered(select) && !by_ids(select) {
                self.sql.push_str(" ORDER BY ");
                self.column(Alias::BASE, self.dialect.insertion());
            }
            return;
        }
        let mut glue = " ORDER BY ";
        let mut unique = false;
        for Sort { by, descending } in &select.sort {
            match by {
                SortKey::Random => {
                    self.sql.push_str(glue);
                    self.sql.push_str("random()");
                    unique = true;
                }
                SortKey::Insertion if self.ordered(select) => {
                    self.sql.push_str(glue);
                    self.column(Alias::BASE, self.dialect.insertion());
                    self.sql.push_str(if *descending { " DESC" } else { "" });
                    unique = true;
                }
                SortKey::Insertion => continue,
                SortKey::Operand(operand) => {
                    self.sort_operand(operand, *descending, glue, shape);
                    unique |= matches!(operand, Operand::Column { alias: Alias::BASE, column } if column.ty == query::ColumnType::Id);
                }
            }
            glue = ",";
        }
        // SQLite falls back to its row order by itself; PostgreSQL's equal rows would come in any order and
        // tear pages apart.
        if self.dialect == Dialect::Postgres && !unique && self.ordered(select) {
            self.sql.push_str(glue);
            self.column(Alias::BASE, self.dialect.insertion());
        }
    }

    fn sort_operand(&mut self, operand: &Operand, descending: bool, glue: &str, shape: &Shape<'_>) {
        let used = Aliases::of_operand(operand);
        let inner = used.intersects(&shape.many);
        let mut glue = glue;
        for key in 0..self.sort_keys(operand) {
            self.sql.push_str(glue);
            glue = ",";
            let mut mark = None;
            if inner {
                // The key stands before its FROM, so its joins' nullability must be known early.
                let before = self.nullable.len();
                for join in wanted(&shape.inner, used.clone()) {
                    self.nullable.insert(join.alias);
                }
                self.sql.push_str("(SELECT ");
                self.sort_key(operand, key);
                self.nullable.truncate(before);
                self.sql.push(' ');
                self.numbered = true;
                // Rows that the filter leaves out, such as those that the caller may not see, have no say.
                let mut needed = used.clone();
                shape.joined.iter().for_each(|part| needed.add_expr(part));
                mark = Some(self.subquery_joins(&shape.inner, needed));
                self.numbered = false;
                self.joined_filter(shape);
                // Of several values the smallest, as the reference's plans come to; nulls are below all.
                self.sql.push_str(" ORDER BY 1");
                self.sql.push_str(if self.dialect == Dialect::Postgres { " NULLS FIRST" } else { "" });
                self.sql.push_str(" LIMIT 1)");
            } else {
                self.sort_key(operand, key);
            }
            if let Some(mark) = mark {
                self.nullable.truncate(mark);
            }
            self.sql.push_str(if descending { " DESC" } else { "" });
            // SQLite's nulls are its smallest values. Said of columns that hold none as well, because indexes are
            // made in this order, and one of another order is not used.
            if self.dialect == Dialect::Postgres {
                self.sql.push_str(if descending { " NULLS LAST" } else { " NULLS FIRST" });
            }
        }
    }

    /// Has the base an insertion order?
    fn ordered(&self, select: &Select) -> bool {
        matches!(&select.from, Source::Table(name) if !self.views.contains(name))
    }

    pub(super) fn column(&mut self, alias: Alias, name: &str) {
        self.dialect.alias(&mut self.sql, alias);
        self.sql.push('.');
        self.dialect.ident(&mut self.sql, name);
    }

    pub(super) fn param(&mut self, value: base::Value) {
        self.params.push(value);
        self.dialect.placeholder(&mut self.sql, self.params.len());
    }
}

/// Reads records by their ids: nobody relies on an order.
fn by_ids(select: &Select) -> bool {
    matches!(&select.filter, Expr::In { left: Operand::Column { alias: Alias::BASE, column }, .. }
        if column.ty == query::ColumnType::Id)
}

/// The joins that lead to the needed aliases, in their order.
fn wanted<'s>(joins: &[&'s Join], mut needed: Aliases) -> SmallVec<[&'s Join; 8]> {
    let mut out: SmallVec<[&Join; 8]> = SmallVec::new();
    for join in joins.iter().rev() {
        if needed.contains(join.alias) {
            out.push(join);
            let refers = Aliases::of_join(join);
            refers.for_each(|alias| needed.insert(alias));
        }
    }
    out.reverse();
    out
}

impl<'s> Shape<'s> {
    fn of(select: &'s Select, sorted: bool) -> Self {
        let mut shape = Shape {
            outer: SmallVec::new(),
            inner: SmallVec::new(),
            many: Aliases::default(),
            plain: SmallVec::new(),
            joined: SmallVec::new(),
        };
        let parts = match &select.filter {
            Expr::And(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        if select.joins.is_empty() {
            shape.plain.extend(parts);
            return shape;
        }
        let mut outer: SmallVec<[&Join; 8]> = SmallVec::new();
        for join in &select.joins {
            if join.many || Aliases::of_join(join).intersects(&shape.many) {
                shape.many.insert(join.alias);
                shape.inner.push(join);
            } else {
                outer.push(join);
            }
        }
        // A join that nothing refers to changes nothing: left joins of this kind neither add nor drop rows.
        let mut needed = Aliases::default();
        for part in parts {
            let used = Aliases::of_expr(part);
            if used.intersects(&shape.many) {
                shape.joined.push(part);
            } else {
                shape.plain.push(part);
            }
            used.for_each(|alias| needed.insert(alias));
        }
        if sorted {
            for sort in &select.sort {
                if let SortKey::Operand(operand) = &sort.by {
                    needed.add_operand(operand);
                }
            }
        }
        for join in wanted(&shape.inner, needed.clone()) {
            Aliases::of_join(join).for_each(|alias| needed.insert(alias));
        }
        shape.outer = wanted(&outer, needed);
        shape
    }
}
