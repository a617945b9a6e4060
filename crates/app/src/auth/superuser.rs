//! Superusers made from the command line, beside or without a running server, and the one who makes the first of them in a
//! browser.

use std::sync::Arc;

use base::Value;
use base::limits::INSTALLER_TOKEN_SECONDS;
use model::collection::SUPERUSERS;
use model::{Collection, Record};
use query::{ColumnType, Expr, Op, Operand, Select};

use super::token::{self, Lasts};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::records;
use crate::rules::Context;

/// The reference's name for whoever installs. It is nobody's address, its password is known to nobody, and it is gone with
/// the commit that makes the first superuser.
const INSTALLER: &str = "__pbinstaller@example.com";
const INSTALLER_PASSWORD_LEN: usize = 30;

fn collection(parts: &Parts) -> Result<Arc<Collection>> {
    parts.catalog.schema().find(SUPERUSERS).cloned().ok_or_else(Error::not_found)
}

async fn find(cx: &Context<'_>, email: &str) -> Result<Option<Record>> {
    let collection = collection(cx.parts)?;
    let by_email = Expr::eq(Operand::base("email", ColumnType::Text), Value::from(email));
    let select =
        Select::table(collection.name.clone(), collection.table.columns.clone()).filter(by_email).limit(1);
    Ok(cx.select(&collection, &select).await?.into_iter().next())
}

/// Whether there is any besides whoever installs.
pub async fn any(parts: &Parts) -> Result<bool> {
    let collection = collection(parts)?;
    let installer = Expr::eq(Operand::base("email", ColumnType::Text), Value::from(INSTALLER));
    let others = Expr::Not(Box::new(installer));
    let select =
        Select::table(collection.name.clone(), vec![Collection::id_column()]).filter(others).limit(1);
    Ok(parts.store.first(&select).await?.is_some())
}

/// A token that lets somebody make the first superuser within half an hour. It ends with that.
pub async fn installer_token(parts: &Parts) -> Result<String> {
    let request = system(parts)?;
    let cx = Context::new(parts, &request);
    let installer = match find(&cx, INSTALLER).await? {
        Some(installer) => installer,
        None => {
            let password = base::id::random(INSTALLER_PASSWORD_LEN, base::id::ALPHANUMERIC);
            let created = create(parts, INSTALLER, &password).await;
            match find(&cx, INSTALLER).await? {
                // Also where another process was faster.
                Some(installer) => installer,
                None => return Err(created.err().unwrap_or_else(Error::not_found)),
            }
        }
    };
    token::issue(parts, &installer, Lasts::Fixed(INSTALLER_TOKEN_SECONDS))
}

/// What the commit of a new superuser takes along: whoever installs is needed no more.
pub(crate) async fn retire_installer(cx: &Context<'_>, newcomer: &Record) -> Result<Option<Op>> {
    if newcomer.text("email") == INSTALLER {
        return Ok(None);
    }
    let found = find(cx, INSTALLER).await?;
    Ok(found.map(|installer| {
        let (table, id) = (installer.collection.name.clone(), installer.id().into());
        Op::Delete { table, id, row: None }
    }))
}

pub async fn create(parts: &Parts, email: &str, password: &str) -> Result<()> {
    let collection = collection(parts)?;
    let request = form(parts, email, password)?;
    records::create::create(&Context::new(parts, &request), &collection, &[]).await.map(drop)
}

/// Sets a new password.
pub async fn update(parts: &Parts, email: &str, password: &str) -> Result<()> {
    let request = form(parts, email, password)?;
    let cx = Context::new(parts, &request);
    let record = find(&cx, email).await?.ok_or_else(Error::not_found)?;
    records::update::update(&cx, &record.collection, record.id(), &[]).await.map(drop)
}

pub async fn upsert(parts: &Parts, email: &str, password: &str) -> Result<()> {
    let request = system(parts)?;
    match find(&Context::new(parts, &request), email).await? {
        Some(_) => update(parts, email, password).await,
        None => create(parts, email, password).await,
    }
}

pub async fn delete(parts: &Parts, email: &str) -> Result<()> {
    let request = system(parts)?;
    let cx = Context::new(parts, &request);
    let record = find(&cx, email).await?.ok_or_else(Error::not_found)?;
    records::delete::delete(&cx, &record.collection, record.id()).await
}

/// A request with the rights of a superuser, made by nobody over HTTP.
pub fn system(parts: &Parts) -> Result<model::Request> {
    let record = Record::blank(collection(parts)?);
    Ok(model::Request { auth: Some(Arc::new(record)), ..model::Request::default() })
}

fn form(parts: &Parts, email: &str, password: &str) -> Result<model::Request> {
    let mut request = system(parts)?;
    for (key, text) in [("email", email), ("password", password), ("passwordConfirm", password)] {
        request.body.insert(key.into(), text.into());
    }
    Ok(request)
}
