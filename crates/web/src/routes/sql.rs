//! The SQL console, for superusers only.

use std::time::Instant;

use app::sql;
use axum::Router;
use axum::extract::{Request, State as FromState};
use axum::routing::post;
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::body::{self, text};
use crate::extract::Superuser;
use crate::state::State;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/sql", post(run))
}

async fn run(FromState(state): FromState<State>, Superuser(asked): Superuser, request: Request) -> Answer {
    let form = body::form(request).await?;
    let query = text(&form, "query")?;
    let since = Instant::now();
    let console = sql::run(state.parts(), &query).await?;
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
}
