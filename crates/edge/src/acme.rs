//! Certificates from an authority (RFC 8555): ordered, kept on disk, and renewed in time. [`crate::tls`] serves the file as any
//! other.
//!
//! All that is known stands in one directory. Several processes may share it: one of them orders, and each can answer the
//! authority.

mod challenges;

mod order;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::limits;
use rustix::fs::{FlockOperation, flock};

pub use challenges::{Challenges, is_challenge};

use crate::tls::Pair;

/// What the front door is told of the authority.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// They share one certificate, and must lead to this front door.
    pub domains: Vec<String>,
    /// Where the authority writes to when something is wrong; may be empty.
    pub email: String,
    /// The authority's directory: a URL.
    pub directory: String,
    /// Where account, certificate and tokens are kept.
    pub dir: PathBuf,
    /// Roots for the authority's own TLS; none for those of the system.
    pub ca: Option<PathBuf>,
}

impl Options {
    /// Certificate and key are one file, so that both change at once.
    pub fn pair(&self) -> Pair {
        let file = self.dir.join("certificate.pem");
        Pair { certificate: file.clone(), key: file }
    }
}

/// Orders whenever it is time to, as long as the process lives.
pub async fn run(options: Options) {
    let mut failures = 0;
    loop {
        let wait = match turn(&options).await {
            Ok(next) => {
                failures = 0;
                next
            }
            Err(error) => {
                metrics::counter!("pando_front_acme_orders_total", "outcome" => "failed").increment(1);
                let wait = backoff(failures);
                failures += 1;
                tracing::error!(
                    "no certificate for {} from {}: {error}; the next try is in {} s",
                    options.domains.join(", "),
                    options.directory,
                    wait.as_secs()
                );
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Orders if it is time to and nobody else does. Tells when to look again.
async fn turn(options: &Options) -> Result<Duration, AcmeError> {
    let look = Duration::from_millis(limits::FRONT_ACME_LOOK_MS);
    if !is_due(options) {
        return Ok(look);
    }
    let Some(_lock) = lock(&options.dir)? else {
        return Ok(Duration::from_millis(limits::FRONT_ACME_TURN_MS));
    };
    // Whoever held the lock may have done it.
    if !is_due(options) {
        return Ok(look);
    }
    tracing::info!("ordering a certificate for {}", options.domains.join(", "));
    let limit = Duration::from_millis(limits::FRONT_ACME_ORDER_MS);
    let pem =
        tokio::time::timeout(limit, order::certificate(options)).await.map_err(|_| AcmeError::Late)??;
    write(&options.pair().certificate, pem.as_bytes())?;
    metrics::counter!("pando_front_acme_orders_total", "outcome" => "granted").increment(1);
    tracing::info!("a new certificate for {} is there", options.domains.join(", "));
    Ok(look)
}

#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Authority(#[from] instant_acme::Error),
    #[error("the account in {} cannot be read: {reason}", path.display())]
    Account { path: PathBuf, reason: serde_json::Error },
    #[error("the authority offers no challenge over HTTP for {0}")]
    NoChallenge(String),
    #[error("the authority does not accept {0}")]
    Refused(String),
    #[error("the authority took too long")]
    Late,
}

/// Whether there is no certificate for these domains, or two thirds of its life are over. Each process has its own moment a
/// little after, so that several do not come at once.
fn is_due(options: &Options) -> bool {
    let Ok(certificate) = options.pair().load() else { return true };
    let covers = |domain: &String| certificate.names.contains(&domain.to_ascii_lowercase());
    if !options.domains.iter().all(covers) {
        return true;
    }
    let life = certificate.ends - certificate.begins;
    let jitter = life / 100 * i64::from(std::process::id() % 5);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    now as i64 >= certificate.begins + life / 3 * 2 + jitter
}

fn backoff(failures: u32) -> Duration {
    let most = Duration::from_millis(limits::FRONT_ACME_RETRY_MAX_MS);
    let wait = Duration::from_millis(limits::FRONT_ACME_RETRY_MS).saturating_mul(1 << failures.min(16));
    wait.min(most).mul_f64(rand::random_range(1.0..1.25))
}

/// None while another process holds it. Ends with what is returned, or with the process.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    directory(dir)?;
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn directory(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| told(dir, error))
}

/// All of it or nothing, readable for this user alone.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    written().map_err(|error| told(path, error))
}

fn told(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
