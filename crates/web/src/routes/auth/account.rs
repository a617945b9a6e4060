//! Verifying an address, resetting a password, changing an address.

use app::auth::account::{self, NewPassword};
use app::auth::login::auth_collection;
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::routing::post;

use crate::body::{self, text};
use crate::extract::{Asked, WithForm};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

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
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = auth_collection(&cx, &name)?;
    done(account::request_verification(&cx, &collection, &text(&asked.request.body, "email")?).await)
}

async fn confirm_verification(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = auth_collection(&cx, &name)?;
    done(account::confirm_verification(&cx, &collection, &text(&asked.request.body, "token")?).await)
}

async fn request_password_reset(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = auth_collection(&cx, &name)?;
    done(account::request_password_reset(&cx, &collection, &text(&asked.request.body, "email")?).await)
}

async fn confirm_password_reset(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = auth_collection(&cx, &name)?;
    let body = &asked.request.body;
    let form = NewPassword {
        token: text(body, "token")?,
        password: text(body, "password")?,
        confirm: text(body, "passwordConfirm")?,
    };
    done(account::confirm_password_reset(&cx, &collection, form).await)
}

async fn request_email_change(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    mut asked: Asked,
    request: Request,
) -> Answer {
    let caller = asked.caller.clone();
    let collection = account::email_change_collection(&asked.context(&state), &name, caller.as_ref())?;
    let caller = caller.ok_or_else(Error::unauthenticated)?;
    asked.request.body = body::form(request).await?;
    let cx = asked.context(&state);
    let new_email = text(&asked.request.body, "newEmail")?;
    done(account::request_email_change(&cx, &collection, &caller, &new_email).await)
}

async fn confirm_email_change(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = auth_collection(&cx, &name)?;
    let body = &asked.request.body;
    let (token, password) = (text(body, "token")?, text(body, "password")?);
    done(account::confirm_email_change(&cx, &collection, &token, &password).await)
}

fn done(result: Result<()>) -> Answer {
    result?;
    Ok(wire::answer::no_content())
}
