//! One-time passwords.

use app::auth::otp;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::Response;
use axum::routing::post;
use serde_json::json;

use super::super::{answer, with_fields};
use super::{admitted, form_for, text};
use crate::state::State;

pub fn routes() -> Router<State> {
    let path = |rest: &str| format!("/api/collections/{{collection}}/{rest}");
    Router::new().route(&path("request-otp"), post(request_otp)).route(&path("auth-with-otp"), post(with_otp))
}

async fn request_otp(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, collection) = form_for(&state, &name, request).await?;
        let cx = asked.context(&state);
        let id = otp::request_otp(&cx, &collection, &text(&asked.request.body, "email")?).await?;
        with_fields(&asked, json!({ "otpId": id }).to_string(), false)
    })
    .await
}

async fn with_otp(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (mut asked, collection) = form_for(&state, &name, request).await?;
        asked.request.context = "otp";
        let cx = asked.context(&state);
        let body = &asked.request.body;
        let (id, code) = (text(body, "otpId")?, text(body, "password")?);
        let done = otp::with_otp(&cx, &collection, &id, &code).await?;
        admitted(&asked, &cx, done).await
    })
    .await
}
