//! The OAuth2 options of an auth collection, and their JSON.

use serde_json::{Map, Value as Json, json};

use crate::field::Malformed;
use crate::field::read::Reader;

type Outcome = Result<(), Malformed>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAuth2Options {
    pub enabled: bool,
    pub providers: Vec<OAuth2Provider>,
    pub mapped_id: String,
    pub mapped_name: String,
    pub mapped_username: String,
    pub mapped_avatar: String,
}

/// One OAuth2 provider. Empty addresses mean the provider's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAuth2Provider {
    /// Unset lets the provider decide.
    pub pkce: Option<bool>,
    pub name: String,
    pub client_id: String,
    /// Never part of an answer.
    pub client_secret: String,
    pub auth_url: String,
    pub token_url: String,
    pub user_info_url: String,
    pub display_name: String,
    /// Keys in alphabetical order.
    pub extra: Map<String, Json>,
}

impl OAuth2Options {
    pub(super) fn patch(reader: Reader<'_>, options: &mut OAuth2Options) -> Outcome {
        reader.bool("enabled", &mut options.enabled)?;
        if let Some(Json::Null) = reader.get("mappedFields") {
            for mapped in options.mapped_mut() {
                mapped.1.clear();
            }
        } else if let Some(mapped) = reader.get("mappedFields") {
            let mapped = Reader::of(mapped)?;
            for (key, target) in options.mapped_mut() {
                mapped.text(key, target)?;
            }
        }
        match reader.get("providers") {
            None => {}
            Some(Json::Null) => options.providers.clear(),
            Some(Json::Array(items)) => {
                let old = std::mem::take(&mut options.providers);
                for item in items {
                    let given = Reader::of(item)?;
                    let mut name = String::new();
                    given.text("name", &mut name)?;
                    // What is left out, the secret above all, stays what it was for the provider of that name.
                    let mut provider =
                        old.iter().find(|provider| provider.name == name).cloned().unwrap_or_default();
                    provider.patch(given)?;
                    options.providers.push(provider);
                }
            }
            Some(_) => return Err(Malformed),
        }
        Ok(())
    }

    /// The names of the fields that a sign-in fills, by their keys.
    pub(super) fn mapped_mut(&mut self) -> [(&'static str, &mut String); 4] {
        [
            ("id", &mut self.mapped_id),
            ("name", &mut self.mapped_name),
            ("username", &mut self.mapped_username),
            ("avatarURL", &mut self.mapped_avatar),
        ]
    }

    pub(super) fn to_json(&self, secrets: bool) -> Json {
        json!({
            "providers": self.providers.iter().map(|provider| provider.to_json(secrets)).collect::<Vec<_>>(),
            "mappedFields": {
                "id": self.mapped_id,
                "name": self.mapped_name,
                "username": self.mapped_username,
                "avatarURL": self.mapped_avatar,
            },
            "enabled": self.enabled,
        })
    }
}

impl OAuth2Provider {
    fn patch(&mut self, reader: Reader<'_>) -> Outcome {
        reader.optional_bool("pkce", &mut self.pkce)?;
        reader.text("name", &mut self.name)?;
        reader.text("clientId", &mut self.client_id)?;
        reader.text("clientSecret", &mut self.client_secret)?;
        reader.text("authURL", &mut self.auth_url)?;
        reader.text("tokenURL", &mut self.token_url)?;
        reader.text("userInfoURL", &mut self.user_info_url)?;
        reader.text("displayName", &mut self.display_name)?;
        reader.object("extra", &mut self.extra, |inner, extra| {
            extra.extend(inner.0.iter().map(|(key, value)| (key.clone(), value.clone())));
            extra.sort_keys();
            Ok(())
        })
    }

    fn to_json(&self, secrets: bool) -> Json {
        let mut out = Map::new();
        let mut put = |key: &str, value: Json| out.insert(key.into(), value);
        put("pkce", json!(self.pkce));
        put("name", json!(self.name));
        put("clientId", json!(self.client_id));
        if secrets {
            put("clientSecret", json!(self.client_secret));
        }
        put("authURL", json!(self.auth_url));
        put("tokenURL", json!(self.token_url));
        put("userInfoURL", json!(self.user_info_url));
        put("displayName", json!(self.display_name));
        put("extra", json!(self.extra));
        Json::Object(out)
    }
}
