//! What a rule may ask about the request that it judges.

use rustc_hash::FxHashMap;

use crate::record::Record;

/// `@request.*`. One value per request, shared by all the rules that it meets.
#[derive(Clone, Debug)]
pub struct Request {
    /// Upper case.
    pub method: &'static str,
    /// `default`, `oauth2`, `otp`, `password`, `realtime`, `protectedFile`, `expand`.
    pub context: &'static str,
    pub query: FxHashMap<String, String>,
    /// Names lower-cased, `-` as `_`.
    pub headers: FxHashMap<String, String>,
    pub auth: Option<std::sync::Arc<Record>>,
    /// The body as sent, modifiers' keys included; empty for requests without one.
    pub body: serde_json::Map<String, serde_json::Value>,
    pub client: Client,
}

/// Where a request comes from. No rule asks for it: logins remember it.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub ip: Option<std::net::IpAddr>,
    pub user_agent: String,
    /// Whether no superuser may come from there.
    pub bars_superusers: bool,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            method: "GET",
            context: "default",
            query: FxHashMap::default(),
            headers: FxHashMap::default(),
            auth: None,
            body: serde_json::Map::new(),
            client: Client::default(),
        }
    }
}

impl Request {
    pub fn is_superuser(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.collection.is_superusers())
    }
}
