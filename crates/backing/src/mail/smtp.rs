//! Handing a mail to an SMTP server, over one connection each.

use std::time::Duration;

use async_trait::async_trait;
use base::limits::SMTP_STEP_MS;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Error, Login, Result, Smtp, Transport};

struct Relay(AsyncSmtpTransport<Tokio1Executor>);

pub(super) fn open(smtp: &Smtp) -> Result<Box<dyn Transport>> {
    let parameters =
        TlsParameters::new(smtp.host.clone()).map_err(|error| Error::Unavailable(error.to_string()))?;
    let has_login = !smtp.username.is_empty() || !smtp.password.is_empty();
    let tls = if smtp.tls {
        Tls::Wrapper(parameters)
    } else if has_login && !is_local(&smtp.host) {
        // A password never crosses the network in the clear, whatever the server offers.
        Tls::Required(parameters)
    } else {
        Tls::Opportunistic(parameters)
    };
    let local_name = match smtp.local_name.as_str() {
        "" => "localhost".to_string(),
        name => super::one_line(name),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.clone())
        .port(smtp.port)
        .tls(tls)
        .hello_name(ClientId::Domain(local_name))
        .timeout(Some(Duration::from_millis(SMTP_STEP_MS)));
    if has_login {
        let mechanism = match smtp.login {
            Login::Plain => Mechanism::Plain,
            Login::Login => Mechanism::Login,
        };
        builder = builder
            .credentials(Credentials::new(smtp.username.clone(), smtp.password.clone()))
            .authentication(vec![mechanism]);
    }
    Ok(Box::new(Relay(builder.build())))
}

fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[async_trait]
impl Transport for Relay {
    async fn send(&self, message: &lettre::Message) -> Result<()> {
        match self.0.send(message.clone()).await {
            Ok(_) => Ok(()),
            // A refused login is told as permanent too, and yet is the settings' fault, not the mail's.
            Err(error) if error.is_permanent() && !is_login(&error) => Err(Error::Refused(chain(&error))),
            Err(error) => Err(Error::Unavailable(chain(&error))),
        }
    }
}

/// The codes of RFC 4954 for logins that are wanted, refused or too weak.
fn is_login(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
