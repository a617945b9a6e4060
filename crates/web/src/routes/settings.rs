//! Settings, for superusers only.

use app::Error;
use app::settings::apple::{self, AppleForm};
use app::settings::check::{self, StorageForm};
use app::settings::{self, Format, Settings};
use axum::Router;
use axum::extract::{Request, State as FromState};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire::error::Answer;
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

async fn view(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    with_fields(&asked, encode(&state.parts().settings.load()), false)
}

async fn update(FromState(state): FromState<State>, Superuser(asked): Superuser, request: Request) -> Answer {
    let format = match body::is_form(request.headers()) {
        true => Format::Form,
        false => Format::Json,
    };
    let change = body::form(request).await?;
    let settings = settings::change(state.parts(), &change, format).await?;
    state.log().set_enabled(settings.logs.max_days > 0);
    with_fields(&asked, encode(&settings), false)
}

async fn test_storage(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form: StorageForm = read(request).await?;
    check::storage(&asked.context(&state), &form).await?;
    Ok(wire::answer::no_content())
}

async fn apple_secret(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form: AppleForm = read(request).await?;
    let secret = apple::client_secret(state.parts(), &form)?;
    with_fields(&asked, json!({"secret": secret}).to_string(), false)
}

/// A form whose fields are known. Every field may be left out; another type than the field's is an unreadable body.
async fn read<T: DeserializeOwned>(request: Request) -> app::Result<T> {
    let form = Json::Object(body::form(request).await?);
    T::deserialize(form).map_err(|error| body::unreadable(Error::bad_request().details(error)))
}
