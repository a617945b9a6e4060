//! The fields of a view, read off its query's text. The query itself is not judged here beyond what that needs;
//! whether it runs is the database's to say.

use base::Name;

use super::Collection;
use crate::field::{BoolField, Field, FieldKind, JsonField, NumberField, RelationField, TextField};
use crate::schema::Schema;

/// One selected column.
#[derive(Debug, PartialEq)]
struct Selected<'a> {
    name: String,
    expression: &'a str,
}

/// A table of the FROM clause under the name that columns know it by.
struct TableAlias {
    alias: String,
    /// Empty for a subquery.
    name: String,
}

/// Characters of the random end of a copied field's id.
const CLONE_SUFFIX_LEN: usize = 4;

impl Collection {
    /// Replaces the fields of a view by those that its query yields. On failure the fields are empty and the
    /// message says why; other collections are left alone.
    pub fn derive_view(&mut self, schema: &Schema) -> Result<(), String> {
        let super::CollectionKind::View { query } = &self.kind else { return Ok(()) };
        let derived = view_fields(query, &self.id, schema);
        let (fields, outcome) = match derived {
            Ok(fields) => (fields, Ok(())),
            Err(message) => (Vec::new(), Err(message)),
        };
        self.fields = fields;
        self.seal();
        outcome
    }
}

/// The fields that a query yields: copies of the fields that columns come from under fresh ids, relations for other
/// tables' ids, numbers, texts and booleans for counts and casts, and JSON for everything else.
pub fn view_fields(query: &str, own_id: &str, schema: &Schema) -> Result<Vec<Field>, String> {
    let query = strip_comments(query);
    let query = query.trim().trim_end_matches(';').trim();
    if split_top(query, |letter| letter == ';').is_ok_and(|parts| parts.len() > 1) {
        return Err("multiple statements are not supported".into());
    }
    let (body, opaque) = match query.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => (inner.trim(), true),
        None => (query, false),
    };
    let Some(select) = find_word(body, 0, &["select"]) else { return Ok(Vec::new()) };
    let start = select.1;
    let from = find_word(body, start, &["from"]);
    let columns = columns(body[start..from.map_or(body.len(), |from| from.0)].trim())?;
    let tables = match from {
        Some((_, end)) if !opaque => tables(&body[end..])?,
        _ => Vec::new(),
    };
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    for column in &columns {
        let mut field = field(column, &tables, own_id, schema);
        let repeated = fields.iter().filter(|other| other.name == field.name).count();
        if repeated > 0 {
            field.name = format!("{}:{repeated}", field.name).into();
        }
        fields.push(field);
    }
    Ok(fields)
}

fn field(column: &Selected<'_>, tables: &[TableAlias], own_id: &str, schema: &Schema) -> Field {
    let name = column.name.as_str();
    if name == "id" {
        let id = TextField { min: 0, max: 0, autogenerate_pattern: String::new(), ..TextField::id() };
        return Field { system: true, ..Field::new(name, FieldKind::Text(id)) };
    }
    if let Some(kind) = computed(column.expression) {
        return Field::new(name, kind);
    }
    if let Some((collection, origin)) = origin(column.expression, tables, schema)
        && *collection.id != *own_id
    {
        if &*origin.name == "id" {
            let relation = RelationField {
                collection_id: collection.id.to_string(),
                max_select: 1,
                ..RelationField::default()
            };
            return Field::new(name, FieldKind::Relation(relation));
        }
        let id = format!("_clone_{}", base::id::random(CLONE_SUFFIX_LEN, base::id::ALPHANUMERIC));
        return Field { id: id.into(), name: name.into(), ..origin.clone() };
    }
    // A limit of one byte: such a value is never written.
    Field::new(name, FieldKind::Json(JsonField { max_size: 1, ..JsonField::default() }))
}

/// The type of counts and casts.
fn computed(expression: &str) -> Option<FieldKind> {
    let lower = expression.to_ascii_lowercase();
    let number = |only_int| Some(FieldKind::Number(NumberField { only_int, ..NumberField::default() }));
    if lower.starts_with("count(") {
        return number(true);
    }
    if lower.starts_with("total(") {
        return number(false);
    }
    let target = lower.strip_prefix("cast(")?.strip_suffix(')')?.trim_end();
    let (before, target) = target.rsplit_once(char::is_whitespace)?;
    before.trim_end().ends_with(" as").then_some(())?;
    match target {
        "int" | "integer" => number(true),
        "real" | "numeric" | "decimal" => number(false),
        "text" => Some(FieldKind::Text(TextField::default())),
        "bool" | "boolean" => Some(FieldKind::Bool(BoolField::default())),
        _ => None,
    }
}

