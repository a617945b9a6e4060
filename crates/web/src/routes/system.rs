//! The system as it is and as it was, for superusers only. The shapes are documented in `docs/system-api.md`.

use app::system::{self, Asked, Bottleneck, Element, Event, Picture};
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::middleware::map_response;
use axum::routing::{delete, get};
use base::limits::{PULSE_MS, SYSTEM_EVENTS_PAGE_MAX};
use base::{Kind, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::logs::quiet;
use super::with_fields;
use crate::extract::{Query, Superuser};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

const HOUR_S: i64 = 3600;
const EVENTS_DEFAULT: u64 = 100;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/system", get(now))
        .route("/api/system/series", get(series))
        .route("/api/system/events", get(events))
        .route("/api/system/nodes", get(nodes))
        .route("/api/system/nodes/{key}", delete(forget))
        .route_layer(map_response(quiet))
}

fn time(ms: i64) -> Json {
    if ms > 0 { Timestamp(ms).to_string().into() } else { "".into() }
}

fn element(element: &Element) -> Json {
    json!({
        "id": element.id,
        "kind": element.kind,
        "name": element.name,
        "address": element.address,
        "version": element.version,
        "zone": element.zone,
        "region": element.region,
        "state": element.state.name(),
        "since": time(element.since),
        "why": element.why,
        "within": element.within,
        "figures": element.figures,
    })
}

fn bottleneck(found: &Bottleneck) -> Json {
    json!({
        "element": found.element,
        "code": found.bound.code(),
        "used": found.used,
        "figures": found.figures,
    })
}

fn encode(picture: &Picture) -> Json {
    let links = picture.links.iter().map(|link| json!({"from": link.from, "to": link.to, "kind": link.kind}));
    json!({
        "at": time(picture.at),
        "by": picture.by,
        "elements": picture.elements.iter().map(element).collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
        "bottleneck": picture.bottleneck.as_ref().map(bottleneck),
    })
}

async fn now(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let picture = system::picture(state.parts()).await;
    with_fields(&asked, encode(&picture).to_string(), false)
}

fn words(query: &Query, name: &str) -> Vec<String> {
    let words = query.text(name).split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Seconds since 1970, or a time as records have it.
fn moment(query: &Query, name: &str, otherwise: i64) -> Result<i64> {
    let text = query.text(name);
    let read = match text {
        "" => Some(otherwise),
        text => text.parse().ok().or_else(|| Timestamp::parse(text).map(Timestamp::seconds)),
    };
    let in_time = |second: &i64| (0..=Timestamp::MAX.seconds()).contains(second);
    read.filter(in_time).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("{name} is a time, or a number of seconds since 1970."))
    })
}

fn number<T: std::str::FromStr>(query: &Query, name: &str, otherwise: T) -> Result<T> {
    match query.text(name) {
        "" => Ok(otherwise),
        text => text.parse().map_err(|_| Error::new(Kind::Invalid, format!("{name} is a whole number."))),
    }
}

async fn series(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let query = &asked.query;
    let to = moment(query, "to", state.parts().clock.now().seconds())?;
    let from = moment(query, "from", (to - HOUR_S).max(0))?;
    let step = number(query, "step", 0)?;
    let wanted = Asked { names: words(query, "names"), nodes: words(query, "nodes"), from, to, step };
    let found = system::series(state.parts(), &wanted).await?;
    let series = found.series.iter().map(|(node, chosen, points)| {
        let points = points.iter().map(|point| match point.is_nan() {
            true => Json::Null,
            false => json!(rounded(*point)),
        });
        json!({"node": node, "name": chosen.name, "unit": chosen.unit, "points": points.collect::<Vec<_>>()})
    });
    let body = json!({
        "from": found.from,
        "step": found.step,
        "count": found.count,
        "series": series.collect::<Vec<_>>(),
    });
    with_fields(&asked, body.to_string(), false)
}

/// A single is written with the digits that it has, not with those of the double that is nearest.
fn rounded(point: f32) -> f64 {
    point.to_string().parse().unwrap_or(f64::from(point))
}

fn event(event: &Event) -> Json {
    let detail = match &event.detail {
        Json::Object(_) => event.detail.clone(),
        _ => Json::Object(Map::new()),
    };
    json!({"id": event.id, "at": time(event.at), "kind": event.kind, "element": event.element, "detail": detail})
}

async fn events(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let query = &asked.query;
    let since = match query.text("since") {
        "" => 0,
        text => match Timestamp::parse(text) {
            Some(at) => at.0,
            None => moment(query, "since", 0)?.saturating_mul(1000),
        },
    };
    let limit = number(query, "limit", EVENTS_DEFAULT)?.min(SYSTEM_EVENTS_PAGE_MAX);
    let kinds = words(query, "kinds");
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let found = system::events::list(state.parts(), since, &kinds, limit).await?;
    let body = json!({"items": found.iter().map(event).collect::<Vec<_>>()});
    with_fields(&asked, body.to_string(), true)
}

async fn nodes(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let all = system::nodes(state.parts()).await?;
    let nodes = all.iter().map(|node| {
        json!({
            "key": node.key,
            "element": format!("{}:{}", node.role, node.key),
            "name": node.name,
            "role": node.role,
            "address": node.address,
            "version": node.version,
            "zone": node.zone,
            "region": node.region,
            "started": time(node.started),
            "at": time(node.at),
        })
    });
    let known = observe::pulse::CHOSEN.iter().map(|chosen| json!({"name": chosen.name, "unit": chosen.unit}));
    let body = json!({
        "items": nodes.collect::<Vec<_>>(),
        "series": known.collect::<Vec<_>>(),
        "sampleMs": PULSE_MS,
    });
    with_fields(&asked, body.to_string(), false)
}

async fn forget(FromState(state): FromState<State>, Path(key): Path<String>, _: Superuser) -> Answer {
    system::forget(state.parts(), &key).await?;
    Ok(wire::answer::no_content())
}
