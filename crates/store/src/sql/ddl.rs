//! Schema changes as SQL. What an engine must look up first (which indexes and views a column has) it does
//! itself, around these statements.

use query::ddl::{Index, IndexColumn};
use query::{Column, ColumnType, Ddl, Table};

use super::dialect::Dialect;
use super::translate::to_postgres;
use crate::error::{Error, Result};

/// The statements of one change, in order. Constant text: schema changes take no parameters.
pub fn statements(dialect: Dialect, ddl: &Ddl) -> Result<Vec<String>> {
    let mut out = Sql { dialect, text: String::new() };
    match ddl {
        Ddl::CreateTable(table) => out.create_table(table),
        // SQLite takes a name in other letters for the table's own and refuses it.
        Ddl::RenameTable { from, to } if dialect == Dialect::Sqlite && from.eq_ignore_ascii_case(to) => {
            let passing: base::Name = "_pando_renamed".into();
            let mut both =
                statements(dialect, &Ddl::RenameTable { from: from.clone(), to: passing.clone() })?;
            both.extend(statements(dialect, &Ddl::RenameTable { from: passing, to: to.clone() })?);
            return Ok(both);
        }
        Ddl::RenameTable { from, to } => out.push("ALTER TABLE ").name(from).push(" RENAME TO ").name(to),
        Ddl::DropTable(name) => out.push("DROP TABLE IF EXISTS ").name(name),
        Ddl::AddColumn { table, column } => {
            out.push("ALTER TABLE ").name(table).push(" ADD COLUMN ").column(column)
        }
        Ddl::RenameColumn { table, from, to } => {
            out.push("ALTER TABLE ").name(table).push(" RENAME COLUMN ").name(from).push(" TO ").name(to)
        }
        Ddl::DropColumn { table, column } => {
            out.push("ALTER TABLE ").name(table).push(" DROP COLUMN ").name(column)
        }
        Ddl::RetypeColumn { table, column, from } => {
            return Ok(match dialect {
                Dialect::Sqlite => retype_sqlite(table, column, *from),
                Dialect::Postgres => retype_postgres(table, column, *from),
            });
        }
        Ddl::CreateIndex(index) => out.create_index(index)?,
        Ddl::DropIndex { name } => out.push("DROP INDEX IF EXISTS ").name(name),
        Ddl::CreateView { name, query } => {
            let query = query.trim().trim_end_matches(';');
            let query = match dialect {
                Dialect::Sqlite => query.to_owned(),
                Dialect::Postgres => to_postgres(query)?,
            };
            // Wrapped, so that the text cannot be anything but one query.
            out.push("CREATE VIEW ").name(name).push(" AS SELECT * FROM (").push(&query).push("\n)");
            if dialect == Dialect::Postgres { out.push(" AS q") } else { &mut out }
        }
        Ddl::DropView(name) => out.push("DROP VIEW IF EXISTS ").name(name),
        Ddl::Announce => return Ok(Vec::new()),
    };
    Ok(vec![out.text])
}

struct Sql {
    dialect: Dialect,
    text: String,
}

impl Sql {
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn name(&mut self, name: &str) -> &mut Self {
        self.dialect.ident(&mut self.text, name);
        self
    }

    fn column(&mut self, column: &Column) -> &mut Self {
        let definition = self.dialect.definition(column.ty);
        self.name(&column.name).push(" ").push(definition)
    }

    fn create_table(&mut self, table: &Table) -> &mut Self {
        self.push("CREATE TABLE ").name(&table.name).push(" (");
        for (index, column) in table.columns.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.column(column);
        }
        if self.dialect == Dialect::Postgres {
            if !table.columns.is_empty() {
                self.push(", ");
            }
            self.push("\"_pando_seq\" bigint GENERATED ALWAYS AS IDENTITY UNIQUE");
        }
        self.push(")")
    }

    fn create_index(&mut self, index: &Index) -> Result<&mut Self> {
        self.push(if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " });
        self.name(&index.name).push(" ON ").name(&index.table).push(" (");
        for (position, column) in index.columns.iter().enumerate() {
            if position > 0 {
                self.push(", ");
            }
            self.index_column(column)?;
        }
        self.push(")");
        if !index.filter.is_empty() {
            let filter = match self.dialect {
                Dialect::Sqlite => index.filter.to_string(),
                Dialect::Postgres => to_postgres(&index.filter)?,
            };
            self.push(" WHERE ").push(&filter);
        }
        Ok(self)
    }

    fn index_column(&mut self, column: &IndexColumn) -> Result<()> {
        let plain = is_name(&column.expr);
        match self.dialect {
            Dialect::Sqlite => {
                if plain {
                    self.name(&column.expr);
                } else {
                    self.push(&column.expr);
                }
                if !column.collate.is_empty() {
                    self.push(" COLLATE ").name(&column.collate);
                }
            }
            Dialect::Postgres => {
                let nocase = match column.collate.to_ascii_uppercase().as_str() {
                    "" | "BINARY" => false,
                    "NOCASE" => true,
                    other => {
                        return Err(Error::Refused(format!("PostgreSQL has no collation {other}")));
                    }
                };
                self.push(if nocase { "lower(" } else { "" });
                if plain {
                    self.name(&column.expr);
                } else {
                    let expr = to_postgres(&column.expr)?;
                    self.push("(").push(&expr).push(")");
                }
                self.push(if nocase { ")" } else { "" });
            }
        }
        if column.descending {
            self.push(" DESC");
        }
        // The order in which nulls (unset dates) sort as the empty text would.
        if self.dialect == Dialect::Postgres {
            self.push(if column.descending { " NULLS LAST" } else { " NULLS FIRST" });
        }
        Ok(())
    }
}

