//! The operations and guards of a batch as SQL.

use base::{Name, Value};
use query::batch::Assign;
use query::{Action, Alias, Claim, Guard, Job, Op, Select, Source};

use super::{Dialect, Renderer, Statement, Views};

/// The bookkeeping table of background jobs.
pub const JOBS: &str = "_pando_jobs";
/// Parameters of one statement, half of what PostgreSQL's protocol can count.
const PARAMS_MAX: usize = 32_767;

/// A guard of these operations as a statement that yields one truth value: does it hold?
pub fn guard(dialect: Dialect, views: &Views, guard: &Guard, index: usize, ops: &[Op]) -> Statement {
    let mut out = Renderer::new(dialect, views);
    // PostgreSQL's statements are sent without waiting for each other's answers, so a guard that does not hold
    // must fail by itself.
    out.sql.push_str(match dialect {
        Dialect::Sqlite => "SELECT ",
        Dialect::Postgres => "SELECT _pando.guard(",
    });
    match guard {
        Guard::Exists(select) => {
            // Two that share a row and then both want to change it wait for each other for ever.
            let changes = ops.iter().any(|op| match (op, &select.from) {
                (Op::Update { table, .. } | Op::Delete { table, .. }, Source::Table(of)) => table == of,
                _ => false,
            });
            out.exists(select, Some(if changes { "FOR NO KEY UPDATE" } else { "FOR SHARE" }));
        }
        Guard::Absent(select) => {
            out.sql.push_str("NOT ");
            out.exists(select, None);
        }
        Guard::Version(version) => {
            out.sql.push_str(dialect.schema_version());
            out.sql.push('=');
            out.param(Value::Number(*version as f64));
        }
    }
    if dialect == Dialect::Postgres {
        out.sql.push(',');
        out.param(Value::Number(index as f64));
        out.sql.push_str("::float8)");
    }
    out.finish()
}

pub fn op(dialect: Dialect, views: &Views, op: &Op) -> Statement {
    let mut out = Renderer::new(dialect, views);
    match op {
        Op::Insert { table, values } => insert(&mut out, table, values),
        Op::Update { table, id, set } => update(&mut out, table, id, set),
        Op::Delete { table, id, .. } => {
            out.sql.push_str("DELETE FROM ");
            dialect.ident(&mut out.sql, table);
            by_id(&mut out, id);
        }
        Op::DeleteWhere { table, filter } => {
            out.sql.push_str("DELETE FROM ");
            out.source(&query::Source::Table(table.clone()), Alias::BASE);
            out.sql.push_str(" WHERE ");
            out.expr(filter);
        }
    }
    out.finish()
}

/// Inserts into the same columns of one table as one statement; `None` when that is not what they are.
pub fn inserts(dialect: Dialect, views: &Views, ops: &[Op]) -> Option<Statement> {
    let (Op::Insert { table, values: first }, rest) = ops.split_first()? else { return None };
    if first.is_empty() || first.len() * ops.len() > PARAMS_MAX {
        return None;
    }
    let mut out = Renderer::new(dialect, views);
    for op in rest {
        let Op::Insert { table: other, values } = op else { return None };
        let same = values.len() == first.len() && values.iter().zip(first).all(|((a, _), (b, _))| a == b);
        if other != table || !same {
            return None;
        }
    }
    insert(&mut out, table, first);
    for op in rest {
        if let Op::Insert { values, .. } = op {
            out.sql.push(',');
            row(&mut out, values);
        }
    }
    Some(out.finish())
}

/// Is a record that is not there worth telling?
pub fn counts(op: &Op) -> bool {
    matches!(op, Op::Update { .. } | Op::Delete { .. })
}

pub fn job(dialect: Dialect, job: &Job) -> Statement {
    let views = Views::default();
    let mut out = Renderer::new(dialect, &views);
    let values: [(Name, Value); 4] = [
        ("queue".into(), Value::text(&*job.queue)),
        ("payload".into(), Value::text(&*job.payload)),
        ("priority".into(), Value::Number(job.priority.number())),
        ("due".into(), Value::Number(job.due.unwrap_or_default() as f64)),
    ];
    insert(&mut out, JOBS, &values);
    out.finish()
}

