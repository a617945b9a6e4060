//! Settings, for superusers only.

use app::Error;
use app::settings::apple::{self, AppleForm};
use app::settings::check::{self, StorageForm};
use app::settings::{self, Format, Settings};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::Response;
use axum::routing::{get, post};
use base::Kind;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::{answer, with_fields};
use crate::extract::Asked;
use crate::state::State;
use crate::{body, wire};

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/settings", get(view).patch(update))
        .route("/api/settings/test/s3", post(test_storage))
        .route("/api/settings/apple/generate-client-secret", post(apple_secret))
}

/// The settings without what nobody may read back.
fn encode(settings: &Settings) -> String {
    let mut json = json!(settings);
    for (group, secret) in [("/smtp", "password"), ("/s3", "secret"), ("/backups/s3", "secret")] {
        if let Some(Json::Object(group)) = json.pointer_mut(group) {
            group.remove(secret);
        }
    }
    json.to_string()
}

async fn view(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        with_fields(&asked, encode(&state.parts().settings.load()), false)
    })
    .await
}

async fn update(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        let format = match body::is_form(&head.headers) {
            true => Format::Form,
            false => Format::Json,
        };
        let change = body::read(&head, body).await.map_err(unreadable)?;
        let settings = settings::change(state.parts(), &change, format).await?;
        state.log().set_enabled(settings.logs.max_days > 0);
        with_fields(&asked, encode(&settings), false)
    })
    .await
}

async fn test_storage(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (asked, form) = superuser_with_form::<StorageForm>(&state, request).await?;
        check::storage(&asked.context(&state), &form).await?;
        Ok(wire::answer::no_content())
    })
    .await
}

async fn apple_secret(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (asked, form) = superuser_with_form::<AppleForm>(&state, request).await?;
        let secret = apple::client_secret(state.parts(), &form)?;
        with_fields(&asked, json!({"secret": secret}).to_string(), false)
    })
    .await
}

/// The request of a superuser with a form whose fields are known. Every field may be left out; another type than the
/// field's is an unreadable body.
async fn superuser_with_form<T: DeserializeOwned>(
    state: &State,
    request: Request,
) -> app::Result<(Asked, T)> {
    let (head, body) = request.into_parts();
    let asked = Asked::of(state, &head).await?;
    asked.require_superuser()?;
    let body = body::read(&head, body).await.map_err(unreadable)?;
    let form = T::deserialize(Json::Object(body))
        .map_err(|error| unreadable(Error::bad_request().details(error)))?;
    Ok((asked, form))
}

fn unreadable(error: Error) -> Error {
    match error.kind {
        Kind::Invalid => {
            Error { message: "An error occurred while loading the submitted data.".into(), ..error }
        }
        _ => error,
    }
}
