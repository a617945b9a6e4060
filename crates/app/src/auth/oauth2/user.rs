//! What a provider's answer says about the user, read by the provider's table.

use base::Timestamp;
use model::OAuth2Provider;
use serde_json::{Map, Value as Json};

use super::providers::{Active, Id, Proof, Provider, Quirk, User};

/// A user as the provider knows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteUser {
    /// Never changes for one user of one provider. Empty when the answer holds none.
    pub id: String,
    pub name: String,
    pub username: String,
    pub email: String,
    /// Whether the provider vouches for the email. Only such an email leads to an existing account.
    pub email_proven: bool,
    pub avatar_url: String,
    pub raw: Map<String, Json>,
}

/// The answer does not have the documented shape, or the user may not sign in.
#[derive(Debug)]
pub struct Unusable(pub String);

/// Reads the answer. `token` is the answer that the access token came in.
pub fn read(
    provider: &Provider,
    config: &OAuth2Provider,
    answer: &Json,
    token: &Json,
) -> Result<RemoteUser, Unusable> {
    let user = &provider.user;
    let raw = match answer {
        Json::Object(raw) => raw.clone(),
        Json::Null => Map::new(),
        _ => return Err(Unusable("the user's data is no object".into())),
    };
    check_active(user, answer)?;
    let id = match user.id {
        Id::Text(at) => text(answer, at)?,
        Id::Number(at) => whole_number(answer, at)?,
    };
    let mut found = RemoteUser {
        id,
        name: joined(answer, user.name)?,
        username: text(answer, user.username)?,
        email: text(answer, user.email)?,
        email_proven: true,
        avatar_url: text(answer, user.avatar)?,
        raw,
    };
    for proof in user.proofs {
        if matches!(proof, Proof::OwnDirectory) {
            found.email_proven = !is_shared_directory(provider, config);
        } else if !holds(answer, proof)? {
            found.email.clear();
        }
    }
    quirks(user, answer, token, &mut found)?;
    Ok(found)
}

fn quirks(user: &User, answer: &Json, token: &Json, found: &mut RemoteUser) -> Result<(), Unusable> {
    match user.quirk {
        Quirk::YandexAvatar => {
            found.avatar_url = match flag(answer, "/is_avatar_empty")? {
                true => String::new(),
                false => format!("https://avatars.yandex.net/get-yapic/{}/islands-200", found.avatar_url),
            };
        }
        Quirk::DiscordNames => {
            if found.name.is_empty() {
                found.name = found.username.clone();
                let discriminator = text(answer, "/discriminator")?;
                if !discriminator.is_empty() {
                    found.name = format!("{}#{discriminator}", found.name);
                }
            }
            if !found.avatar_url.is_empty() {
                let (id, avatar) = (&found.id, &found.avatar_url);
                found.avatar_url = format!("https://cdn.discordapp.com/avatars/{id}/{avatar}.png");
            }
        }
        Quirk::VkEmail => {
            found.email = match token.get("email") {
                Some(Json::String(email)) => email.clone(),
                Some(Json::Number(number)) => number.to_string(),
                _ => String::new(),
            };
        }
        Quirk::WakatimePhoto if !flag(answer, "/data/photo_public")? => found.avatar_url.clear(),
        _ => {}
    }
    Ok(())
}

/// The address that a list of addresses marks as the main one and as verified.
pub fn primary_email(quirk: &Quirk, list: &Json) -> Result<String, Unusable> {
    let (items, marks): (_, [&str; 2]) = match quirk {
        Quirk::EmailsValues => (list.get("values").unwrap_or(&Json::Null), ["is_primary", "is_confirmed"]),
        _ => (list, ["primary", "verified"]),
    };
    let items = match items {
        Json::Array(items) => items.as_slice(),
        Json::Null => &[],
        _ => return Err(Unusable("the addresses are no list".into())),
    };
    let is_it = |item: &&Json| match quirk {
        // `{"email", "state": "confirmed", "scope": ["primary"]}`
        Quirk::GiteeEmails => {
            let scopes = item.get("scope").and_then(Json::as_array);
            item.get("state").and_then(Json::as_str) == Some("confirmed")
                && scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope == "primary"))
        }
        _ => marks.iter().all(|mark| item.get(mark) == Some(&Json::Bool(true))),
    };
    let found = items.iter().find(is_it).and_then(|item| item.get("email")?.as_str());
    Ok(found.unwrap_or_default().to_owned())
}

/// Whether people of any directory may sign in, as they may at the provider's own default.
fn is_shared_directory(provider: &Provider, config: &OAuth2Provider) -> bool {
    let url = if config.token_url.is_empty() { provider.token_url } else { &config.token_url };
    url.contains("://login.microsoftonline.com/common/")
        || url.contains("://login.microsoftonline.com/organizations/")
}

fn check_active(user: &User, answer: &Json) -> Result<(), Unusable> {
    let active = match &user.active {
        None => true,
        Some(Active::True(at)) => flag(answer, at)?,
        Some(Active::Text(at, wanted)) => text(answer, at)? == *wanted,
        Some(Active::Number(at, wanted)) => answer.pointer(at).and_then(Json::as_i64) == Some(*wanted),
    };
    match active {
        true => Ok(()),
        false => Err(Unusable("the user is not active".into())),
    }
}

fn wrong(at: &str) -> Unusable {
    Unusable(format!("{at} is not of the documented type"))
}

/// A text; missing and null are empty.
fn text(answer: &Json, at: &str) -> Result<String, Unusable> {
    match answer.pointer(at).filter(|_| !at.is_empty()) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(at)),
    }
}

/// Zero is nobody's number: those whose number is missing must not share an account.
fn whole_number(answer: &Json, at: &str) -> Result<String, Unusable> {
    match answer.pointer(at) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::Number(number)) => match number.as_i64() {
            Some(0) => Ok(String::new()),
            Some(number) => Ok(number.to_string()),
            None => Err(wrong(at)),
        },
        Some(_) => Err(wrong(at)),
    }
}

fn flag(answer: &Json, at: &str) -> Result<bool, Unusable> {
    match answer.pointer(at) {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(at)),
    }
}

fn joined(answer: &Json, pointers: &[&str]) -> Result<String, Unusable> {
    let parts = pointers.iter().map(|at| text(answer, at)).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.join(" ").trim().to_owned())
}

fn holds(answer: &Json, proof: &Proof) -> Result<bool, Unusable> {
    match proof {
        Proof::True(at) => flag(answer, at),
        Proof::Truthy(at) => Ok(match answer.pointer(at) {
            Some(Json::Bool(flag)) => *flag,
            Some(Json::Number(number)) => number.as_f64() == Some(1.0),
            Some(Json::String(text)) => {
                matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
            }
            _ => false,
        }),
        Proof::Date(at) => Ok(Timestamp::parse(&text(answer, at)?).is_some_and(|at| at != Timestamp::NONE)),
        Proof::OwnDirectory => Ok(true),
    }
}
