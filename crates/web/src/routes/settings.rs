//! Settings: so far those of the request log.

use app::Error;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::Response;
use axum::routing::patch;
use base::Kind;
use serde_json::{Value as Json, json};

use super::answer;
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    Router::new().route("/api/settings", patch(update))
}

pub async fn update(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        let body = crate::body::read(&head, body).await?;
        let logs = match (body.get("logs"), body.len()) {
            (Some(Json::Object(logs)), 1) => logs,
            _ => {
                let message = "Only the settings under \"logs\" can be changed in this version.";
                return Err(Error::new(Kind::Unsupported, message));
            }
        };
        let logs = app::settings::change_logs(state.parts(), logs).await?;
        state.log().set_enabled(state.parts().settings.load().logs.max_days > 0);
        Ok(wire::answer::ok(json!({ "logs": logs }).to_string()))
    })
    .await
}
