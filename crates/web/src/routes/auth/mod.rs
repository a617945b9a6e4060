//! Logging in and staying so.

use std::sync::Arc;

use app::Error;
use app::auth::login::{self, Admitted, PasswordForm};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use base::Kind;
use model::{Collection, Violation};
use serde_json::{Map, Value as Json, json};

use super::{answer, with_body, with_fields};
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

mod account;
mod oauth2;
mod otp;
mod passkeys;

pub fn routes() -> Router<State> {
    let path = |rest: &str| format!("/api/collections/{{collection}}/{rest}");
    Router::new()
        .merge(account::routes())
        .merge(otp::routes())
        .merge(passkeys::routes())
        .route(&path("auth-methods"), get(methods))
        .route(&path("auth-with-password"), post(with_password))
        .route(&path("auth-with-oauth2"), post(oauth2::with_oauth2))
        .route(&path("auth-refresh"), post(refresh))
        .route(&path("impersonate/{id}"), post(impersonate))
}

pub async fn methods(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let options = collection.auth().ok_or_else(Error::not_found)?;
        let password = &options.password_auth;
        let has = |field: &str| password.enabled && password.identity_fields.iter().any(|name| name == field);
        let offers = app::auth::oauth2::methods::offers(&options.oauth2);
        let listed =
            |logos| offers.iter().map(|offer| oauth2::offer(offer, logos)).collect::<Vec<_>>();
        let body = json!({
            "password": {"identityFields": if password.enabled { json!(password.identity_fields) } else { json!([]) },
                "enabled": password.enabled},
            "oauth2": {"providers": listed(true), "enabled": options.oauth2.enabled},
            "mfa": {"enabled": options.mfa.enabled,
                "duration": if options.mfa.enabled { options.mfa.duration } else { 0 }},
            "otp": {"enabled": options.otp.enabled,
                "duration": if options.otp.enabled { options.otp.duration } else { 0 }},
            "authProviders": listed(false),
            "usernamePassword": has("username"),
            "emailPassword": has("email"),
        });
        with_fields(&asked, body.to_string(), false)
    })
    .await
}

pub async fn with_password(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (mut asked, collection) = form_for(&state, &name, request).await?;
        asked.request.context = "password";
        let cx = asked.context(&state);
        let body = &asked.request.body;
        let form = PasswordForm {
            identity: text(body, "identity")?,
            password: text(body, "password")?,
            identity_field: text(body, "identityField")?,
        };
        admitted(&asked, &cx, login::with_password(&cx, &collection, form).await?).await
    })
    .await
}

pub async fn refresh(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = with_body(&state, request).await?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        let mut done = login::refresh(&cx, &collection, asked.caller.as_ref(), &asked.token).await?;
        shown(&asked, &cx, &mut done).await
    })
    .await
}

/// The answer to a login: the token, or what must follow.
pub(super) async fn admitted(
    asked: &Asked,
    cx: &app::rules::Context<'_>,
    admitted: Admitted,
) -> app::Result<Response<Body>> {
    admitted_with(asked, cx, admitted, "").await
}

/// The same with what a provider says about the user, as JSON text.
async fn admitted_with(
    asked: &Asked,
    cx: &app::rules::Context<'_>,
    admitted: Admitted,
    meta: &str,
) -> app::Result<Response<Body>> {
    match admitted {
        Admitted::In(mut done) => shown_with(asked, cx, &mut done, meta).await,
        Admitted::Halfway { mfa_id } => {
            Ok(wire::answer::json(StatusCode::UNAUTHORIZED, json!({ "mfaId": mfa_id }).to_string()))
        }
    }
}

async fn shown(
    asked: &Asked,
    cx: &app::rules::Context<'_>,
    done: &mut login::LoggedIn,
) -> app::Result<Response<Body>> {
    shown_with(asked, cx, done, "").await
}

async fn shown_with(
    asked: &Asked,
    cx: &app::rules::Context<'_>,
    done: &mut login::LoggedIn,
    meta: &str,
) -> app::Result<Response<Body>> {
    let expand: Vec<String> =
        asked.query.text("expand").split(',').filter(|path| !path.is_empty()).map(str::to_string).collect();
    if !expand.is_empty() {
        cx.expand(std::slice::from_mut(&mut done.record), &expand).await?;
    }
    with_fields(asked, wire::record::with_token(&done.token, &done.record, meta), false)
}

pub async fn impersonate(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        let mut asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        let cx = asked.context(&state);
        let collection = login::auth_collection(&cx, &name)?;
        drop(cx);
        asked.request.body = crate::body::read(&head, body).await.map_err(unreadable)?;
        let seconds = match asked.request.body.get("duration") {
            None | Some(Json::Null) => 0,
            Some(duration) => duration.as_i64().ok_or_else(|| unreadable(Error::bad_request()))?,
        };
        if seconds < 0 {
            return Err(Error::form("duration", Violation::at_least(0)));
        }
        let cx = asked.context(&state);
        let mut done = login::impersonate(&cx, &collection, &id, seconds).await?;
        shown(&asked, &cx, &mut done).await
    })
    .await
}

/// The request with a form, and the auth collection that it is about.
async fn form_for(state: &State, name: &str, request: Request) -> app::Result<(Asked, Arc<Collection>)> {
    let asked = with_form(state, request).await?;
    let collection = login::auth_collection(&asked.context(state), name)?;
    Ok((asked, collection))
}

/// The request with a form whose fields are known.
async fn with_form(state: &State, request: Request) -> app::Result<Asked> {
    let (head, body) = request.into_parts();
    let mut asked = Asked::of(state, &head).await?;
    asked.request.body = crate::body::read(&head, body).await.map_err(unreadable)?;
    Ok(asked)
}

/// What the reference says of a form that it cannot read.
pub(super) fn unreadable(error: Error) -> Error {
    match error.kind {
        Kind::Invalid => {
            Error { message: "An error occurred while loading the submitted data.".into(), ..error }
        }
        _ => error,
    }
}

/// A form's text: missing is empty, another type is an unreadable body.
pub(super) fn text(body: &Map<String, Json>, key: &str) -> app::Result<String> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(unreadable(Error::bad_request().details(format!("{key} is no text")))),
    }
}
