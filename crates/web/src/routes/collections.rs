//! Collections, for superusers only.

use app::Error;
use app::auth::oauth2::providers::PROVIDERS;
use app::collections;
use app::records::Shown;
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::routing::{delete, get, post, put};
use base::Kind;
use model::json_text;
use model::{Collection, Field, Violation};
use serde_json::{Value as Json, json};

use super::records::list_query;
use super::with_fields;
use crate::body::{self, UNREADABLE};
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

fn encode(collection: &Collection) -> String {
    json_text::stored(&collection.to_json(false))
}

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/collections", get(list).post(create))
        .route("/api/collections/import", put(import).get(view_import))
        .route("/api/collections/meta/scaffolds", get(scaffolds))
        .route("/api/collections/meta/check", post(check))
        .route("/api/collections/meta/plan", post(plan))
        .route("/api/collections/meta/dry-run-view", post(dry_run_view))
        .route("/api/collections/meta/oauth2-providers", get(oauth2_providers))
        .route("/api/collections/{collection}", get(view).patch(update).delete(remove))
        .route("/api/collections/{collection}/truncate", delete(truncate))
}

pub async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let page = collections::list::list(&asked.context(&state), &list_query(&asked.query)?)?;
    with_fields(
        &asked,
        wire::record::page_with(&page, |out, collection| out.push_str(&encode(collection))),
        true,
    )
}

pub async fn view(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let collection = asked.context(&state).collection(&name).ok_or_else(Error::not_found)?;
    with_fields(&asked, encode(&collection), false)
}

/// A collection may well be called `import`.
pub async fn view_import(state: FromState<State>, superuser: Superuser) -> Answer {
    view(state, Path("import".into()), superuser).await
}

pub async fn create(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = read(request, "Failed to load the collection type data due to invalid formatting.").await?;
    let collection = collections::change::create(&asked.context(&state), &body).await?;
    with_fields(&asked, encode(&collection), false)
}

pub async fn update(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = read(request, "Failed to load the submitted data due to invalid formatting.").await?;
    let collection = collections::change::update(&asked.context(&state), &name, &body).await?;
    with_fields(&asked, encode(&collection), false)
}

pub async fn remove(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    collections::change::delete(&asked.context(&state), &name).await?;
    Ok(wire::answer::no_content())
}

pub async fn truncate(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    collections::truncate::truncate(&asked.context(&state), &name).await?;
    Ok(wire::answer::no_content())
}

pub async fn import(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let (list, delete_missing) = import_form(request).await?;
    collections::import::import(&asked.context(&state), &list, delete_missing).await?;
    Ok(wire::answer::no_content())
}

/// What an import would do, for whoever looks before it is done: every collection as it is and as it would be.
pub async fn plan(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let (list, delete_missing) = import_form(request).await?;
    let plan = collections::import::plan(&asked.context(&state), &list, delete_missing).await?;
    let shown = |collection: Option<&Collection>| collection.map(|collection| collection.to_json(false));
    let changed = plan.pairs.iter().map(|(old, new)| (shown(old.as_deref()), shown(Some(new))));
    let dropped = plan.dropped.iter().map(|gone| (shown(Some(gone)), None));
    let items = changed.chain(dropped).map(|(before, after)| json!({"before": before, "after": after}));
    with_fields(&asked, json_text::stored(&json!({"items": items.collect::<Vec<_>>()})), true)
}

/// What is wrong with a definition that nobody saved yet. The answer is a good one whether or not anything is.
pub async fn check(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form = body::form(request).await?;
    let of = body::text(&form, "id")?;
    let definition = form.get("collection").cloned().unwrap_or_default();
    let (collection, violations) =
        collections::change::check(&asked.context(&state), &of, &definition).await?;
    let answer =
        json!({"collection": collection.to_json(false), "data": wire::error::violations(&violations)});
    with_fields(&asked, json_text::stored(&answer), false)
}

/// The fields and the first records of a view that nobody saved yet.
pub async fn dry_run_view(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let query = body::text(&body::form(request).await?, "query")?;
    let (view, records) = collections::views::dry_run(&asked.context(&state), &query).await?;
    let fields: Json = view.fields.iter().map(Field::to_json).collect();
    let whole = |record| Shown { record, hidden: true, email: true, expand: None };
    let records: Vec<String> = records.into_iter().map(|record| wire::record::one(&whole(record))).collect();
    let answer = format!("{{\"fields\":{},\"sample\":[{}]}}", json_text::stored(&fields), records.join(","));
    with_fields(&asked, answer, false)
}

/// The providers that a sign-in can be left to. Their marks are theirs: each is shown by the first letter of its name.
pub async fn oauth2_providers(Superuser(asked): Superuser) -> Answer {
    let providers = PROVIDERS.iter().map(|provider| {
        let letter: String = provider.display_name.chars().take(1).collect();
        let logo = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 20 20\"><text x=\"10\" y=\"15\" \
             font-size=\"14\" font-family=\"sans-serif\" text-anchor=\"middle\">{letter}</text></svg>"
        );
        json!({"name": provider.name, "displayName": provider.display_name, "logo": logo})
    });
    with_fields(&asked, json_text::stored(&providers.collect()), true)
}

/// The collections, and whether those that are not among them go.
async fn import_form(request: Request) -> app::Result<(Vec<Json>, bool)> {
    let body = body::form(request).await?;
    let readable = |item: &Json| item.is_object() || item.is_null();
    let list = match body.get("collections") {
        Some(Json::Array(list)) if !list.is_empty() && list.iter().all(readable) => list.clone(),
        Some(Json::Array(list)) if !list.is_empty() => {
            return Err(Error::new(Kind::Invalid, UNREADABLE));
        }
        None | Some(Json::Null | Json::Array(_)) => {
            return Err(Error::form("collections", Violation::required()));
        }
        Some(_) => return Err(Error::new(Kind::Invalid, UNREADABLE)),
    };
    Ok((list, body.get("deleteMissing").and_then(Json::as_bool).unwrap_or_default()))
}

pub async fn scaffolds(Superuser(asked): Superuser) -> Answer {
    with_fields(&asked, json_text::stored(&model::collection::system::scaffolds()), false)
}

/// `unreadable` is what is said of a body that is none.
async fn read(request: Request, unreadable: &str) -> app::Result<Json> {
    let body = body::of(request).await.map_err(|error| match error.kind {
        Kind::Invalid => Error { message: unreadable.into(), ..error },
        _ => error,
    })?;
    Ok(Json::Object(body))
}
