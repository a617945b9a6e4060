//! Who is asking, and how they prove it.

pub mod account;
pub mod attempts;
pub mod login;
pub mod mfa;
pub mod oauth2;
pub mod origins;
pub mod otp;
pub mod password;
pub mod superuser;
pub mod token;

pub(crate) mod owned;
