//! All certificates of a front door: which one a client gets, and what changes of their files.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use base::limits;
use parking_lot::Mutex;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};

use super::pair::Certificate;
use super::{Options, Pair, TlsError};

pub struct Certificates {
    options: Options,
    /// Files that are written later, and not there at first.
    later: Vec<Pair>,
    table: ArcSwap<Table>,
    known: Mutex<HashMap<Pair, Known>>,
    hasher: RandomState,
}

#[derive(Default)]
struct Table {
    /// For whoever names no domain, or one that has no certificate.
    first: Option<Arc<CertifiedKey>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

/// What is known of one pair.
#[derive(Default)]
struct Known {
    /// What is served of it, and the mark of the files that it came from.
    good: Option<(u64, Arc<Certificate>)>,
    /// The mark of files that cannot be used.
    bad: Option<u64>,
    /// It was said that they cannot.
    complained: bool,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Those that are listed must be good; those of the directory, and of `later`, may become so.
    pub fn load(options: Options, later: Vec<Pair>) -> Result<Certificates, TlsError> {
        let (table, known, hasher) = (ArcSwap::default(), Mutex::default(), RandomState::new());
        let certificates = Certificates { options, later, table, known, hasher };
        for pair in &certificates.options.certificates {
            pair.load()?;
        }
        certificates.look();
        Ok(certificates)
    }

    /// Looks at all files, and serves what they hold from now on. What cannot be used is left as it was. Blocks.
    pub fn look(&self) {
        let Some(pairs) = self.pairs() else { return };
        let mut known = self.known.lock();
        let before = known.len();
        known.retain(|pair, _| pairs.contains(pair));
        let mut changed = known.len() != before;
        for pair in &pairs {
            changed |= self.look_at(pair, known.entry(pair.clone()).or_default());
        }
        if changed || self.table.load().first.is_none() {
            self.table.store(Arc::new(table(&pairs, &known)));
        }
        expiry(&known);
    }

    /// Whether something else is to be served for this pair.
    fn look_at(&self, pair: &Pair, known: &mut Known) -> bool {
        let files = match pair.read() {
            Ok(files) => files,
            // Not there yet.
            Err(_) if known.good.is_none() && self.later.contains(pair) => return false,
            Err(error) => {
                complain(known, 0, &error);
                return false;
            }
        };
        let mark = files.mark(&self.hasher);
        if known.good.as_ref().is_some_and(|(good, _)| *good == mark) {
            (known.bad, known.complained) = (None, false);
            return false;
        }
        match pair.parse(&files) {
            Ok(certificate) => {
                if known.good.is_some() {
                    tracing::info!(certificate = %pair.certificate.display(), "a changed certificate is in use");
                    metrics::counter!("pando_front_certificate_reloads_total", "outcome" => "changed")
                        .increment(1);
                }
                *known = Known { good: Some((mark, Arc::new(certificate))), ..Known::default() };
                true
            }
            Err(error) => {
                complain(known, mark, &error);
                false
            }
        }
    }

    /// All there should be, in their order; none when that cannot be told now.
    fn pairs(&self) -> Option<Vec<Pair>> {
        let mut pairs = self.options.certificates.clone();
        if let Some(dir) = &self.options.dir {
            match in_directory(dir) {
                Ok(found) => pairs.extend(found),
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "the directory of certificates cannot be read");
                    return None;
                }
            }
        }
        pairs.extend(self.later.iter().cloned());
        pairs.truncate(limits::FRONT_CERTIFICATES_MAX);
        Some(pairs)
    }

    /// Whether there is any that can be served.
    pub fn is_empty(&self) -> bool {
        self.table.load().first.is_none()
    }

    /// Looks again and again, and at once when the process is told to (SIGHUP).
    pub async fn watch(self: Arc<Self>, mut hangup: Signal) {
        let mut ticks = interval(Duration::from_millis(limits::FRONT_CERTIFICATES_POLL_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = hangup.recv() => tracing::info!("looking at the certificates"),
            }
            let own = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || own.look()).await {
                tracing::error!(%error, "the certificates could not be looked at");
            }
        }
    }

    fn named(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let wild = || {
            let (_, parent) = name.split_once('.')?;
            table.by_name.get(&format!("*.{parent}"))
        };
        table.by_name.get(name).or_else(wild).or(table.first.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            // In lower case already.
            Some(name) => self.named(name),
            None => self.table.load().first.clone(),
        }
    }
}

/// A file may be looked at between the writing of a certificate and of its key, so only what stays wrong is told.
fn complain(known: &mut Known, mark: u64, error: &TlsError) {
    if known.bad == Some(mark) && !known.complained {
        known.complained = true;
        let kept = if known.good.is_some() { "the one before stays in use" } else { "it is not in use" };
        tracing::error!("a certificate cannot be used, and {kept}: {error}");
        metrics::counter!("pando_front_certificate_reloads_total", "outcome" => "refused").increment(1);
    }
    if known.bad != Some(mark) {
        (known.bad, known.complained) = (Some(mark), false);
    }
}

fn table(pairs: &[Pair], known: &HashMap<Pair, Known>) -> Table {
    let mut table = Table::default();
    for pair in pairs {
        let Some((_, certificate)) = known.get(pair).and_then(|known| known.good.as_ref()) else { continue };
        table.first.get_or_insert_with(|| certificate.key.clone());
        for name in &certificate.names {
            table.by_name.entry(name.clone()).or_insert_with(|| certificate.key.clone());
        }
    }
    table
}

fn expiry(known: &HashMap<Pair, Known>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for (pair, known) in known {
        if let Some((_, certificate)) = &known.good {
            let name = pair.certificate.display().to_string();
            let left = certificate.ends as f64 - now;
            metrics::gauge!("pando_front_certificate_expires_seconds", "certificate" => name).set(left);
        }
    }
}

/// Each certificate with a key beside it: `NAME.crt` or `NAME.pem` with `NAME.key`, or as ACME clients keep them,
/// `NAME/fullchain.pem` with `NAME/privkey.pem`.
fn in_directory(dir: &Path) -> std::io::Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_certificate = path.extension().is_some_and(|kind| kind == "crt" || kind == "pem");
        let (certificate, key): (PathBuf, PathBuf) = match is_certificate {
            true => (path.clone(), path.with_extension("key")),
            false => (path.join("fullchain.pem"), path.join("privkey.pem")),
        };
        if certificate.is_file() && key.is_file() {
            pairs.push(Pair { certificate, key });
        }
    }
    pairs.sort();
    Ok(pairs)
}
