//! The SQL console, for superusers only.

use std::time::Instant;

use app::sql;
use app::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::Response;
use axum::routing::post;
use base::Kind;
use serde_json::{Map, Value as Json, json};

use super::{answer, with_fields};
use crate::body;
use crate::extract::Asked;
use crate::state::State;

pub fn routes() -> Router<State> {
    Router::new().route("/api/sql", post(run))
}

async fn run(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        let form = body::read(&head, body).await.map_err(|error| match error.kind {
            Kind::TooLarge => error,
            _ => unreadable(),
        })?;
        let query = text(&form, "query")?;
        let since = Instant::now();
        let console = sql::run(state.parts(), query).await?;
        let columns = console.columns.iter();
        let columns = columns.map(|column| json!({"name": column.name, "type": column.ty, "nullable": true}));
        let out = format!(
            "{{\"execTime\":{},\"affectedRows\":{},\"columns\":{},\"rows\":{}}}",
            since.elapsed().as_millis(),
            console.affected,
            Json::Array(columns.collect()),
            json!(console.rows),
        );
        with_fields(&asked, out, false)
    })
    .await
}

fn text<'a>(form: &'a Map<String, Json>, key: &str) -> Result<&'a str> {
    match form.get(key) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(unreadable()),
    }
}

fn unreadable() -> Error {
    Error::new(Kind::Invalid, "An error occurred while loading the submitted data.")
}
