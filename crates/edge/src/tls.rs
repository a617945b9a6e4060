//! Encryption towards clients: TLS 1.3 and 1.2, with certificates that may change while they are in use.

mod certificates;

mod pair;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};

pub use certificates::Certificates;
pub use pair::Pair;

/// What the front door is told of TLS. The first certificate serves whoever names no domain, or one that has none.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub certificates: Vec<Pair>,
    /// Each `NAME.pem`, `NAME.crt` or `NAME/fullchain.pem` in it that has a key beside it.
    pub dir: Option<PathBuf>,
    /// Clients that know nothing newer than 1.2 are refused.
    pub only_13: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {reason}", path.display())]
    Pair { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// How connections are encrypted from now on, whatever becomes of the certificates.
pub fn config(options: &Options, certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[_] = if options.only_13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Keys of tickets are made anew every few hours.
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
