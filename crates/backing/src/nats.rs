//! The servers of NATS as the configuration names them, and as whom they are asked: the client reads their addresses, and leaves
//! what stands before the `@` to others.

use async_nats::{Client, ConnectError, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;

/// What is wrong with a list. It may hold a password, so it is not said again.
const FORM: &str = "is nats://HOST:PORT or tls://USER:PASSWORD@HOST:PORT, several separated by commas";

pub(crate) struct Servers {
    addresses: Vec<ServerAddr>,
    user: Option<User>,
}

#[derive(Clone, PartialEq, Eq)]
enum User {
    Password {
        name: String,
        password: String,
    },
    /// A name without a password is one, as everywhere with NATS.
    Token(String),
}

impl Servers {
    /// Those of a list such as `nats://a:4222,tls://user:password@b:4222`.
    pub fn read(list: &str) -> Result<Servers, String> {
        let each = list.split(',').map(str::trim).filter(|one| !one.is_empty());
        let parse = |one: &str| {
            let known = ["nats://", "tls://"].iter().any(|scheme| one.starts_with(scheme));
            let address = one.parse::<ServerAddr>().ok();
            address.filter(|address| known && !address.host().is_empty()).ok_or_else(|| FORM.to_owned())
        };
        let addresses: Vec<_> = each.map(parse).collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err("names no server".into());
        }
        let mut users = Vec::new();
        for user in addresses.iter().filter_map(user) {
            let user = user.ok_or_else(|| FORM.to_owned())?;
            if !users.contains(&user) {
                users.push(user);
            }
        }
        match users.len() {
            0 | 1 => Ok(Servers { addresses, user: users.pop() }),
            _ => Err("names several users, and a connection is one user's at all servers".into()),
        }
    }

    pub async fn connect(self, options: ConnectOptions) -> Result<Client, ConnectError> {
        let options = match self.user {
            Some(User::Password { name, password }) => options.user_and_password(name, password),
            Some(User::Token(token)) => options.token(token),
            None => options,
        };
        options.connect(self.addresses).await
    }
}

/// Who an address names, if anybody; none within where that is no text.
fn user(address: &ServerAddr) -> Option<Option<User>> {
    let plain = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let name = address.username()?;
    Some(match address.password() {
        Some(password) => {
            plain(name).zip(plain(password)).map(|(name, password)| User::Password { name, password })
        }
        None => plain(name).map(User::Token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_checked() {
        for right in ["nats://a:1", "nats://a:1, tls://u:p@b", "nats://u:p@a,nats://u:p@b", "nats://token@a"]
        {
            assert!(Servers::read(right).is_ok(), "{right}");
        }
        for wrong in ["", ",", "a:1", "http://a", "nats://", "nats://u:p@a,nats://v:p@b", "nats://u:%ff@a"] {
            let said = Servers::read(wrong).err();
            assert!(said.is_some_and(|said| !said.contains("%ff")), "{wrong}");
        }
    }

    #[test]
    fn users_are_read_as_addresses_are_written() {
        let user = |list: &str| Servers::read(list).ok().and_then(|servers| servers.user);
        let named =
            |name: &str, password: &str| User::Password { name: name.into(), password: password.into() };
        assert!(user("nats://a").is_none());
        assert!(user("nats://a:1,nats://me:p%40s%20s@b:2") == Some(named("me", "p@s s")));
        assert!(user("nats://s3cret@a") == Some(User::Token("s3cret".into())));
    }
}
