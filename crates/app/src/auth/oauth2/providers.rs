//! The OAuth2 providers as data: where each is asked, and where in its answer a user's data stands. The addresses
//! and the shapes of answers come from the providers' own documentation.

mod table;

pub use table::PROVIDERS;

/// One provider. A collection's own addresses take precedence over these; empty ones must be configured.
pub struct Provider {
    pub name: &'static str,
    pub display_name: &'static str,
    pub auth_url: &'static str,
    pub token_url: &'static str,
    pub user_info_url: &'static str,
    pub scopes: &'static [&'static str],
    pub pkce: bool,
    /// What the page to sign in is asked besides.
    pub params: &'static [(&'static str, &'static str)],
    pub source: Source,
    pub user: User,
}

/// How the user's data is asked for.
pub enum Source {
    /// With headers besides the token. `$client` stands for the client id.
    Get(&'static [(&'static str, &'static str)]),
    GraphQl(&'static str),
    /// From the token's own `id_token`.
    IdToken {
        issuers: &'static [&'static str],
        jwks_url: &'static str,
    },
    /// From the user info where that is configured, else from the `id_token`.
    OpenId,
}

/// JSON pointers into the answer; an empty one finds nothing.
pub struct User {
    pub id: Id,
    /// Joined by a space.
    pub name: &'static [&'static str],
    pub username: &'static str,
    pub email: &'static str,
    /// All of these must hold for the email to count as the user's own.
    pub proofs: &'static [Proof],
    pub avatar: &'static str,
    /// What must hold for the user to be let in at all.
    pub active: Option<Active>,
    pub quirk: Quirk,
}

pub enum Id {
    Text(&'static str),
    Number(&'static str),
}

pub enum Proof {
    True(&'static str),
    /// `true`, or a text or number that means it.
    Truthy(&'static str),
    /// A date that is set.
    Date(&'static str),
    /// Whoever runs the directory may write any address into it, and the address to sign in at is open to every
    /// directory: the email is then a claim.
    OwnDirectory,
}

pub enum Active {
    True(&'static str),
    Text(&'static str, &'static str),
    Number(&'static str, i64),
}

/// What one provider does and no other.
pub enum Quirk {
    None,
    /// The primary, verified address of `{user info}/emails`: a list.
    EmailsList,
    /// The same, listed under `values`.
    EmailsValues,
    /// The address is asked for apart when the answer holds none.
    GiteeEmails,
    /// The avatar is an id.
    YandexAvatar,
    DiscordNames,
    /// The email comes with the token.
    VkEmail,
    /// The avatar may be hidden.
    WakatimePhoto,
}

/// The provider of that name.
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

#[cfg(test)]
mod tests {
    use super::PROVIDERS;

    #[test]
    fn collections_may_name_exactly_these() {
        let names: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
        assert_eq!(names, model::collection::OAUTH2_PROVIDERS);
    }

    #[test]
    fn addresses_are_encrypted() {
        for provider in PROVIDERS {
            for url in [provider.auth_url, provider.token_url, provider.user_info_url] {
                assert!(url.is_empty() || url.starts_with("https://"), "{}: {url}", provider.name);
            }
        }
    }
}
