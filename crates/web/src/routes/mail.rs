//! Mails as a try, for superusers only.

use app::mail::{SampleForm, send_sample};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::Response;
use axum::routing::post;

use super::answer;
use super::auth::{text, unreadable};
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    Router::new().route("/api/settings/test/email", post(test))
}

async fn test(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        let mut asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        asked.request.body = crate::body::read(&head, body).await.map_err(unreadable)?;
        let body = &asked.request.body;
        let form = SampleForm {
            email: text(body, "email")?,
            template: text(body, "template")?,
            collection: text(body, "collection")?,
        };
        send_sample(&asked.context(&state), &form).await?;
        Ok(wire::answer::no_content())
    })
    .await
}
