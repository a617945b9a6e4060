//! The provider's picture of a new user, taken over into a file field. The address is as good as the user's own
//! words, so it leads to the public internet only; a picture that cannot be had is done without.

use std::sync::Arc;

use backing::blob::Content;
use backing::fetch::{Call, Reach};
use base::Value;
use base::limits::AVATAR_BYTES_MAX;
use model::field::ValidateContext;
use model::{Collection, FieldKind};
use url::Url;

use crate::files::Uploads;
use crate::rules::Context;

/// Bytes that tell what a file is.
const HEAD_BYTES: usize = 3072;
/// What the file is called when its address does not say.
const NAME: &str = "avatar";

/// The picture as an upload for that field, if there is one and the field takes it.
pub(super) async fn bring(
    cx: &Context<'_>,
    collection: &Collection,
    field_name: &str,
    url: &str,
) -> Option<Arc<Uploads>> {
    let field = collection.field(field_name).filter(|field| matches!(field.kind, FieldKind::File(_)))?;
    if url.is_empty() {
        return None;
    }
    let call = Call { bytes_max: AVATAR_BYTES_MAX, ..Call::get(url, Reach::Public) };
    let answer = match cx.parts.fetch.send(call).await {
        Ok(answer) if answer.is_success() && !answer.body.is_empty() => answer,
        Ok(answer) => {
            tracing::debug!(url, status = answer.status, "no avatar");
            return None;
        }
        Err(error) => {
            tracing::debug!(url, %error, "no avatar");
            return None;
        }
    };
    let path = Url::parse(&answer.url).map(|url| url.path().to_owned()).unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(NAME);
    let mut uploads = Uploads::default();
    let head = &answer.body[..answer.body.len().min(HEAD_BYTES)];
    uploads.add(field_name.to_owned(), name, head, Content::Memory(answer.body.clone()));
    let stored = uploads.known().first().map(|upload| upload.name.clone()).unwrap_or_default();
    let value = if field.is_multiple() { Value::list(&[stored]) } else { Value::from(stored) };
    let judged = ValidateContext { old: None, uploads: uploads.known() };
    match field.validate(&value, &judged) {
        None => Some(Arc::new(uploads)),
        Some(violation) => {
            tracing::debug!(url, reason = violation.message, "no avatar");
            None
        }
    }
}
