//! The caller's own keys: seen, named and taken away.

use std::sync::Arc;

use base::Kind;
use model::{Collection, Record};
use query::Batch;

use super::register::check_name;
use super::stored::{self, Passkey};
use crate::error::{Error, Result};
use crate::rules::Context;

/// The caller, if it is one of the collection.
pub(super) fn caller(cx: &Context<'_>, collection: &Arc<Collection>) -> Result<Record> {
    let caller = cx.request.auth.as_ref().ok_or_else(Error::unauthenticated)?;
    match caller.collection.id == collection.id {
        true => Ok((**caller).clone()),
        false => Err(Error::new(
            Kind::Forbidden,
            format!("The request requires auth record from {} collection.", collection.name),
        )),
    }
}

pub async fn list(cx: &Context<'_>, collection: &Arc<Collection>) -> Result<Vec<Passkey>> {
    stored::all(cx, &caller(cx, collection)?).await
}

pub async fn rename(cx: &Context<'_>, collection: &Arc<Collection>, id: &str, name: &str) -> Result<Passkey> {
    let record = caller(cx, collection)?;
    check_name(name)?;
    let mut key = stored::one(cx, &record, id).await?.ok_or_else(Error::not_found)?;
    cx.store().commit(Batch::op(stored::update(id, &[("name", name)]))).await?;
    key.name = name.to_owned();
    Ok(key)
}

pub async fn remove(cx: &Context<'_>, collection: &Arc<Collection>, id: &str) -> Result<()> {
    let record = caller(cx, collection)?;
    stored::one(cx, &record, id).await?.ok_or_else(Error::not_found)?;
    cx.store().commit(Batch::op(stored::deletion(id))).await?;
    Ok(())
}
