//! Passkeys: adding one, signing in with it, and the list of one's own. The challenge and its answer have the JSON
//! that browsers make and read (`parseCreationOptionsFromJSON`, `PublicKeyCredential.toJSON`).

use app::auth::login;
use app::auth::passkeys::{self, Challenge, Passkey};
use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::routing::{get, patch, post};
use serde_json::{Map, Value as Json, json};

use super::admitted;
use crate::body::text;
use crate::extract::{Asked, WithForm};
use crate::routes::with_fields;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    let path = |rest: &str| format!("/api/collections/{{collection}}/{rest}");
    Router::new()
        .route(&path("passkeys"), get(list))
        .route(&path("passkeys/register-begin"), post(register_begin))
        .route(&path("passkeys/register-finish"), post(register_finish))
        .route(&path("passkeys/{id}"), patch(rename).delete(remove))
        .route(&path("auth-with-passkey-begin"), post(login_begin))
        .route(&path("auth-with-passkey"), post(login_finish))
}

fn challenge(asked: &Asked, challenge: Challenge) -> Answer {
    let body = json!({"challengeId": challenge.id, "publicKey": challenge.public_key});
    with_fields(asked, body.to_string(), false)
}

fn shown(key: &Passkey) -> Json {
    json!({"id": key.id, "name": key.name, "created": key.created, "lastUsed": key.used})
}

fn credential(body: &Map<String, Json>) -> Json {
    body.get("credential").cloned().unwrap_or_default()
}

async fn register_begin(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    challenge(&asked, passkeys::register::begin(&cx, &collection).await?)
}

async fn register_finish(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let body = &asked.request.body;
    let (id, label) = (text(body, "challengeId")?, text(body, "name")?);
    let key = passkeys::register::finish(&cx, &collection, &id, credential(body), &label).await?;
    with_fields(&asked, shown(&key).to_string(), false)
}

async fn list(FromState(state): FromState<State>, Path(name): Path<String>, asked: Asked) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let keys = passkeys::manage::list(&cx, &collection).await?;
    let items: Vec<Json> = keys.iter().map(shown).collect();
    with_fields(&asked, json!({"items": items}).to_string(), false)
}

async fn rename(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let label = text(&asked.request.body, "name")?;
    let key = passkeys::manage::rename(&cx, &collection, &id, &label).await?;
    with_fields(&asked, shown(&key).to_string(), false)
}

async fn remove(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    passkeys::manage::remove(&cx, &collection, &id).await?;
    Ok(wire::answer::no_content())
}

async fn login_begin(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let identity = text(&asked.request.body, "identity")?;
    challenge(&asked, passkeys::login::begin(&cx, &collection, &identity).await?)
}

async fn login_finish(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(mut asked): WithForm,
) -> Answer {
    asked.request.context = "passkey";
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let body = &asked.request.body;
    let id = text(body, "challengeId")?;
    let done = passkeys::login::finish(&cx, &collection, &id, credential(body)).await?;
    admitted(&asked, &cx, done).await
}
