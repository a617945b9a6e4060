//! Signing in with somebody else's word: OAuth2 and OpenID Connect.

mod exchange;
mod id_token;
pub mod login;
pub mod methods;
pub mod providers;
pub mod redirect;
mod user;

pub use login::{Form, Signed, check_enabled, with_oauth2};
pub use user::RemoteUser;