/// The field that a plain column is. A column without a table is looked for in the first table only.
fn origin<'a>(
    expression: &str,
    tables: &[TableAlias],
    schema: &'a Schema,
) -> Option<(&'a Collection, &'a Field)> {
    let parts: Vec<&str> = expression.split('.').map(unquote).collect();
    let (table, column) = match parts.as_slice() {
        [column] => (tables.first()?, column),
        [alias, column] => (tables.iter().find(|table| table.alias == *alias)?, column),
        _ => return None,
    };
    let collection = schema.collections.iter().find(|other| *other.name == *table.name)?;
    if expression.starts_with(['"', '\'']) && parts.len() == 1 && collection.field(column).is_none() {
        return None;
    }
    let field = collection.fields.iter().find(|field| field.name.eq_ignore_ascii_case(column))?;
    Some((collection, field))
}

fn columns(list: &str) -> Result<Vec<Selected<'_>>, String> {
    let list = ["distinct", "all"]
        .iter()
        .find_map(|word| match find_word(list, 0, &[word]) {
            Some((0, end)) => Some(list[end..].trim_start()),
            _ => None,
        })
        .unwrap_or(list);
    let mut columns = Vec::new();
    for part in split_top(list, |letter| letter == ',')? {
        let part = part.trim();
        let tokens: Vec<&str> =
            split_top(part, char::is_whitespace)?.into_iter().filter(|token| !token.is_empty()).collect();
        let (expression, alias) = match tokens.as_slice() {
            [] => continue,
            [expression] => (*expression, None),
            [expression, alias] => (*expression, Some(*alias)),
            [expression, word, alias] if word.eq_ignore_ascii_case("as") => (*expression, Some(*alias)),
            [_, word, _] => {
                let word = word.to_lowercase();
                return Err(format!("invalid identifier part - expected \"as\", got {word}"));
            }
            _ => return Err(format!("invalid identifier parts [{}]", tokens.join(" "))),
        };
        if expression == "*" || expression.ends_with(".*") {
            return Err(
                "wildcard columns (*) are not supported - manually type the collection field names you want the view query to have"
                    .into(),
            );
        }
        let name = match alias {
            Some(alias) => unquote(alias).to_owned(),
            None if expression.contains('(') => expression.to_owned(),
            None => unquote(expression.rsplit('.').next().unwrap_or_default()).to_owned(),
        };
        columns.push(Selected { name, expression });
    }
    Ok(columns)
}

/// The words that end the FROM clause.
const AFTER_FROM: [&str; 6] = ["where", "group", "having", "order", "limit", "window"];
/// The words that would join a second query, which has no place in a view.
const SET_WORDS: [&str; 3] = ["union", "except", "intersect"];
/// The words that stand between two tables.
const JOIN_WORDS: [&str; 8] = ["natural", "left", "right", "full", "inner", "cross", "outer", "join"];

fn tables(rest: &str) -> Result<Vec<TableAlias>, String> {
    if let Some((at, end)) = find_word(rest, 0, &SET_WORDS) {
        let word = rest[at..end].to_lowercase();
        return Err(format!("invalid identifier part - expected \"as\", got {word}"));
    }
    let end = find_word(rest, 0, &AFTER_FROM).map_or(rest.len(), |found| found.0);
    let clause = &rest[..end];
    let mut items = Vec::new();
    for part in split_top(clause, |letter| letter == ',').unwrap_or_default() {
        let mut start = 0;
        while let Some((at, after)) = find_word(part, start, &JOIN_WORDS) {
            items.push(&part[start..at]);
            start = after;
        }
        items.push(&part[start..]);
    }
    let mut tables = Vec::new();
    for item in items {
        let item = find_word(item, 0, &["on", "using"]).map_or(item, |found| &item[..found.0]);
        let tokens: Vec<&str> = split_top(item.trim(), char::is_whitespace)
            .unwrap_or_default()
            .into_iter()
            .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("as"))
            .collect();
        let Some(first) = tokens.first() else { continue };
        let name = if first.starts_with('(') { "" } else { unquote(first) };
        tables.push(TableAlias {
            alias: tokens.get(1).map_or(name, |alias| unquote(alias)).to_owned(),
            name: name.to_owned(),
        });
    }
    Ok(tables)
}

