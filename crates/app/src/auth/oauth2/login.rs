//! Signing in with a provider: whose account it is, and what must not stay with it.

use std::sync::Arc;

use base::{Kind, Value};
use model::{Collection, FieldKind, Record, Violation, Violations};
use query::{Batch, Expr, Op, Operand, Select};
use serde_json::{Map, Value as Json};

use super::avatar;
use super::exchange::{Code, Exchange, Token};
use super::providers;
use super::user::RemoteUser;
use crate::auth::login::{Admitted, Method, admit};
use crate::auth::owned::{self, is};
use crate::auth::{passkeys, password};
use crate::error::{Error, Result};
use crate::records::create::{Newcomer, create_as};
use crate::rules::Context;

const LINKS: &str = "_externalAuths";
const FAILED: &str = "Failed to authenticate.";
const UNREADABLE: &str = "An error occurred while loading the submitted data.";
/// Characters of a provider's name.
const PROVIDER_CHARS_MAX: usize = 100;
/// How often a sign-in starts over because another one of the same user was faster.
const TRIES_MAX: usize = 2;

pub struct Form {
    pub provider: String,
    pub code: String,
    pub code_verifier: String,
    pub redirect_url: String,
    /// What a new record gets besides.
    pub create_data: Map<String, Json>,
}

/// A sign-in that a provider has vouched for.
pub struct Signed {
    pub admitted: Admitted,
    pub user: RemoteUser,
    pub token: Token,
    pub is_new: bool,
}

/// Refuses collections that know no OAuth2.
pub fn check_enabled(collection: &Collection) -> Result<()> {
    match collection.auth().is_some_and(|options| options.oauth2.enabled) {
        true => Ok(()),
        false => Err(Error::new(
            Kind::Forbidden,
            "The collection is not configured to allow OAuth2 authentication.",
        )),
    }
}

pub async fn with_oauth2(cx: &Context<'_>, collection: &Arc<Collection>, form: Form) -> Result<Signed> {
    check_enabled(collection)?;
    let options = &collection.auth().ok_or_else(Error::not_found)?.oauth2;
    let config = options.providers.iter().find(|config| config.name == form.provider);
    let provider = providers::find(&form.provider);
    let (Some(config), Some(provider)) = (config, provider) else {
        return Err(refused(&form, Some(unknown(&form.provider))));
    };
    if form.code.is_empty() {
        return Err(refused(&form, None));
    }
    let exchange = Exchange { fetch: &cx.parts.fetch, provider, config, now: cx.parts.clock.now() };
    let code = Code { code: &form.code, verifier: &form.code_verifier, redirect_url: &form.redirect_url };
    let token = exchange.token(&code).await?;
    let user = exchange.user(&token).await?;

    let (record, is_new) = settle(cx, collection, &form, &user).await?;
    let admitted = admit(cx, record, Method::OAuth2).await?;
    Ok(Signed { admitted, user, token, is_new })
}

fn unknown(name: &str) -> Violation {
    if name.is_empty() {
        return Violation::required();
    }
    if name.chars().count() > PROVIDER_CHARS_MAX {
        let message = format!("The length must be no more than {PROVIDER_CHARS_MAX}.");
        return Violation::new("validation_length_too_long", message)
            .with("max", PROVIDER_CHARS_MAX)
            .with("min", 0);
    }
    let message = format!("Provider with name {name} is missing or is not enabled.");
    Violation::new("validation_invalid_provider", message).with("name", name)
}

fn refused(form: &Form, provider: Option<Violation>) -> Error {
    let mut violations = Violations::default();
    if form.code.is_empty() {
        violations.add("code", Violation::required());
    }
    if let Some(violation) = provider {
        violations.add("provider", violation);
    }
    Error::invalid(UNREADABLE, violations)
}

