//! Connections: how they are made, what is prepared for them once, and what their failures mean.

use std::sync::Arc;
use std::time::Duration;

use base::{Name, limits};
use deadpool_postgres::{
    Hook, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};

/// How long one statement may run on the server.
pub const STATEMENT_MS: u64 = 30_000;
/// How long a server that accepted a statement may stay silent before the connection is given up.
pub const SILENCE: Duration = Duration::from_millis(STATEMENT_MS + 5_000);

/// Where hosts stand in for each other, a commit is acknowledged once a standby has it, if the servers are set up so.
pub const CONFIRMED: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";

/// What every connection is given, whatever the address says.
pub fn prepared(mut config: Config) -> Config {
    let tls = config.get_ssl_mode() == SslMode::Require;
    if !tls {
        // "Prefer" would fail at the self-signed certificate that many servers come with: TLS is asked for by
        // name, and then the certificate is checked.
        config.ssl_mode(SslMode::Disable);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_millis(limits::POSTGRES_CONNECT_MS));
    }
    if config.get_application_name().is_none() {
        config.application_name("pando");
    }
    config.tcp_user_timeout(SILENCE);
    config.keepalives_idle(Duration::from_secs(30));
    // Compiling a filter of many conditions takes longer than any page of records.
    let own = format!(
        "-c timezone=UTC -c jit=off -c statement_timeout={STATEMENT_MS} -c lock_timeout={}",
        limits::STORE_WAIT_MS
    );
    let options = match config.get_options() {
        Some(given) => format!("{own} {given}"),
        None => own,
    };
    config.options(options);
    config
}

/// A pool whose new connections are used only once `admit` has let them in.
pub fn pool(config: Config, admit: Option<Hook>) -> Result<Pool> {
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match config.get_ssl_mode() == SslMode::Require {
        true => Manager::from_config(config, tls()?, manager_config),
        false => Manager::from_config(config, NoTls, manager_config),
    };
    let builder = match admit {
        Some(admit) => Pool::builder(manager).post_create(admit),
        None => Pool::builder(manager),
    };
    builder
        .max_size(limits::POSTGRES_CONNECTIONS_MAX)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(Duration::from_millis(limits::STORE_WAIT_MS)),
            create: Some(Duration::from_millis(limits::POSTGRES_CONNECT_MS)),
            recycle: Some(Duration::from_millis(limits::POSTGRES_CONNECT_MS)),
        })
        .build()
        .map_err(|error| Error::Internal(error.to_string()))
}

pub fn tls() -> Result<MakeRustlsConnect> {
    client_config().map(MakeRustlsConnect::new)
}

/// Trusts the system's certificates; `SSL_CERT_FILE` names others, as everywhere.
fn client_config() -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::Refused(
            "sslmode=require: no trusted certificates were found; install the system's, or name a file in SSL_CERT_FILE"
                .into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| Error::Internal(error.to_string()))
}

pub fn pool_failure(error: PoolError) -> Error {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            Error::Unavailable("all connections to PostgreSQL are taken".into())
        }
        PoolError::Timeout(_) => Error::Away("no connection to PostgreSQL in time".into()),
        PoolError::Backend(error) => match failure(error) {
            // No role, no database: the address is wrong, which no later try will mend.
            refused @ Error::Refused(_) => refused,
            Error::Away(text) => Error::Away(text),
            other => Error::Away(other.to_string()),
        },
        other => Error::Away(other.to_string()),
    }
}

/// The driver's error in our terms.
pub fn failure(error: tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        let text = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        // A parameter that has no form in the column's type.
        if text.starts_with("error serializing parameter") || text.contains("embedded null") {
            return Error::Refused(text);
        }
        return Error::Away(text);
    };
    let code = db.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        return Error::Taken {
            table: Name::from(db.table().unwrap_or_default()),
            columns: taken_columns(db.detail().unwrap_or_default()),
        };
    }
    if code.code() == super::departure::FENCE_STATE {
        return Error::Moved;
    }
    if code.code() == "PD001" {
        return Error::Guard(db.message().parse().unwrap_or(0));
    }
    let text = match db.detail() {
        Some(detail) => format!("{} ({detail})", db.message()),
        None => db.message().to_owned(),
    };
    if *code == SqlState::DISK_FULL {
        return Error::Full(text);
    }
    if *code == SqlState::QUERY_CANCELED {
        return Error::Slow(text);
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION || *code == SqlState::TOO_MANY_CONNECTIONS {
        return Error::Away(text);
    }
    match &code.code()[..2] {
        // Connection, operator intervention (shutdown, a server that is starting).
        "08" | "57" => Error::Away(text),
        // Resources, transaction rollback, object not in the needed state (lock timeout).
        "53" | "40" | "55" | "25" => Error::Unavailable(text),
        "XX" | "58" => Error::Internal(text),
        _ => Error::Refused(text),
    }
}

/// The same of a statement that was made from a schema, not written by a person: what it names was there.
pub fn data_failure(error: tokio_postgres::Error) -> Error {
    let gone = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
    match error.as_db_error() {
        Some(db) if gone.contains(db.code()) => Error::Outdated(db.message().to_owned()),
        _ => failure(error),
    }
}

/// `Key (title, lower(slug))=(a, b) already exists.`
fn taken_columns(detail: &str) -> Vec<String> {
    let inner = detail.strip_prefix("Key (").and_then(|rest| rest.split_once(")=(")).map(|(inner, _)| inner);
    inner
        .unwrap_or_default()
        .split(", ")
        .filter(|part| !part.is_empty())
        .map(|part| {
            let part = part.strip_prefix("lower(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(part);
            part.trim_matches('"').to_owned()
        })
        .collect()
}

/// Two transactions were in each other's way: the same batch may go through the next time.
pub fn may_retry(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

/// The server has ended the connection, or it broke.
pub fn is_ended(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || error
            .code()
            .is_some_and(|code| [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code))
}

/// The statement was prepared for a schema that another process has changed since.
pub fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::DATATYPE_MISMATCH,
            SqlState::INDETERMINATE_DATATYPE,
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::INVALID_BINARY_REPRESENTATION,
            SqlState::PROTOCOL_VIOLATION,
        ]
        .contains(code)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_of_a_conflict() {
        let columns = super::taken_columns;
        assert_eq!(columns("Key (a, \"B c\")=(1, 2) already exists."), ["a", "B c"]);
        assert_eq!(columns("Key (lower(email))=(x) already exists."), ["email"]);
        assert!(columns("").is_empty());
    }
}
