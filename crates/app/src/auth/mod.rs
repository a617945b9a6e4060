//! Who is asking, and how they prove it.

pub mod login;
pub mod oauth2;
pub mod password;
pub mod superuser;
pub mod token;
