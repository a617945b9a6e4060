//! Encrypted connections to nodes.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connection::Stream;
use crate::body::Failure;

#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}: {1}")]
    File(String, rustls::pki_types::pem::Error),
    #[error("{0} holds no certificate that could be used: {1}")]
    Certificate(String, rustls::Error),
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Trusts the authorities of one file alone, and nobody without one.
    pub fn new(authorities: Option<&Path>) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = authorities {
            let name = path.display().to_string();
            let file = |error| TlsError::File(name.clone(), error);
            for certificate in CertificateDer::pem_file_iter(path).map_err(file)? {
                let added = roots.add(certificate.map_err(file)?);
                added.map_err(|error| TlsError::Certificate(name.clone(), error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Tls(Arc::new(config)))
    }

    pub async fn wrap(&self, stream: TcpStream, address: &str) -> Result<Stream, Failure> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TlsConnector::from(self.0.clone()).connect(ServerName::try_from(host)?, stream).await?;
        Ok(Stream::Secure(Box::new(stream)))
    }
}