/// The user's record, made or linked as needed, and whether it is new.
async fn settle(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: &Form,
    user: &RemoteUser,
) -> Result<(Record, bool)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let done = match whose(cx, collection, &form.provider, user).await? {
            Some(found) => take(cx, found, &form.provider, user).await.map(|record| (record, false)),
            None => make(cx, collection, form, user).await.map(|record| (record, true)),
        };
        match done {
            // Somebody linked this very user in between: then there is a record now.
            Err(error) if error.violations.0.contains_key("providerId") && !user.id.is_empty() => {
                if tries >= TRIES_MAX {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}

/// An existing record, and how it was found.
struct Found {
    record: Record,
    linked: bool,
    is_caller: bool,
}

async fn whose(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    provider: &str,
    user: &RemoteUser,
) -> Result<Option<Found>> {
    let caller = cx.request.auth.as_ref().filter(|caller| caller.collection.id == collection.id);
    let is_caller = |record: &Record| caller.is_some_and(|caller| caller.id() == record.id());
    if !user.id.is_empty()
        && let Some(links) = cx.collection(LINKS)
    {
        let wanted =
            [("collectionRef", &*collection.id), ("provider", provider), ("providerId", user.id.as_str())];
        let by = wanted.map(|(name, value)| is(name, value));
        let select = Select::table(links.name.clone(), links.table.columns.clone()).filter(Expr::and(by));
        if let Some(link) = cx.select(&links, &select.limit(1)).await?.first()
            && let Some(record) = cx.fetch(collection, link.text("recordRef")).await?
        {
            return Ok(Some(Found { is_caller: is_caller(&record), record, linked: true }));
        }
    }
    if let Some(caller) = caller {
        return Ok(Some(Found { record: (**caller).clone(), linked: false, is_caller: true }));
    }
    // An address that the provider does not vouch for leads to nobody's account.
    if user.email.is_empty() || !user.email_proven {
        return Ok(None);
    }
    let select = Select::table(collection.name.clone(), collection.table.columns.clone())
        .filter(is("email", &user.email))
        .limit(1);
    let found = cx.select(collection, &select).await?.into_iter().next();
    Ok(found.map(|record| Found { record, linked: false, is_caller: false }))
}

/// Signs in to an existing record. One whose address nobody has proven may have been made by somebody else in
/// wait for its owner: what that somebody could come back with ends here.
async fn take(cx: &Context<'_>, found: Found, provider: &str, user: &RemoteUser) -> Result<Record> {
    let Found { record: old, linked, is_caller } = found;
    let mut record = old.clone();
    let mut ops = Vec::new();
    let mut linked = linked;
    if !old.get("verified").as_bool() {
        ops.push(Op::DeleteWhere { table: LINKS.into(), filter: owned::of(&old) });
        ops.push(passkeys::forget(&old));
        linked = false;
        if !is_caller {
            record.set("password", password::nobodys());
        }
    }
    let proven = if user.email_proven { user.email.as_str() } else { "" };
    if old.text("email").is_empty() && !proven.is_empty() {
        record.set("email", Value::from(proven));
    }
    if !proven.is_empty() && record.text("email") == proven {
        record.set("verified", Value::Bool(true));
    }
    if record != old {
        cx.generate(&mut record, false);
        cx.seal_password(&mut record, Some(&old)).await?;
        ops.extend(cx.changes(&record, &old).await?);
    }
    if !linked {
        ops.push(link(cx, &record, provider, &user.id)?);
    }
    if ops.is_empty() {
        return Ok(record);
    }
    let committed = cx.commit_record(&record, Batch { ops, ..Batch::default() }, FAILED).await?;
    // Only the record's own update can be missing: somebody deleted it in between.
    match committed.missing.is_empty() {
        true => Ok(record),
        false => Err(Error::new(Kind::Invalid, FAILED).details("the record is gone")),
    }
}

fn link(cx: &Context<'_>, record: &Record, provider: &str, id: &str) -> Result<Op> {
    if id.is_empty() {
        return Err(Error::invalid(FAILED, Violations::one("providerId", Violation::required())));
    }
    let mut link = owned::blank(cx, LINKS, record)?;
    for (name, value) in [("provider", provider), ("providerId", id)] {
        link.set(name, Value::from(value));
    }
    Ok(cx.insertion(&link))
}

/// Signs up: the create rule and the fields' own checks decide, as for any other new record.
async fn make(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: &Form,
    user: &RemoteUser,
) -> Result<Record> {
    let mut request = cx.request.clone();
    request.body = profile(cx, collection, form, user).await?;
    let field = collection.auth().map(|options| options.oauth2.mapped_avatar.as_str()).unwrap_or_default();
    let picture = match request.body.contains_key(field) {
        true => None,
        false => avatar::bring(cx, collection, field, &user.avatar_url).await,
    };
    let cx = cx.with_request(&request);
    let cx = &match picture {
        Some(picture) => cx.with_uploads(picture),
        None => cx,
    };
    let verified = |record: &Record| user.email_proven && record.text("email") == user.email;
    let extra = |record: &Record| Ok(vec![link(cx, record, &form.provider, &user.id)?]);
    create_as(cx, collection, Newcomer { verified: &verified, extra: &extra }).await
}

/// What a new record is made of: the client's own words first, then the provider's.
async fn profile(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: &Form,
    user: &RemoteUser,
) -> Result<Map<String, Json>> {
    let mut body = form.create_data.clone();
    if body.get("email").and_then(Json::as_str).unwrap_or_default().is_empty() {
        body.insert("email".into(), user.email.as_str().into());
    }
    let Some(options) = collection.auth().map(|options| &options.oauth2) else { return Ok(body) };
    let plain = [
        (&options.mapped_id, &user.id),
        (&options.mapped_name, &user.name),
        (&options.mapped_avatar, &user.avatar_url),
    ];
    for (field, value) in plain {
        let is_file = matches!(collection.field(field).map(|field| &field.kind), Some(FieldKind::File(_)));
        if !field.is_empty() && !value.is_empty() && !is_file && !body.contains_key(field) {
            body.insert(field.clone(), value.as_str().into());
        }
    }
    let field = &options.mapped_username;
    if !field.is_empty()
        && !body.contains_key(field)
        && is_free(cx, collection, field, &user.username).await?
    {
        body.insert(field.clone(), user.username.as_str().into());
    }
    Ok(body)
}

/// Whether a name fits the field and is nobody else's yet. One that does not is left out rather than refused.
async fn is_free(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    field: &str,
    username: &str,
) -> Result<bool> {
    let (Some(field), Some(column)) = (collection.field(field), collection.column(field)) else {
        return Ok(false);
    };
    if username.is_empty() {
        return Ok(false);
    }
    let value = field.prepare(&Json::from(username));
    if field.validate(&value, &model::field::ValidateContext::default()).is_some() {
        return Ok(false);
    }
    if !collection.has_unique_index(&field.name) {
        return Ok(true);
    }
    let own = Operand::column(query::Alias::BASE, column);
    let taken = match collection.has_nocase_index(&field.name) {
        true => Expr::eq(Operand::Lower(Box::new(own)), Value::from(username.to_ascii_lowercase())),
        false => Expr::eq(own, value),
    };
    let select = Select::table(collection.name.clone(), vec![Collection::id_column()]).filter(taken).limit(1);
    Ok(cx.store().first(&select).await?.is_none())
}
