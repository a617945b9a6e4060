//! One certificate and its key, in files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::limits;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::TlsError;

/// PEM files; both may be the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The certificate, then those of its issuers.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the files hold.
pub struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What can be served.
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    /// In lower case; may begin with `*.`.
    pub names: Vec<String>,
    /// When it begins and ends to be valid, in seconds since 1970.
    pub begins: i64,
    pub ends: i64,
}

impl Pair {
    pub fn read(&self) -> Result<Files, TlsError> {
        Ok(Files { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// Reads what the files hold, and refuses a key that is not the certificate's.
    pub fn parse(&self, files: &Files) -> Result<Certificate, TlsError> {
        let wrong = |path: &Path, reason: String| TlsError::Pair { path: path.to_owned(), reason };
        let chain = CertificateDer::pem_slice_iter(&files.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(&self.certificate, format!("no PEM: {error}")))?;
        let Some(first) = chain.first() else {
            return Err(wrong(&self.certificate, "holds no certificate".into()));
        };
        let (_, parsed) = x509_parser::parse_x509_certificate(first)
            .map_err(|error| wrong(&self.certificate, format!("no certificate: {error}")))?;
        let names = names(&parsed);
        let (begins, ends) =
            (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let key = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|error| wrong(&self.key, format!("holds no private key: {error}")))?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
            wrong(&self.key, format!("is not the key of {}: {error}", self.certificate.display()))
        })?;
        Ok(Certificate { key: Arc::new(key), names, begins, ends })
    }

    pub fn load(&self) -> Result<Certificate, TlsError> {
        self.parse(&self.read()?)
    }
}

impl Files {
    /// Differs when either file does. The key is not kept.
    pub fn mark(&self, hasher: &impl std::hash::BuildHasher) -> u64 {
        hasher.hash_one((&self.certificate, &self.key))
    }
}

fn names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let wrong = |reason: String| TlsError::Pair { path: path.to_owned(), reason };
    let file = fs::File::open(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    let length = file.take(limits::FRONT_CERTIFICATE_BYTES_MAX + 1).read_to_end(&mut bytes);
    match length.map_err(|error| wrong(format!("cannot be read: {error}")))? as u64 {
        limits::FRONT_CERTIFICATE_BYTES_MAX.. => Err(wrong("is too large for a certificate or key".into())),
        _ => Ok(bytes),
    }
}
