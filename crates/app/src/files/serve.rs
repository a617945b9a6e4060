//! Finding the file that an address names, for somebody who may see it.

use std::sync::Arc;

use backing::blob::Blob;
use model::field::FileField;
use model::{Collection, FieldKind, Record, Request};
use query::{Alias, ColumnType, Expr, Operand, Select};

use super::removal::any_is;
use super::{key, thumbs};
use crate::auth::token::{self, Purpose};
use crate::error::{Error, Result};
use crate::rules::Context;

/// A file to be sent.
pub struct Served {
    pub blob: Blob,
    /// The name to save it under.
    pub name: String,
    /// Empty when unknown.
    pub content_type: String,
    /// Whether everybody is shown it for as long as its record has it.
    pub is_public: bool,
}

/// What an address asks for.
pub struct Asked<'a> {
    pub record: &'a str,
    pub name: &'a str,
    /// A thumbnail's size; empty for the file itself.
    pub thumb: &'a str,
    /// A file token; empty for none.
    pub token: &'a str,
}

/// Whoever may not see a file learns no more than that it is not there.
pub async fn serve(cx: &Context<'_>, collection: &Arc<Collection>, asked: &Asked<'_>) -> Result<Served> {
    let record = cx.fetch(collection, asked.record).await?.ok_or_else(Error::not_found)?;
    let (field_name, field) = holding(&record, asked.name).ok_or_else(Error::not_found)?;
    if field.protected {
        check_protected(cx, &record, asked.token).await?;
    }
    // A view may lose the row though the record that the file belongs to stays as it is.
    let is_public = !field.protected && !collection.is_view();
    let (collection_id, record_id) = match collection.is_view() {
        true => origin(cx, collection, asked.name)
            .await?
            .ok_or_else(|| Error::not_found().details(format!("{field_name} shows no stored file")))?,
        false => (collection.id.to_string(), asked.record.to_string()),
    };
    let original = key(&collection_id, &record_id, asked.name)?;
    let blobs = cx.parts.blobs()?;
    if thumbs::is_offered(field, asked.thumb) {
        let name = format!("{}_{}", asked.thumb, asked.name);
        let folder = super::thumbs_folder(&collection_id, &record_id, asked.name)?;
        let thumb = format!("{folder}/{name}");
        if let Some(blob) = cx.parts.files.thumbs.find_or_make(&blobs, &original, &thumb, asked.thumb).await?
        {
            let content_type = blob.attributes.content_type.clone();
            return Ok(Served { blob, name, content_type, is_public });
        }
    }
    let blob = blobs.get(&original).await?;
    let content_type = blob.attributes.content_type.clone();
    Ok(Served { blob, name: asked.name.to_string(), content_type, is_public })
}

/// The file field that holds the name.
fn holding<'a>(record: &'a Record, name: &str) -> Option<(&'a str, &'a FileField)> {
    record.collection.fields.iter().enumerate().find_map(|(position, field)| match &field.kind {
        FieldKind::File(file) => {
            let held = record.row.get(position).to_list().iter().any(|held| held == name);
            held.then_some((&*field.name, file))
        }
        _ => None,
    })
}

/// The view rule, judged for the file token's owner and for nobody else.
async fn check_protected(cx: &Context<'_>, record: &Record, token: &str) -> Result<()> {
    let owner = match token.is_empty() {
        true => None,
        false => token::verify(cx, token, Purpose::File).await?.map(Arc::new),
    };
    let request = Request { context: "protectedFile", auth: owner, ..cx.request.clone() };
    let cx = cx.with_request(&request);
    let collection = &record.collection;
    // That only superusers may see it is no more than others may know.
    let rule = cx
        .required_rule(collection, &collection.view_rule)
        .map_err(|error| Error::not_found().details(error.details.unwrap_or(error.message)))?;
    match cx.passes(record, &rule).await? {
        true => Ok(()),
        false => Err(Error::not_found()),
    }
}

/// The collection and record whose file a view shows: of those that the view's query names, the one that holds it.
/// Names carry enough chance to be unique.
async fn origin(cx: &Context<'_>, view: &Collection, name: &str) -> Result<Option<(String, String)>> {
    let Some(query) = view.view_query() else { return Ok(None) };
    let query = query.to_lowercase();
    let schema = cx.schema.clone();
    let named = |collection: &&Arc<Collection>| {
        super::has_files(collection) && query.contains(&collection.name.to_lowercase())
    };
    for collection in schema.collections.iter().filter(named) {
        for (field, column) in collection.fields.iter().zip(&collection.table.columns) {
            if !matches!(field.kind, FieldKind::File(_)) {
                continue;
            }
            let own = Operand::column(Alias::BASE, column);
            let holds = match column.ty {
                ColumnType::List => any_is(own, name),
                _ => Expr::eq(own, base::Value::from(name)),
            };
            let select =
                Select::table(collection.name.clone(), vec![Collection::id_column()]).filter(holds).limit(1);
            if let Some(row) = cx.store().first(&select).await? {
                return Ok(Some((collection.id.to_string(), row.get(0).text_or_empty().to_string())));
            }
        }
    }
    Ok(None)
}
