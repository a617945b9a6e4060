//! Passkeys: adding one, signing in with it, and the list of one's own. The challenge and its answer have the JSON
//! that browsers make and read (`parseCreationOptionsFromJSON`, `PublicKeyCredential.toJSON`).

use app::auth::login;
use app::auth::passkeys::{self, Challenge, Passkey};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::Response;
use axum::routing::{get, patch, post};
use serde_json::{Map, Value as Json, json};

use super::{admitted, answer, text, with_form};
use crate::extract::Asked;
use crate::routes::with_fields;
use crate::state::State;
use crate::wire;

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

fn challenge(asked: &Asked, challenge: Challenge) -> app::Result<Response<Body>> {
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
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = with_form(&state, request).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        challenge(&asked, passkeys::register::begin(&cx, &collection).await?)
    })
    .await
}

async fn register_finish(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = with_form(&state, request).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let body = &asked.request.body;
        let (id, label) = (text(body, "challengeId")?, text(body, "name")?);
        let key = passkeys::register::finish(&cx, &collection, &id, credential(body), &label).await?;
        with_fields(&asked, shown(&key).to_string(), false)
    })
    .await
}

async fn list(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let keys = passkeys::manage::list(&cx, &collection).await?;
        let items: Vec<Json> = keys.iter().map(shown).collect();
        with_fields(&asked, json!({"items": items}).to_string(), false)
    })
    .await
}

async fn rename(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = with_form(&state, request).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let label = text(&asked.request.body, "name")?;
        let key = passkeys::manage::rename(&cx, &collection, &id, &label).await?;
        with_fields(&asked, shown(&key).to_string(), false)
    })
    .await
}

async fn remove(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        passkeys::manage::remove(&cx, &collection, &id).await?;
        Ok(wire::answer::no_content())
    })
    .await
}

async fn login_begin(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = with_form(&state, request).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let identity = text(&asked.request.body, "identity")?;
        challenge(&asked, passkeys::login::begin(&cx, &collection, &identity).await?)
    })
    .await
}

async fn login_finish(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let mut asked = with_form(&state, request).await?;
        asked.request.context = "passkey";
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let body = &asked.request.body;
        let id = text(body, "challengeId")?;
        let done = passkeys::login::finish(&cx, &collection, &id, credential(body)).await?;
        admitted(&asked, &cx, done).await
    })
    .await
}
