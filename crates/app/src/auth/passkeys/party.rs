//! Who asks: the domain and the pages that keys are bound to.

use base::Kind;
use webauthn_rs::prelude::{Url, Webauthn, WebauthnBuilder};

use crate::error::{Error, Result};
use crate::parts::Parts;

pub(super) fn of(parts: &Parts) -> Result<Webauthn> {
    let unavailable = |details: &str| {
        let message = "Passkeys are not available: they need an application URL with a domain.";
        Error::new(Kind::Unsupported, message).details(details)
    };
    let options = &parts.passkeys;
    let settings = parts.settings.load();
    let mut origins: Vec<&str> = options.origins.iter().map(String::as_str).collect();
    if origins.is_empty() {
        origins.push(&settings.meta.app_url);
    }
    let urls = origins
        .into_iter()
        .map(|origin| Url::parse(origin).map_err(|error| unavailable(&format!("{origin:?}: {error}"))))
        .collect::<Result<Vec<Url>>>()?;
    let first = urls.first().ok_or_else(|| unavailable("no origin"))?;
    let rp_id = match options.rp_id.as_str() {
        "" => first.domain().ok_or_else(|| unavailable("the URL names no domain"))?,
        own => own,
    };
    let name = settings.meta.app_name.as_str();
    let mut builder = WebauthnBuilder::new(rp_id, first)
        .map_err(|_| unavailable("the URL does not belong to the domain"))?
        .rp_name(if name.is_empty() { rp_id } else { name });
    for url in &urls[1..] {
        builder = builder.append_allowed_origin(url);
    }
    builder.build().map_err(|error| unavailable(&error.to_string()))
}
