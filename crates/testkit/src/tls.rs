//! Certificates for tests, and a small blocking HTTP/1.1 client over TLS that says which certificate it was shown.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, crypto, version};

use crate::http::{Answer, Request, read_answer};

const WAIT: Duration = Duration::from_secs(30);

/// A certificate that vouches for itself, and its key: both as PEM.
#[derive(Clone)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    pub fn for_names(names: &[&str]) -> Result<Issued> {
        Issued::between(names, 2000, 4000)
    }

    /// Valid from the first year's first day to that of the second.
    pub fn between(names: &[&str], begins: i32, ends: i32) -> Result<Issued> {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.not_before = rcgen::date_time_ymd(begins, 1, 1);
        params.not_after = rcgen::date_time_ymd(ends, 1, 1);
        let key = KeyPair::generate()?;
        Ok(Issued { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
    }

    /// As two files, each replaced at once; returned as `CERT:KEY`.
    pub fn write(&self, dir: &Path, name: &str) -> Result<String> {
        let mut paths = Vec::new();
        for (kind, text) in [("pem", &self.certificate), ("key", &self.key)] {
            let (new, path) = (dir.join(format!("{name}.{kind}.new")), dir.join(format!("{name}.{kind}")));
            std::fs::write(&new, text)?;
            std::fs::rename(&new, &path)?;
            paths.push(path.display().to_string());
        }
        Ok(paths.join(":"))
    }

    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate of our own")
    }
}

/// Who trusts exactly the given certificates.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Tls {
    pub fn new(port: u16, trusted: &[&Issued]) -> Tls {
        Tls::to(([127, 0, 0, 1], port).into(), trusted)
    }

    pub fn to(address: SocketAddr, trusted: &[&Issued]) -> Tls {
        let versions = [&version::TLS13, &version::TLS12];
        Tls { address, ..Tls::speaking(address.port(), trusted, &versions) }
    }

    pub fn speaking(
        port: u16,
        trusted: &[&Issued],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Tls {
        let mut roots = RootCertStore::empty();
        for issued in trusted {
            roots.add(issued.der()).expect("a certificate of our own");
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that there are")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Who resumes a session is not shown the certificate again.
        config.resumption = Resumption::disabled();
        Tls { config: Arc::new(config), address: ([127, 0, 0, 1], port).into() }
    }

    /// The same, with sessions that are resumed.
    pub fn resuming(&self) -> Tls {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::default();
        Tls { config: Arc::new(config), address: self.address }
    }

    /// A connection whose handshake is done.
    pub fn connect(&self, name: &str) -> io::Result<Encrypted> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&self.address, WAIT)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        stream.set_nodelay(true)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Encrypted(StreamOwned::new(tls, stream)))
    }
}

pub struct Encrypted(StreamOwned<ClientConnection, TcpStream>);

impl Encrypted {
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        self.0.write_all(&request.bytes())?;
        read_answer(&mut self.0, request.method != "HEAD")
    }

    /// Whether the other side has not closed it, as far as is known here.
    pub fn is_open(&self) -> bool {
        let stream = &self.0.sock;
        let blocks = |is: bool| stream.set_nonblocking(is).is_ok();
        let looked = blocks(true).then(|| stream.peek(&mut [0]));
        let is_closed = matches!(looked, Some(Ok(0)))
            || matches!(looked, Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock);
        blocks(false) && !is_closed
    }

    /// Whether the handshake was short, as the server knew the session.
    pub fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What the server showed first.
    pub fn shown(&self) -> Option<CertificateDer<'static>> {
        Some(self.0.conn.peer_certificates()?.first()?.clone().into_owned())
    }
}
