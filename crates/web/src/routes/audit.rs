//! The audit log, for superusers only. Nobody changes it.

use app::audit::Entry;
use app::audit::read;
use axum::Router;
use axum::extract::State as FromState;
use axum::routing::get;
use base::json::{write_number, write_string};

use super::records::list_query;
use super::with_fields;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/audit", get(list))
}

fn write(out: &mut String, entry: &Entry) {
    let texts = [
        ("id", &entry.id),
        ("created", &entry.created),
        ("actor", &entry.actor),
        ("email", &entry.email),
        ("ip", &entry.ip),
        ("request", &entry.request),
        ("node", &entry.node),
        ("action", &entry.action),
        ("collection", &entry.collection),
        ("target", &entry.target),
        ("outcome", &entry.outcome),
        ("detail", &entry.detail),
    ];
    out.push('{');
    for (name, text) in texts {
        write_string(out, name);
        out.push(':');
        write_string(out, text);
        out.push(',');
    }
    out.push_str("\"status\":");
    write_number(out, entry.status);
    out.push_str(",\"changes\":");
    out.push_str(&entry.changes);
    out.push('}');
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let page = read::list(&asked.context(&state), &list_query(&asked.query)?).await?;
    with_fields(&asked, wire::record::page_with(&page, write), true)
}
