//! Verifying an address, resetting a password, changing an address.

use app::auth::account::{self, NewPassword};
use app::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::Response;
use axum::routing::post;

use super::super::answer;
use super::{form_for, text};
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    let path = |rest: &str| format!("/api/collections/{{collection}}/{rest}");
    Router::new()
        .route(&path("request-verification"), post(request_verification))
        .route(&path("confirm-verification"), post(confirm_verification))
        .route(&path("request-password-reset"), post(request_password_reset))
        .route(&path("confirm-password-reset"), post(confirm_password_reset))
        .route(&path("request-email-change"), post(request_email_change))
        .route(&path("confirm-email-change"), post(confirm_email_change))
}

async fn request_verification(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, collection) = form_for(&state, &name, request).await?;
        let cx = asked.context(&state);
        done(account::request_verification(&cx, &collection, &text(&asked.request.body, "email")?).await)
    })
    .await
}

async fn confirm_verification(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, collection) = form_for(&state, &name, request).await?;
        let cx = asked.context(&state);
        done(account::confirm_verification(&cx, &collection, &text(&asked.request.body, "token")?).await)
    })
    .await
}

async fn request_password_reset(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, collection) = form_for(&state, &name, request).await?;
        let cx = asked.context(&state);
        done(account::request_password_reset(&cx, &collection, &text(&asked.request.body, "email")?).await)
    })
    .await
}

async fn confirm_password_reset(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, collection) = form_for(&state, &name, request).await?;
        let cx = asked.context(&state);
        let body = &asked.request.body;
        let form = NewPassword {
            token: text(body, "token")?,
            password: text(body, "password")?,
            confirm: text(body, "passwordConfirm")?,
        };
        done(account::confirm_password_reset(&cx, &collection, form).await)
    })
    .await
}

async fn request_email_change(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        let mut asked = Asked::of(&state, &head).await?;
        let caller = asked.caller.clone();
        let collection = account::email_change_collection(&asked.context(&state), &name, caller.as_ref())?;
        let caller = caller.ok_or_else(Error::unauthenticated)?;
        asked.request.body = crate::body::read(&head, body).await.map_err(super::unreadable)?;
        let cx = asked.context(&state);
        let new_email = text(&asked.request.body, "newEmail")?;
        done(account::request_email_change(&cx, &collection, &caller, &new_email).await)
    })
    .await
}

async fn confirm_email_change(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, collection) = form_for(&state, &name, request).await?;
        let cx = asked.context(&state);
        let body = &asked.request.body;
        let (token, password) = (text(body, "token")?, text(body, "password")?);
        done(account::confirm_email_change(&cx, &collection, &token, &password).await)
    })
    .await
}

fn done(result: Result<()>) -> Result<Response<Body>> {
    result.map(|()| wire::answer::no_content())
}
