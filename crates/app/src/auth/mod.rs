//! Who is asking, and how they prove it.

pub mod token;
pub mod password;
pub mod login;
pub mod superuser;
