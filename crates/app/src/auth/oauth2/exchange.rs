//! Asking the provider: the code for a token, the token for the user's data.

use backing::fetch::{Answer, Body, Call, Fetch, FetchError, Reach};
use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::OAuth2Provider;
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use super::id_token;
use super::providers::{Provider, Quirk, Source};
use super::user::{self, RemoteUser, Unusable};
use crate::error::Error;

/// What the provider gave for the code.
#[derive(Clone, Debug, Default)]
pub struct Token {
    pub access: String,
    /// Empty when there is none.
    pub refresh: String,
    /// Empty when the provider does not say.
    pub expiry: String,
    /// The provider's whole answer.
    pub raw: Json,
}

/// What a client brings back from the provider.
pub struct Code<'a> {
    pub code: &'a str,
    pub verifier: &'a str,
    pub redirect_url: &'a str,
}

pub struct Exchange<'a> {
    pub fetch: &'a Fetch,
    pub provider: &'a Provider,
    pub config: &'a OAuth2Provider,
    pub now: Timestamp,
}

fn failed(what: &str, details: impl std::fmt::Display) -> Error {
    Error::new(base::Kind::Invalid, format!("Failed to fetch OAuth2 {what}.")).details(details)
}

impl From<FetchError> for Unusable {
    fn from(error: FetchError) -> Self {
        Unusable(error.to_string())
    }
}

impl Exchange<'_> {
    /// The client's own name and secret go into a header, and into the form for providers that want them there.
    pub async fn token(&self, code: &Code<'_>) -> Result<Token, Error> {
        let first = self.ask_for_token(code, true).await;
        let answer = match first {
            Ok(answer) => answer,
            Err(first) => self
                .ask_for_token(code, false)
                .await
                .map_err(|second| failed("token", format!("{}; then: {}", first.0, second.0)))?,
        };
        let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let seconds = match answer.get("expires_in") {
            Some(Json::Number(number)) => number.as_f64().unwrap_or_default() as i64,
            Some(Json::String(text)) => text.parse().unwrap_or_default(),
            _ => 0,
        };
        let expiry = match seconds {
            0 => String::new(),
            _ => Timestamp(self.now.0.saturating_add(seconds.saturating_mul(1000))).to_string(),
        };
        Ok(Token { access: text("access_token"), refresh: text("refresh_token"), expiry, raw: answer })
    }

    async fn ask_for_token(&self, code: &Code<'_>, in_header: bool) -> Result<Json, Unusable> {
        let config = self.config;
        let mut form = vec![("grant_type".to_owned(), "authorization_code".to_owned())];
        let mut add = |name: &str, value: &str| form.push((name.into(), value.into()));
        add("code", code.code);
        if !code.redirect_url.is_empty() {
            add("redirect_uri", code.redirect_url);
        }
        if config.pkce.unwrap_or(self.provider.pkce) {
            add("code_verifier", code.verifier);
        }
        let mut call = Call::get(self.url(&config.token_url, self.provider.token_url), Reach::Configured)
            .header("accept", "application/json");
        if in_header {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&config.client_id), encode(&config.client_secret));
            call = call.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        } else {
            add("client_id", &config.client_id);
            add("client_secret", &config.client_secret);
        }
        let answer = self.fetch.send(call.body(Body::Form(form))).await?;
        if !answer.is_success() {
            return Err(Unusable(format!("the provider answered {}", answer.status)));
        }
        let answer = serde_json::from_slice(&answer.body).unwrap_or_else(|_| as_form(&answer.body));
        match answer.get("access_token").and_then(Json::as_str) {
            Some(token) if !token.is_empty() => Ok(answer),
            _ => Err(Unusable(format!("no access token: {}", answer.get("error").unwrap_or(&Json::Null)))),
        }
    }

    pub async fn user(&self, token: &Token) -> Result<RemoteUser, Error> {
        self.read_user(token).await.map_err(|error| failed("user", error.0))
    }

    async fn read_user(&self, token: &Token) -> Result<RemoteUser, Unusable> {
        let (config, provider) = (self.config, self.provider);
        let info_url = self.url(&config.user_info_url, provider.user_info_url);
        let answer = match &provider.source {
            Source::IdToken { issuers, jwks_url } => {
                let mut checks = id_token::Checks::of(config);
                checks.issuers = issuers.iter().map(|issuer| issuer.to_string()).collect();
                checks.jwks_url = jwks_url.to_string();
                id_token::verified(self.fetch, &token.raw, &checks, self.now).await?
            }
            Source::OpenId if info_url.is_empty() => {
                let checks = id_token::Checks::of(config);
                id_token::verified(self.fetch, &token.raw, &checks, self.now).await?
            }
            Source::OpenId => self.info(&info_url, &[], Body::None, token).await?,
            Source::Get(headers) => self.info(&info_url, headers, Body::None, token).await?,
            Source::GraphQl(query) => {
                let body = Body::Json(json!({"query": query}).to_string());
                self.info(&info_url, &[], body, token).await?
            }
        };
        let mut found = user::read(provider, config, &answer, &token.raw)?;
        let emails_url = match provider.user.quirk {
            Quirk::EmailsList | Quirk::EmailsValues => format!("{info_url}/emails"),
            Quirk::GiteeEmails if !found.email.contains('@') => {
                let base = info_url.strip_suffix("/user").unwrap_or(&info_url);
                format!("{base}/emails")
            }
            _ => return Ok(found),
        };
        let answer = self.get(&emails_url, &[], Body::None, token).await?;
        found.email = match answer.status {
            // The user gave no access to the addresses.
            401 | 403 | 404 => String::new(),
            _ => user::primary_email(&provider.user.quirk, &as_json(&answer)?)?,
        };
        Ok(found)
    }

    async fn info(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Body,
        token: &Token,
    ) -> Result<Json, Unusable> {
        let answer = self.get(url, headers, body, token).await?;
        match answer.is_success() {
            true => as_json(&answer),
            false => Err(Unusable(format!("the provider answered {}", answer.status))),
        }
    }

    async fn get(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Body,
        token: &Token,
    ) -> Result<Answer, Unusable> {
        let mut call = Call::get(url, Reach::Configured)
            .header("authorization", format!("Bearer {}", token.access))
            .header("accept", "application/json")
            .body(body);
        for (name, value) in headers {
            call = call.header(name, value.replace("$client", &self.config.client_id));
        }
        Ok(self.fetch.send(call).await?)
    }

    fn url(&self, own: &str, default: &str) -> String {
        if own.is_empty() { default.to_owned() } else { own.to_owned() }
    }
}

fn as_json(answer: &Answer) -> Result<Json, Unusable> {
    serde_json::from_slice(&answer.body).map_err(|error| Unusable(format!("no JSON: {error}")))
}

/// Some providers answer as a form, whatever they are asked for.
fn as_form(body: &[u8]) -> Json {
    let pairs = form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Json::from(&*value)));
    Json::Object(pairs.collect())
}