fn unquote(text: &str) -> &str {
    text.trim_matches(['`', '"', '\'', '[', ']'])
}

/// Walks over what is outside of quotes and parentheses.
struct Scan {
    depth: usize,
    quote: Option<char>,
}

impl Scan {
    fn new() -> Self {
        Scan { depth: 0, quote: None }
    }

    /// Whether the letter stands outside; brackets and quotes themselves do not.
    fn step(&mut self, letter: char) -> bool {
        match (self.quote, letter) {
            (Some(open), _) => {
                if letter == open {
                    self.quote = None;
                }
                false
            }
            (None, '\'' | '"' | '`') => {
                self.quote = Some(letter);
                false
            }
            (None, '[') => {
                self.quote = Some(']');
                false
            }
            (None, '(') => {
                self.depth += 1;
                false
            }
            (None, ')') => {
                self.depth = self.depth.saturating_sub(1);
                false
            }
            _ => self.depth == 0,
        }
    }
}

fn split_top(text: &str, separates: impl Fn(char) -> bool) -> Result<Vec<&str>, String> {
    let mut scan = Scan::new();
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        if scan.step(letter) && separates(letter) {
            parts.push(&text[start..at]);
            start = at + letter.len_utf8();
        }
    }
    if scan.depth > 0 || scan.quote.is_some() {
        return Err(format!("unbalanced parenthesis or quoted expression: {text:?}"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// Start and end of the first of these words, outside of quotes and parentheses.
fn find_word(text: &str, from: usize, words: &[&str]) -> Option<(usize, usize)> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.' || letter == '$';
    let mut scan = Scan::new();
    let mut before = None;
    for (at, letter) in text.char_indices().skip_while(|(at, _)| *at < from) {
        let outside = scan.step(letter);
        if outside && !before.is_some_and(is_part) {
            for word in words {
                let end = at + word.len();
                let found = text.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(word));
                if found && !text[end..].starts_with(is_part) {
                    return Some((at, end));
                }
            }
        }
        before = Some(letter);
    }
    None
}

/// Comments become single spaces.
fn strip_comments(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let mut quote = None;
    let mut rest = query;
    while let Some(letter) = rest.chars().next() {
        let comment_end = match quote {
            None if rest.starts_with("--") => Some(rest.find('\n').unwrap_or(rest.len())),
            None if rest.starts_with("/*") => Some(rest.find("*/").map_or(rest.len(), |end| end + 2)),
            _ => None,
        };
        if let Some(end) = comment_end {
            out.push(' ');
            rest = &rest[end..];
            continue;
        }
        match quote {
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '\'' | '"' | '`') => quote = Some(letter),
            _ => {}
        }
        out.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    out
}

/// Whether a query's rows may change by the clock, or by chance, alone. Read off the text: rather too often than too seldom.
pub fn is_timed(query: &str) -> bool {
    let query: String = strip_comments(query).to_lowercase().split_whitespace().collect();
    // Without a time they take the clock's.
    const BARE: [&str; 5] = ["date()", "time()", "datetime()", "julianday()", "unixepoch()"];
    const SAID: [&str; 4] = ["'now'", "\"now\"", "current_", "random"];
    let by_format = query.match_indices("strftime(").any(|(at, word)| {
        let rest = &query[at + word.len()..];
        !rest[..rest.find(')').unwrap_or(rest.len())].contains(',')
    });
    by_format || BARE.iter().chain(&SAID).any(|word| query.contains(word))
}

/// What a query must yield besides running: an id, and names that fields can have.
pub(super) fn check_view(query: &str, own_id: &Name, schema: &Schema) -> Option<String> {
    let fields = match view_fields(query, own_id, schema) {
        Ok(fields) => fields,
        Err(message) => return Some(message),
    };
    for (index, field) in fields.iter().enumerate() {
        if let Some(violation) = crate::field::check::check_name(&field.name, false) {
            let message = violation.message;
            let mut first = message.chars();
            let message = first.next().map(|letter| letter.to_ascii_lowercase()).into_iter().chain(first);
            let message: String = message.collect();
            return Some(format!("invalid field {:?} ({index}): name: {message}", &*field.name));
        }
    }
    (!fields.iter().any(|field| &*field.name == "id")).then(|| {
        "missing required id column (you can use `(ROW_NUMBER() OVER()) as id` if you don't have one)".into()
    })
}