/// A plain name, as opposed to an expression.
pub fn is_name(text: &str) -> bool {
    !text.chars().any(|c| "()'`\"[]+-*/|<>=,.;: ".contains(c))
}

/// SQLite cannot change a column's type: a new column takes the values and then the name. A column that comes
/// last after it is what the reference does as well.
fn retype_sqlite(table: &str, column: &Column, from: ColumnType) -> Vec<String> {
    let quote = |name: &str| {
        let mut out = String::new();
        Dialect::Sqlite.ident(&mut out, name);
        out
    };
    let (table, name, fresh) = (quote(table), quote(&column.name), quote("_pando_retyped"));
    let definition = Dialect::Sqlite.definition(column.ty);
    let array = format!("iif(json_valid({name}),json_type({name}),'')='array'");
    let empty = format!("COALESCE({name},'')=''");
    let value = match column.ty {
        ColumnType::Id | ColumnType::Text => match from {
            ColumnType::List | ColumnType::Json | ColumnType::Dynamic => format!(
                "CASE WHEN {empty} THEN '' WHEN {array} THEN COALESCE(json_extract({name},'$[#-1]'),'') \
                 WHEN json_valid({name}) THEN COALESCE(json_extract({name},'$'),'') ELSE {name} END"
            ),
            ColumnType::Bool => format!("iif({name},'true','false')"),
            ColumnType::Number => format!("pando_text({name})"),
            _ => format!("COALESCE({name},'')"),
        },
        ColumnType::Number => format!("COALESCE(pando_number({name}),0)"),
        ColumnType::Bool => {
            format!("(COALESCE(pando_number({name}),0)<>0 OR lower({name}) IN ('true','t'))")
        }
        ColumnType::Date => format!("pando_date({name})"),
        ColumnType::Json | ColumnType::Dynamic => match from {
            ColumnType::Bool => format!("iif({name},'true','false')"),
            _ => format!(
                "CASE WHEN {empty} THEN NULL WHEN json_valid({name}) THEN {name} ELSE json_quote({name}) END"
            ),
        },
        ColumnType::List => {
            let document = matches!(from, ColumnType::Json | ColumnType::Dynamic);
            let json = if document {
                format!("WHEN json_valid({name}) THEN json_array(json({name})) ")
            } else {
                String::new()
            };
            format!("CASE WHEN {empty} THEN '[]' WHEN {array} THEN {name} {json}ELSE json_array({name}) END")
        }
        ColumnType::Point => format!(
            "iif(iif(json_valid({name}),json_type({name},'$.lon') IN ('integer','real') AND \
             json_type({name},'$.lat') IN ('integer','real'),0),{name},'{{\"lon\":0,\"lat\":0}}')"
        ),
    };
    vec![
        format!("ALTER TABLE {table} ADD COLUMN {fresh} {definition}"),
        format!("UPDATE {table} SET {fresh}={value}"),
        format!("ALTER TABLE {table} DROP COLUMN {name}"),
        format!("ALTER TABLE {table} RENAME COLUMN {fresh} TO {name}"),
    ]
}

fn retype_postgres(table: &str, column: &Column, from: ColumnType) -> Vec<String> {
    let quote = |name: &str| {
        let mut out = String::new();
        Dialect::Postgres.ident(&mut out, name);
        out
    };
    let (table, name) = (quote(table), quote(&column.name));
    let text = match from {
        ColumnType::Id | ColumnType::Text => name.clone(),
        ColumnType::Number => format!("_pando.number_text({name})"),
        ColumnType::Bool => format!("({name})::text"),
        ColumnType::Date => format!("_pando.date_text({name})"),
        ColumnType::Json | ColumnType::Dynamic | ColumnType::List => {
            format!("_pando.last_text(({name})::jsonb)")
        }
        ColumnType::Point => format!("_pando.point_text({name})"),
    };
    let value = match column.ty {
        ColumnType::Id | ColumnType::Text => format!("COALESCE({text},'')"),
        ColumnType::Number if from == ColumnType::Bool => format!("({name})::int::float8"),
        ColumnType::Number => format!("COALESCE(_pando.text_number({text}),0)"),
        ColumnType::Bool => {
            format!("(COALESCE(_pando.text_number({text}),0)<>0 OR lower({text}) IN ('true','t'))")
        }
        ColumnType::Date => format!("_pando.text_date({text})"),
        ColumnType::Json | ColumnType::Dynamic => match from {
            ColumnType::List | ColumnType::Json => format!("({name})::json"),
            ColumnType::Point => format!("({text})::json"),
            _ => format!(
                "CASE WHEN {text}='' THEN NULL ELSE COALESCE(_pando.to_json({text}),to_json({text})) END"
            ),
        },
        ColumnType::List => match from {
            ColumnType::Json => format!("_pando.text_list(({name})#>>'{{}}')"),
            _ => format!("_pando.text_list({text})"),
        },
        ColumnType::Point => format!("_pando.text_point({text})"),
    };
    let definition = Dialect::Postgres.definition(column.ty);
    let ty = definition.split(" DEFAULT").next().unwrap_or(definition);
    let default = definition.split("DEFAULT ").nth(1).unwrap_or("NULL");
    let (default, null) = match default.strip_suffix(" NOT NULL") {
        Some(default) => (default, "SET NOT NULL"),
        None => (default, "DROP NOT NULL"),
    };
    vec![
        format!("ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT, ALTER COLUMN {name} DROP NOT NULL"),
        format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {ty} USING {value}"),
        format!("ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {default}, ALTER COLUMN {name} {null}"),
    ]
}
