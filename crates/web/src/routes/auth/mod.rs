//! Logging in and staying so.

use app::Error;
use app::auth::login::{self, Admitted, PasswordForm};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::StatusCode;
use axum::routing::{get, post};
use model::Violation;
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::body::{self, text, unreadable};
use crate::extract::{Asked, FormFor, Superuser};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

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

pub async fn methods(FromState(state): FromState<State>, Path(name): Path<String>, asked: Asked) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let options = collection.auth().ok_or_else(Error::not_found)?;
    let password = &options.password_auth;
    let has = |field: &str| password.enabled && password.identity_fields.iter().any(|name| name == field);
    let offers = app::auth::oauth2::methods::offers(&options.oauth2);
    let listed = |logos| offers.iter().map(|offer| oauth2::offer(offer, logos)).collect::<Vec<_>>();
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
}

pub async fn with_password(
    FromState(state): FromState<State>,
    FormFor { mut asked, collection }: FormFor,
) -> Answer {
    asked.request.context = "password";
    let cx = asked.context(&state);
    let body = &asked.request.body;
    let form = PasswordForm {
        identity: text(body, "identity")?,
        password: text(body, "password")?,
        identity_field: text(body, "identityField")?,
    };
    admitted(&asked, &cx, login::with_password(&cx, &collection, form).await?).await
}

pub async fn refresh(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    mut asked: Asked,
    request: Request,
) -> Answer {
    asked.request.body = body::of(request).await?;
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let mut done = login::refresh(&cx, &collection, asked.caller.as_ref(), &asked.token).await?;
    shown(&asked, &cx, &mut done).await
}

/// The answer to a login: the token, or what must follow.
pub(super) async fn admitted(asked: &Asked, cx: &app::rules::Context<'_>, admitted: Admitted) -> Answer {
    admitted_with(asked, cx, admitted, "").await
}

/// The same with what a provider says about the user, as JSON text.
async fn admitted_with(
    asked: &Asked,
    cx: &app::rules::Context<'_>,
    admitted: Admitted,
    meta: &str,
) -> Answer {
    match admitted {
        Admitted::In(mut done) => shown_with(asked, cx, &mut done, meta).await,
        Admitted::Halfway { mfa_id } => {
            Ok(wire::answer::json(StatusCode::UNAUTHORIZED, json!({ "mfaId": mfa_id }).to_string()))
        }
    }
}

async fn shown(asked: &Asked, cx: &app::rules::Context<'_>, done: &mut login::LoggedIn) -> Answer {
    shown_with(asked, cx, done, "").await
}

async fn shown_with(
    asked: &Asked,
    cx: &app::rules::Context<'_>,
    done: &mut login::LoggedIn,
    meta: &str,
) -> Answer {
    let expand = asked.query.expand();
    if !expand.is_empty() {
        cx.expand(std::slice::from_mut(&mut done.record), &expand).await?;
    }
    with_fields(asked, wire::record::with_token(&done.token, &done.record, meta), false)
}

pub async fn impersonate(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    Superuser(mut asked): Superuser,
    request: Request,
) -> Answer {
    let collection = login::auth_collection(&asked.context(&state), &name)?;
    asked.request.body = body::form(request).await?;
    let seconds = match asked.request.body.get("duration") {
        None | Some(Json::Null) => 0,
        Some(duration) => duration.as_i64().ok_or_else(|| unreadable(Error::bad_request()))?,
    };
    if seconds < 0 {
        return Err(Error::form("duration", Violation::at_least(0)).into());
    }
    let cx = asked.context(&state);
    let mut done = login::impersonate(&cx, &collection, &id, seconds).await?;
    shown(&asked, &cx, &mut done).await
}
