//! The floor that Pando's web node is measured against: the least that a program can do which answers the same
//! questions from the same PostgreSQL over the same driver and HTTP library. One statement per request, whose result
//! is the answer's text; no collections, no rules, no log. It has the servers' command line: `serve --http ADDRESS
//! --dir UNUSED --data URL`.
//!
//! A token's signature is checked once and then remembered; that its owner still has the key it was made with is
//! part of the one statement.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio_postgres::NoTls;
use tokio_postgres::types::{ToSql, Type};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many as a Pando node has.
const CONNECTIONS: usize = base::limits::POSTGRES_CONNECTIONS_MAX;

const COLUMNS: &str = "p.id, p.title, p.body, p.views, p.author, p.created, p.updated";

/// The floor's statements, by what they answer.
struct Statements {
    view: String,
    owned: String,
    list: String,
    create: String,
}

impl Statements {
    fn new() -> Statements {
        Statements {
            view: format!(
                "SELECT row_to_json(t)::text FROM (SELECT {COLUMNS} FROM posts p WHERE p.id = $1) t"
            ),
            owned: format!(
                "SELECT row_to_json(t)::text FROM (SELECT {COLUMNS}, p.owner FROM owned p JOIN users u ON u.id = p.owner \
                 WHERE p.id = $1 AND u.id = $2 AND u.\"tokenKey\" = $3) t"
            ),
            list: format!(
                "SELECT '{{\"items\":' || coalesce(json_agg(row_to_json(t)), '[]')::text || '}}' FROM \
                 (SELECT {COLUMNS} FROM posts p WHERE p.views < $1 ORDER BY p.views DESC NULLS LAST LIMIT 30) t"
            ),
            create: format!(
                "INSERT INTO posts AS p (title, body, views, author, created, updated) \
                 SELECT title, body, views, author, now(), now() FROM json_populate_record(NULL::posts, $1::text::json) \
                 RETURNING (SELECT row_to_json(t)::text FROM (SELECT {COLUMNS}) t)"
            ),
        }
    }
}

struct Floor {
    pool: Pool,
    statements: Statements,
    tokens: RwLock<HashMap<String, Arc<Known>>>,
}

/// A token whose signature was good.
struct Known {
    user: String,
    key: String,
    expires: u64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name).with_context(|| format!("{name} is missing"))?;
        args.get(at + 1).cloned().with_context(|| format!("{name} needs a value"))
    };
    let (address, url) = (value("--http")?, value("--data")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&address, &url))
}

async fn serve(address: &str, url: &str) -> Result<()> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(url.parse()?, NoTls, config);
    let pool = Pool::builder(manager).max_size(CONNECTIONS).build()?;
    let floor = Arc::new(Floor { pool, statements: Statements::new(), tokens: RwLock::default() });
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let floor = floor.clone();
        let service = hyper::service::service_fn(move |request| {
            let floor = floor.clone();
            async move { Ok::<_, Infallible>(answer(&floor, request).await) }
        });
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_millis(base::limits::HEADER_READ_MS))
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(floor: &Floor, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = match answered(floor, request).await {
        Ok(Some(text)) => (StatusCode::OK, Bytes::from(text)),
        Ok(None) => (StatusCode::NOT_FOUND, Bytes::from_static(b"{}")),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from(error.to_string())),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn answered(floor: &Floor, request: Request<Incoming>) -> Result<Option<String>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/api/health" {
        return Ok(Some("{}".into()));
    }
    let Some(rest) = path.strip_prefix("/api/collections/") else { return Ok(None) };
    let mut parts = rest.split('/');
    let (collection, id) = (parts.next().unwrap_or_default(), parts.nth(1));
    let statements = &floor.statements;
    match (&head.method, collection, id) {
        (&Method::GET, "posts", Some(id)) => floor.one(&statements.view, &[Type::TEXT], &[&id]).await,
        (&Method::GET, "owned", Some(id)) => {
            let token = head.headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
            let Some(known) = floor.known(token).await? else { return Ok(None) };
            let types = [Type::TEXT, Type::TEXT, Type::TEXT];
            floor.one(&statements.owned, &types, &[&id, &known.user, &known.key]).await
        }
        (&Method::GET, "posts", None) => {
            // The filter is `views < N`.
            let query = head.uri.query().unwrap_or_default();
            let number: f64 = query.rsplit("%20").next().unwrap_or_default().parse()?;
            floor.one(&statements.list, &[Type::FLOAT8], &[&number]).await
        }
        (&Method::POST, "posts", None) => {
            let body = body.collect().await?.to_bytes();
            floor.one(&statements.create, &[Type::TEXT], &[&std::str::from_utf8(&body)?]).await
        }
        _ => Ok(None),
    }
}

impl Floor {
    /// The only column of the only row.
    async fn one(&self, sql: &str, types: &[Type], params: &[&(dyn ToSql + Sync)]) -> Result<Option<String>> {
        let client = self.pool.get().await?;
        let statement = client.prepare_typed_cached(sql, types).await?;
        let row = client.query_opt(&statement, params).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn known(&self, token: &str) -> Result<Option<Arc<Known>>> {
        let known = self.tokens.read().get(token).cloned();
        let known = match known {
            Some(known) => known,
            None => match self.check(token).await? {
                Some(known) => known,
                None => return Ok(None),
            },
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok((known.expires > now).then_some(known))
    }

    /// Checks a token that was not seen before.
    async fn check(&self, token: &str) -> Result<Option<Arc<Known>>> {
        use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous};
        #[derive(serde::Deserialize)]
        struct Claims {
            id: String,
            exp: u64,
        }
        let claims = dangerous::insecure_decode::<Claims>(token)?.claims;
        let client = self.pool.get().await?;
        let sql = "SELECT u.\"tokenKey\", c.options->'authToken'->>'secret' FROM users u, _collections c \
                   WHERE u.id = $1 AND c.name = 'users'";
        let Some(row) = client.query_opt(sql, &[&claims.id]).await? else { return Ok(None) };
        let (key, secret): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let good = jsonwebtoken::decode::<Claims>(
            token,
            &DecodingKey::from_secret(format!("{key}{secret}").as_bytes()),
            &Validation::new(Algorithm::HS256),
        );
        if good.is_err() {
            return Ok(None);
        }
        let known = Arc::new(Known { user: claims.id, key, expires: claims.exp });
        self.tokens.write().insert(token.to_owned(), known.clone());
        Ok(Some(known))
    }
}
