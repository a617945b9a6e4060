//! Mails as a try, for superusers only.

use app::mail::{SampleForm, send_sample};
use axum::Router;
use axum::extract::{Request, State as FromState};
use axum::routing::post;

use crate::body::{self, text};
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/settings/test/email", post(test))
}

async fn test(
    FromState(state): FromState<State>,
    Superuser(mut asked): Superuser,
    request: Request,
) -> Answer {
    asked.request.body = body::form(request).await?;
    let body = &asked.request.body;
    let form = SampleForm {
        email: text(body, "email")?,
        template: text(body, "template")?,
        collection: text(body, "collection")?,
    };
    send_sample(&asked.context(&state), &form).await?;
    Ok(wire::answer::no_content())
}
