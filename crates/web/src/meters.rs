//! What is counted of requests. Handles are looked up once for each kind of request and kept, so that a request costs a
//! few atomic additions and no text.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram};

/// What is asked for, in general: few enough that each can be counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    RecordList,
    RecordView,
    RecordCreate,
    RecordUpdate,
    RecordDelete,
    Auth,
    Collections,
    Files,
    Realtime,
    Batch,
    Settings,
    Logs,
    Backups,
    Queues,
    Api,
    Static,
}

const ROUTES: [&str; 16] = [
    "record_list",
    "record_view",
    "record_create",
    "record_update",
    "record_delete",
    "auth",
    "collections",
    "files",
    "realtime",
    "batch",
    "settings",
    "logs",
    "backups",
    "queues",
    "api",
    "static",
];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "other"];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Route {
    pub fn of(method: &Method, path: &str) -> Route {
        let Some(rest) = path.strip_prefix("/api/") else { return Route::Static };
        // By bytes: this runs for every request, and the parts are too short for a search to pay off.
        let mut parts = rest.as_bytes().split(|byte| *byte == b'/');
        match parts.next().unwrap_or_default() {
            b"collections" => match (parts.next(), parts.next(), parts.next()) {
                (Some(_), Some(b"records"), id) => {
                    Route::of_record(method, id.is_some_and(|id| !id.is_empty()))
                }
                (_, Some(b"truncate") | None, _) => Route::Collections,
                (Some(b"meta"), _, _) => Route::Collections,
                _ => Route::Auth,
            },
            b"files" => Route::Files,
            b"realtime" => Route::Realtime,
            b"batch" => Route::Batch,
            b"settings" => Route::Settings,
            b"logs" => Route::Logs,
            b"backups" => Route::Backups,
            b"queues" => Route::Queues,
            _ => Route::Api,
        }
    }

    fn of_record(method: &Method, one: bool) -> Route {
        match (method.as_str(), one) {
            ("POST", false) => Route::RecordCreate,
            ("PATCH", _) => Route::RecordUpdate,
            ("DELETE", _) => Route::RecordDelete,
            (_, false) => Route::RecordList,
            (_, true) => Route::RecordView,
        }
    }
}

fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1)
}

fn status_index(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).saturating_sub(1).min(STATUSES.len() - 1)
}

pub struct Meters {
    answered: Vec<OnceLock<Counter>>,
    durations: Vec<OnceLock<Histogram>>,
    in_flight: Gauge,
    connections: Gauge,
    /// Requests of clients that ask too often.
    pub refused: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        let answered = ROUTES.len() * METHODS.len() * STATUSES.len();
        Meters {
            answered: std::iter::repeat_with(OnceLock::new).take(answered).collect(),
            durations: std::iter::repeat_with(OnceLock::new).take(ROUTES.len()).collect(),
            in_flight: metrics::gauge!("pando_http_requests_in_flight"),
            connections: metrics::gauge!("pando_http_connections"),
            refused: metrics::counter!("pando_http_rate_limited_total"),
        }
    }
}

impl Meters {
    /// A request begins.
    pub fn begin(&self, method: &Method, path: &str) -> Begun<'_> {
        self.in_flight.increment(1.0);
        let (route, method) = (Route::of(method, path), method_index(method));
        Begun { meters: self, route, method, at: Instant::now() }
    }

    /// A connection, for as long as what is returned is kept.
    pub fn connection(&self) -> Held {
        self.connections.increment(1.0);
        Held(self.connections.clone())
    }
}

/// A request that is being answered, or given up by its client.
pub struct Begun<'a> {
    meters: &'a Meters,
    route: Route,
    method: usize,
    at: Instant,
}

impl Begun<'_> {
    pub fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    pub fn answered(self, status: StatusCode, elapsed: Duration) {
        let (route, method, status) = (self.route as usize, self.method, status_index(status));
        let index = (route * METHODS.len() + method) * STATUSES.len() + status;
        let counter = self.meters.answered[index].get_or_init(|| {
            metrics::counter!(
                "pando_http_requests_total",
                "route" => ROUTES[route], "method" => METHODS[method], "status" => STATUSES[status]
            )
        });
        counter.increment(1);
        let duration = self.meters.durations[route].get_or_init(
            || metrics::histogram!("pando_http_request_duration_seconds", "route" => ROUTES[route]),
        );
        duration.record(elapsed.as_secs_f64());
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.meters.in_flight.decrement(1.0);
    }
}

/// Counted while it is kept.
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fall_into_few_kinds() {
        let cases = [
            ("GET", "/api/collections/a/records", Route::RecordList),
            ("GET", "/api/collections/a/records/b", Route::RecordView),
            ("POST", "/api/collections/a/records", Route::RecordCreate),
            ("PATCH", "/api/collections/a/records/b", Route::RecordUpdate),
            ("DELETE", "/api/collections/a/records/b", Route::RecordDelete),
            ("POST", "/api/collections/a/auth-with-password", Route::Auth),
            ("GET", "/api/collections", Route::Collections),
            ("PATCH", "/api/collections/a", Route::Collections),
            ("GET", "/api/collections/meta/scaffolds", Route::Collections),
            ("DELETE", "/api/collections/a/truncate", Route::Collections),
            ("GET", "/api/files/a/b/c", Route::Files),
            ("GET", "/api/health", Route::Api),
            ("GET", "/", Route::Static),
            ("BREW", "/%00", Route::Static),
        ];
        for (method, path, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Route::of(&method, path), expected, "{method} {path}");
        }
        assert_eq!(METHODS[method_index(&Method::CONNECT)], "other");
        assert_eq!(STATUSES[status_index(StatusCode::NOT_FOUND)], "4xx");
        assert_eq!(ROUTES[Route::Static as usize], "static");
    }
}
