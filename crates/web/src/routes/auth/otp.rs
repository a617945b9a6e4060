//! One-time passwords.

use app::auth::otp;
use axum::Router;
use axum::extract::State as FromState;
use axum::routing::post;
use serde_json::json;

use super::super::with_fields;
use super::admitted;
use crate::body::text;
use crate::extract::FormFor;
use crate::state::State;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    let path = |rest: &str| format!("/api/collections/{{collection}}/{rest}");
    Router::new().route(&path("request-otp"), post(request_otp)).route(&path("auth-with-otp"), post(with_otp))
}

async fn request_otp(FromState(state): FromState<State>, FormFor { asked, collection }: FormFor) -> Answer {
    let cx = asked.context(&state);
    let id = otp::request_otp(&cx, &collection, &text(&asked.request.body, "email")?).await?;
    with_fields(&asked, json!({ "otpId": id }).to_string(), false)
}

async fn with_otp(FromState(state): FromState<State>, FormFor { mut asked, collection }: FormFor) -> Answer {
    asked.request.context = "otp";
    let cx = asked.context(&state);
    let body = &asked.request.body;
    let (id, code) = (text(body, "otpId")?, text(body, "password")?);
    let done = otp::with_otp(&cx, &collection, &id, &code).await?;
    admitted(&asked, &cx, done).await
}
