//! File tokens: short-lived, for addresses that a browser loads by itself, and good for nothing else.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::Record;
use serde::{Deserialize, Serialize};

use crate::auth::token::{key_of, payload, signed_with};
use crate::error::{Error, Result};
use crate::parts::Parts;

const TYPE_FILE: &str = "file";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    collection_id: String,
    exp: i64,
    id: String,
    r#type: String,
}

/// A token with which files can be fetched in the record's name.
pub fn issue(parts: &Parts, record: &Record) -> Result<String> {
    let options = &record.collection.auth().ok_or_else(Error::bad_request)?.file_token;
    let claims = Claims {
        collection_id: record.collection.id.to_string(),
        exp: parts.clock.now().seconds() + options.duration,
        id: record.id().to_string(),
        r#type: TYPE_FILE.into(),
    };
    let key = EncodingKey::from_secret(key_of(record, options).as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| Error::bad_request().details(error))
}

/// Whose token it is; `None` when it is not (or no longer) good, or of another type.
pub(super) async fn owner(parts: &Parts, token: &str) -> Result<Option<Arc<Record>>> {
    let Some(claims) = payload::<Claims>(token) else { return Ok(None) };
    if claims.r#type != TYPE_FILE || claims.exp <= parts.clock.now().seconds() {
        return Ok(None);
    }
    let schema = parts.catalog.schema();
    let Some(collection) = schema.by_id(&claims.collection_id) else { return Ok(None) };
    let Some(options) = collection.auth() else { return Ok(None) };
    let Some(record) = parts.fetch(collection, &claims.id).await? else { return Ok(None) };
    let good = signed_with::<Claims>(token, &key_of(&record, &options.file_token));
    Ok(good.then(|| Arc::new(record)))
}
