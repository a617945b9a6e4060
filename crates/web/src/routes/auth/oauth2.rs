//! Signing in with a provider.

use app::auth::login;
use app::auth::oauth2::methods::Offer;
use app::auth::oauth2::{self, Form, Signed};
use axum::extract::{Path, Request, State as FromState};
use serde_json::{Map, Value as Json, json};

use super::admitted_with;
use crate::body::{self, text, unreadable};
use crate::extract::Asked;
use crate::state::State;
use crate::wire::error::Answer;

pub async fn with_oauth2(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    mut asked: Asked,
    request: Request,
) -> Answer {
    asked.request.context = "oauth2";
    let collection = login::auth_collection(&asked.context(&state), &name)?;
    oauth2::check_enabled(&collection)?;
    asked.request.body = body::form(request).await?;
    let form = read(&asked.request.body)?;
    let cx = asked.context(&state);
    let signed = oauth2::with_oauth2(&cx, &collection, form).await?;
    let meta = meta(&signed).to_string();
    admitted_with(&asked, &cx, signed.admitted, &meta).await
}

fn read(body: &Map<String, Json>) -> app::Result<Form> {
    // The older spelling is what older clients send.
    let redirect_url = match text(body, "redirectURL")? {
        url if url.is_empty() => text(body, "redirectUrl")?,
        url => url,
    };
    let create_data = match body.get("createData") {
        None | Some(Json::Null) => Map::new(),
        Some(Json::Object(data)) => data.clone(),
        Some(_) => return Err(unreadable(app::Error::bad_request().details("createData is no object"))),
    };
    Ok(Form {
        provider: text(body, "provider")?,
        code: text(body, "code")?,
        code_verifier: text(body, "codeVerifier")?,
        redirect_url,
        create_data,
    })
}

fn meta(signed: &Signed) -> Json {
    let user = &signed.user;
    json!({
        "id": user.id,
        "name": user.name,
        "username": user.username,
        "email": user.email,
        "avatarURL": user.avatar_url,
        "avatarUrl": user.avatar_url,
        "rawUser": user.raw,
        "accessToken": signed.token.access,
        "refreshToken": signed.token.refresh,
        "expiry": signed.token.expiry,
        "isNew": signed.is_new,
    })
}

/// One provider of `auth-methods`; `with_logo` is false for the older list.
pub fn offer(offer: &Offer, with_logo: bool) -> Json {
    json!({
        "name": offer.name,
        "displayName": offer.display_name,
        "logo": if with_logo { monogram(offer) } else { String::new() },
        "state": offer.state,
        "authURL": offer.auth_url,
        "authUrl": offer.auth_url,
        "codeVerifier": offer.code_verifier,
        "codeChallenge": offer.code_challenge,
        "codeChallengeMethod": offer.code_challenge_method,
    })
}

/// A picture for the button: the first letter on the provider's own shade. The brands' pictures are theirs.
fn monogram(offer: &Offer) -> String {
    let hue = offer.name.bytes().fold(7_u32, |hue, byte| (hue * 31 + u32::from(byte)) % 360);
    let letter = offer.display_name.chars().find(|letter| letter.is_alphanumeric()).unwrap_or('?');
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\
         <rect width=\"32\" height=\"32\" rx=\"7\" fill=\"hsl({hue},55%,42%)\"/>\
         <text x=\"16\" y=\"22\" font-family=\"sans-serif\" font-size=\"18\" font-weight=\"bold\" \
         text-anchor=\"middle\" fill=\"#fff\">{}</text></svg>",
        letter.to_uppercase()
    )
}
