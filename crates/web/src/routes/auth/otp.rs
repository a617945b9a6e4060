//! One-time passwords.

use app::auth::{login, otp};
use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::routing::post;
use serde_json::json;

use super::super::with_fields;
use super::admitted;
use crate::body::text;
use crate::extract::WithForm;
use crate::state::State;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    let path = |rest: &str| format!("/api/collections/{{collection}}/{rest}");
    Router::new().route(&path("request-otp"), post(request_otp)).route(&path("auth-with-otp"), post(with_otp))
}

async fn request_otp(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(asked): WithForm,
) -> Answer {
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let id = otp::request_otp(&cx, &collection, &text(&asked.request.body, "email")?).await?;
    with_fields(&asked, json!({ "otpId": id }).to_string(), false)
}

async fn with_otp(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    WithForm(mut asked): WithForm,
) -> Answer {
    asked.request.context = "otp";
    let cx = asked.context(&state);
    let collection = login::auth_collection(&cx, &name)?;
    let body = &asked.request.body;
    let (id, code) = (text(body, "otpId")?, text(body, "password")?);
    let done = otp::with_otp(&cx, &collection, &id, &code).await?;
    admitted(&asked, &cx, done).await
}
