//! How records stand in a file: a JSON object or a line of comma-separated texts each.

use base::Value;
use base::json::{number_text, write_number, write_string};
use model::{Collection, Field, Record};
use query::ColumnType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Jsonl,
    Csv,
}

impl Format {
    pub fn of(name: &str) -> Option<Format> {
        match name {
            "" | "jsonl" => Some(Format::Jsonl),
            "csv" => Some(Format::Csv),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jsonl => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }

    /// What stands before the records.
    pub fn head(self, collection: &Collection, out: &mut String) {
        if self == Format::Csv {
            let names: Vec<&str> =
                shown(collection).map(|position| &*collection.fields[position].name).collect();
            out.push_str(&names.join(","));
            out.push('\n');
        }
    }

    pub fn write(self, record: &Record, out: &mut String) {
        let collection = &record.collection;
        if self == Format::Jsonl {
            out.push('{');
        }
        for (index, position) in shown(collection).enumerate() {
            let zero;
            let value = match record.row.get(position) {
                Value::Null => {
                    zero = collection.table.columns[position].ty.zero();
                    &zero
                }
                value => value,
            };
            if index > 0 {
                out.push(',');
            }
            match self {
                Format::Jsonl => {
                    write_string(out, &collection.fields[position].name);
                    out.push(':');
                    write_json(value, out);
                }
                Format::Csv => write_cell(value, out),
            }
        }
        out.push_str(if self == Format::Jsonl { "}\n" } else { "\n" });
    }
}

/// The fields that an export holds: never what opens an account.
fn shown(collection: &Collection) -> impl Iterator<Item = usize> {
    collection.fields.iter().enumerate().filter_map(|(position, field)| {
        let opens = field.is_secret() || (collection.is_auth() && &*field.name == "tokenKey");
        (!opens).then_some(position)
    })
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(out, *number),
        Value::Text(text) => write_string(out, text),
        Value::Json(json) => out.push_str(json),
    }
}

fn write_cell(value: &Value, out: &mut String) {
    let number;
    let text = match value {
        Value::Null => "",
        Value::Bool(value) => ["false", "true"][usize::from(*value)],
        Value::Number(value) => {
            number = number_text(*value);
            &number
        }
        Value::Text(text) | Value::Json(text) => text,
    };
    // A line that is empty would be none.
    if text.contains(['"', ',', '\n', '\r']) || text.starts_with(char::is_whitespace) || text.is_empty() {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// The texts of a line, which may hold line breaks between quotes.
pub fn cells(line: &str) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let mut cell = String::new();
        match rest.strip_prefix('"') {
            Some(quoted) => {
                rest = quoted;
                loop {
                    let (text, behind) = rest.split_once('"').ok_or("A quote is not closed.")?;
                    cell.push_str(text);
                    rest = behind;
                    match rest.strip_prefix('"') {
                        Some(behind) => {
                            cell.push('"');
                            rest = behind;
                        }
                        None => break,
                    }
                }
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                cell.push_str(&rest[..end]);
                rest = &rest[end..];
                if cell.contains('"') {
                    return Err("A quote stands within a text that does not begin with one.".into());
                }
            }
        }
        cells.push(cell);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.is_empty() => return Ok(cells),
            None => return Err("A comma is missing behind a quote.".into()),
        }
    }
}

/// What a line says of a record's fields, by the names in the first one.
pub fn body(
    collection: &Collection,
    header: &[String],
    cells: Vec<String>,
) -> Result<Map<String, Json>, String> {
    if cells.len() != header.len() {
        return Err(format!("The row has {} values, and the first one {}.", cells.len(), header.len()));
    }
    let mut body = Map::new();
    for (name, cell) in header.iter().zip(cells) {
        let Some(position) = collection.position(name) else { continue };
        if let Some(value) = read_cell(&collection.fields[position], cell) {
            body.insert(name.clone(), value);
        }
    }
    Ok(body)
}

fn read_cell(field: &Field, cell: String) -> Option<Json> {
    // Nobody's password becomes empty because it is not told.
    if field.is_secret() && cell.is_empty() {
        return None;
    }
    Some(match field.column_type() {
        ColumnType::Id | ColumnType::Text | ColumnType::Date => Json::String(cell),
        ColumnType::Json | ColumnType::Dynamic if cell.is_empty() => Json::Null,
        _ => serde_json::from_str(&cell).unwrap_or(Json::String(cell)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_as_they_are_written() {
        for texts in
            [vec!["a", "", "c"], vec!["a,b", "say \"x\"", "two\nlines"], vec![" x", "\"", ""], vec![""]]
        {
            let mut line = String::new();
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    line.push(',');
                }
                write_cell(&Value::from(*text), &mut line);
            }
            assert_eq!(cells(&line).unwrap(), texts, "{line}");
        }
    }

    #[test]
    fn malformed_lines_are_refused() {
        for line in ["\"a", "\"a\"b", "a\"b", "\"a\"\"", "x,\"y\" ,z"] {
            assert!(cells(line).is_err(), "{line}");
        }
    }
}
