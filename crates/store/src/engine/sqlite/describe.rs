//! Names a query's columns without running it.

use query::ColumnType;
use rusqlite::Connection;

use crate::engine::ViewColumn;
use crate::sql::outline;

pub fn describe(connection: &Connection, query: &str) -> rusqlite::Result<Vec<ViewColumn>> {
    let query = query.trim().trim_end_matches(';');
    // The way it will stand in the view, so that only one query passes.
    let statement = connection.prepare(&format!("SELECT * FROM ({query}\n)"))?;
    let types = outline::item_types(query);
    let same = types.len() == statement.column_count();
    Ok(statement
        .columns_with_metadata()
        .enumerate()
        .map(|(index, column)| ViewColumn {
            name: column.name().to_owned(),
            origin: column
                .table_name()
                .zip(column.origin_name())
                .map(|(table, origin)| (table.to_owned(), origin.to_owned())),
            // A `*` in the list shifts what follows: then the text tells nothing.
            ty: types.get(index).copied().filter(|_| same).unwrap_or(ColumnType::Dynamic),
        })
        .collect())
}
