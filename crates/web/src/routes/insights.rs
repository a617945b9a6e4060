//! Business figures, and the settings about what is kept of what happens; for superusers only.

use app::settings::insight;
use app::{Error, insights};
use axum::Router;
use axum::extract::{Request, State as FromState};
use axum::routing::get;
use base::Timestamp;
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::body;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire::error::Answer;

const DAY_MS: i64 = 86_400_000;
/// Of a time, its date.
const DATE_LEN: usize = 10;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/insights", get(view))
        .route("/api/settings/insight", get(settings).patch(change))
}

fn date(day: i64) -> String {
    let mut text = Timestamp(day * DAY_MS).to_string();
    text.truncate(DATE_LEN);
    text
}

async fn view(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let days = match asked.query.get("days").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|error| Error::bad_request().details(format!("days: {error}")))?)
        }
    };
    let report = insights::report(state.parts(), asked.query.text("collection"), days).await?;
    let today = report.days.last().copied().unwrap_or_default();
    let days = report.days.iter().map(|day| {
        json!({"day": date(day.day), "active": day.active, "week": day.week, "month": day.month, "new": day.new})
    });
    let cohorts = report.cohorts.iter().map(|cohort| {
        json!({"week": date(cohort.monday), "size": cohort.back.first().copied().unwrap_or_default(), "back": cohort.back})
    });
    let told = json!({
        "collection": &*report.collection,
        "enabled": report.enabled,
        "computed": report.computed.to_string(),
        "today": date(today.day),
        "total": report.total,
        "active": {"day": today.active, "week": today.week, "month": today.month},
        "days": days.collect::<Vec<Json>>(),
        "cohorts": cohorts.collect::<Vec<Json>>(),
    });
    with_fields(&asked, told.to_string(), false)
}

async fn settings(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    with_fields(&asked, json!(**state.parts().insight.load()).to_string(), false)
}

async fn change(FromState(state): FromState<State>, Superuser(asked): Superuser, request: Request) -> Answer {
    let form = body::form(request).await?;
    insight::change(state.parts(), &form).await?;
    state.log().set_message_level(state.parts().insight.load().logs.message_level);
    with_fields(&asked, json!(**state.parts().insight.load()).to_string(), false)
}
