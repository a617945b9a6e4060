//! The keys of front doors that are about how clients come in: encryption, certificates, and the change of processes.

use std::path::PathBuf;

use anyhow::{Result, bail};
use base::limits;
use serde::{Deserialize, Serialize};

use super::{described, list, resolve};

described! {
    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Entry {
        /// Where it listens with encryption; several separated by commas.
        pub https: String,
        /// Whether clients without encryption are sent to where there is some.
        pub https_redirect: bool,
        /// A Unix socket: who starts with the same one takes over from the process that runs. Empty for none.
        pub handover: PathBuf,
        /// Certificates, and what is spoken.
        pub tls: Tls,
        /// Certificates from an authority. Who names domains agrees to its terms.
        pub acme: Acme,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Tls {
        /// Pairs of PEM files: `[{ cert = "…", key = "…" }]`, or `CERT:KEY` separated by commas. The first one serves whoever names no
        /// domain.
        pub certificates: Certificates,
        /// A directory of certificates: `NAME.crt` or `NAME.pem` with `NAME.key`, or `NAME/fullchain.pem` with
        /// `NAME/privkey.pem`; empty for none.
        pub dir: PathBuf,
        /// The oldest version that is spoken: `1.2` or `1.3`.
        pub min: String,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Acme {
        /// The domains that certificates are fetched for, separated by commas; empty for no authority.
        pub domains: String,
        /// Whom the authority writes to.
        pub email: String,
        /// The authority's directory.
        pub directory: String,
        /// Where account and certificate are kept.
        pub dir: PathBuf,
        /// A PEM file with the root of the authority's own TLS; empty for those of the system.
        pub ca: PathBuf,
    }
}

/// `CERT:KEY,…`, or a list of tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Certificates {
    Short(String),
    Listed(Vec<Certificate>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// A PEM file: the certificate, then those of its issuers.
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Tls { certificates: Certificates::Short(String::new()), dir: PathBuf::new(), min: "1.2".into() }
    }
}

impl Default for Acme {
    fn default() -> Self {
        Acme {
            domains: String::new(),
            email: String::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            dir: "acme".into(),
            ca: PathBuf::new(),
        }
    }
}

impl Entry {
    /// Adds what these keys say.
    pub fn overlay(&self, options: &mut edge::Options) -> Result<()> {
        options.https =
            list(&self.https).map(|address| resolve(address, 443)).collect::<Result<Vec<_>>>()?.concat();
        options.https_redirect = self.https_redirect;
        options.handover = given(&self.handover);
        options.tls = self.tls.options()?;
        options.acme = self.acme.options()?;
        let has_certificates =
            !options.tls.certificates.is_empty() || options.tls.dir.is_some() || options.acme.is_some();
        if options.https.is_empty() && (has_certificates || self.https_redirect) {
            bail!("front.https names no address, so certificates and front.https_redirect have no effect");
        }
        if !options.https.is_empty() && !has_certificates {
            bail!(
                "front.https needs a certificate: front.tls.certificates, front.tls.dir, or front.acme.domains"
            );
        }
        if options.acme.is_some() && options.http.is_empty() {
            bail!("front.acme needs front.http: the authority asks there, on port 80 from outside");
        }
        Ok(())
    }
}

impl Tls {
    fn options(&self) -> Result<edge::tls::Options> {
        let certificates = match &self.certificates {
            Certificates::Short(text) => list(text).map(short).collect::<Result<Vec<_>>>()?,
            Certificates::Listed(listed) => listed.iter().map(pair).collect(),
        };
        let only_13 = match self.min.as_str() {
            "1.2" => false,
            "1.3" => true,
            other => bail!("front.tls.min is \"1.2\" or \"1.3\", not {other:?}"),
        };
        if certificates.len() > limits::FRONT_CERTIFICATES_MAX {
            bail!("front.tls.certificates: {} at most", limits::FRONT_CERTIFICATES_MAX);
        }
        Ok(edge::tls::Options { certificates, dir: given(&self.dir), only_13 })
    }
}

impl Acme {
    fn options(&self) -> Result<Option<edge::acme::Options>> {
        let domains: Vec<String> = list(&self.domains).map(str::to_ascii_lowercase).collect();
        if domains.is_empty() {
            return Ok(None);
        }
        if domains.len() > limits::FRONT_ACME_DOMAINS_MAX {
            bail!("front.acme.domains: {} at most", limits::FRONT_ACME_DOMAINS_MAX);
        }
        if let Some(wild) = domains.iter().find(|domain| domain.contains('*')) {
            bail!("front.acme.domains: {wild} would need a proof over DNS, which is not supported");
        }
        if !self.directory.starts_with("https://") {
            bail!("front.acme.directory is a URL with https://");
        }
        Ok(Some(edge::acme::Options {
            domains,
            email: self.email.clone(),
            directory: self.directory.clone(),
            dir: self.dir.clone(),
            ca: given(&self.ca),
        }))
    }
}

fn given(path: &std::path::Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

fn short(text: &str) -> Result<edge::tls::Pair> {
    match text.split_once(':') {
        Some((cert, key)) if !cert.is_empty() && !key.is_empty() => {
            Ok(edge::tls::Pair { certificate: cert.into(), key: key.into() })
        }
        _ => bail!("front.tls.certificates: {text:?} is not CERT:KEY, two PEM files"),
    }
}

fn pair(listed: &Certificate) -> edge::tls::Pair {
    edge::tls::Pair { certificate: listed.cert.clone(), key: listed.key.clone() }
}