fn insert(out: &mut Renderer<'_>, table: &str, values: &[(Name, Value)]) {
    let dialect = out.dialect;
    out.sql.push_str("INSERT INTO ");
    dialect.ident(&mut out.sql, table);
    if values.is_empty() {
        out.sql.push_str(" DEFAULT VALUES");
        return;
    }
    for (index, (name, _)) in values.iter().enumerate() {
        out.sql.push_str(if index == 0 { " (" } else { "," });
        dialect.ident(&mut out.sql, name);
    }
    out.sql.push_str(") VALUES ");
    row(out, values);
}

fn row(out: &mut Renderer<'_>, values: &[(Name, Value)]) {
    for (index, (_, value)) in values.iter().enumerate() {
        out.sql.push(if index == 0 { '(' } else { ',' });
        out.param(value.clone());
    }
    out.sql.push(')');
}

fn update(out: &mut Renderer<'_>, table: &str, id: &str, set: &[(Name, Assign)]) {
    let dialect = out.dialect;
    out.sql.push_str("UPDATE ");
    dialect.ident(&mut out.sql, table);
    assign(out, set);
    by_id(out, id);
}

fn assign(out: &mut Renderer<'_>, set: &[(Name, Assign)]) {
    let dialect = out.dialect;
    out.sql.push_str(" SET ");
    if set.is_empty() {
        // Nothing to set, but whether the record is there must be told all the same.
        dialect.ident(&mut out.sql, "id");
        out.sql.push('=');
        dialect.ident(&mut out.sql, "id");
    }
    for (index, (name, assign)) in set.iter().enumerate() {
        if index > 0 {
            out.sql.push(',');
        }
        dialect.ident(&mut out.sql, name);
        out.sql.push('=');
        match assign {
            Assign::Set(value) => out.param(value.clone()),
            Assign::Add(number) => {
                dialect.ident(&mut out.sql, name);
                out.sql.push('+');
                out.param(Value::Number(*number));
            }
        }
    }
}

fn by_id(out: &mut Renderer<'_>, id: &str) {
    out.sql.push_str(" WHERE ");
    out.dialect.ident(&mut out.sql, "id");
    out.sql.push('=');
    out.param(Value::text(id));
}

/// Chooses rows, changes them and yields them.
pub fn claim(dialect: Dialect, views: &Views, claim: &Claim) -> Statement {
    let mut out = Renderer::new(dialect, views);
    match &claim.action {
        Action::Set(set) => {
            out.sql.push_str("UPDATE ");
            out.source(&Source::Table(claim.table.clone()), Alias::BASE);
            assign(&mut out, set);
        }
        Action::Delete => {
            out.sql.push_str("DELETE FROM ");
            out.source(&Source::Table(claim.table.clone()), Alias::BASE);
        }
    }
    out.sql.push_str(" WHERE ");
    match claim.limit {
        None => out.expr(&claim.filter),
        Some(limit) => chosen(&mut out, claim, limit),
    }
    out.sql.push_str(" RETURNING ");
    for (index, column) in claim.columns.iter().enumerate() {
        if index > 0 {
            out.sql.push(',');
        }
        dialect.ident(&mut out.sql, &column.name);
    }
    if claim.columns.is_empty() {
        out.sql.push('1');
    }
    out.finish()
}

/// That a row is one of the first that nobody else is changing.
fn chosen(out: &mut Renderer<'_>, claim: &Claim, limit: u64) {
    let id = query::Column::new("id", query::ColumnType::Id);
    let select = Select::table(claim.table.clone(), vec![id]).filter(claim.filter.clone()).limit(limit);
    let select = Select { sort: claim.sort.clone(), ..select };
    out.dialect.ident(&mut out.sql, "id");
    // As an array they are chosen once, whatever plan the statement gets.
    let (before, after) = match out.dialect {
        Dialect::Sqlite => (" IN (", ")"),
        Dialect::Postgres => ("=ANY(ARRAY(", " FOR NO KEY UPDATE SKIP LOCKED))"),
    };
    out.sql.push_str(before);
    out.rows(&select);
    out.sql.push_str(after);
}
