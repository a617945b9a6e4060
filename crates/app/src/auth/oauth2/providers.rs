//! The OAuth2 providers as data: where each is asked, and where in its answer a user's data stands. The addresses
//! and the shapes of answers come from the providers' own documentation.

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

const NONE: User = User {
    id: Id::Text("/id"),
    name: &["/name"],
    username: "",
    email: "/email",
    proofs: &[],
    avatar: "/avatar_url",
    active: None,
    quirk: Quirk::None,
};

const BARE: Provider = Provider {
    name: "",
    display_name: "",
    auth_url: "",
    token_url: "",
    user_info_url: "",
    scopes: &[],
    pkce: true,
    params: &[],
    source: Source::Get(&[]),
    user: NONE,
};

const OPENID_USER: User = User {
    id: Id::Text("/sub"),
    username: "/preferred_username",
    proofs: &[Proof::Truthy("/email_verified")],
    avatar: "/picture",
    ..NONE
};

const OPENID: Provider = Provider {
    display_name: "OIDC",
    scopes: &["openid", "email", "profile"],
    source: Source::OpenId,
    user: OPENID_USER,
    ..BARE
};

/// The provider of that name.
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "apple",
        display_name: "Apple",
        auth_url: "https://appleid.apple.com/auth/authorize",
        token_url: "https://appleid.apple.com/auth/token",
        scopes: &["name", "email"],
        params: &[("response_mode", "form_post")],
        source: Source::IdToken {
            issuers: &["https://appleid.apple.com"],
            jwks_url: "https://appleid.apple.com/auth/keys",
        },
        user: User { username: "", avatar: "", ..OPENID_USER },
        ..BARE
    },
    Provider {
        name: "google",
        display_name: "Google",
        auth_url: "https://accounts.google.com/o/oauth2/v2/auth",
        token_url: "https://oauth2.googleapis.com/token",
        user_info_url: "https://www.googleapis.com/oauth2/v3/userinfo",
        scopes: &[
            "https://www.googleapis.com/auth/userinfo.profile",
            "https://www.googleapis.com/auth/userinfo.email",
        ],
        user: User { username: "", proofs: &[Proof::True("/email_verified")], ..OPENID_USER },
        ..BARE
    },
    Provider {
        name: "microsoft",
        display_name: "Microsoft",
        auth_url: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        user_info_url: "https://graph.microsoft.com/v1.0/me",
        scopes: &["User.Read"],
        user: User {
            name: &["/displayName"],
            email: "/mail",
            proofs: &[Proof::OwnDirectory],
            avatar: "",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "yandex",
        display_name: "Yandex",
        auth_url: "https://oauth.yandex.com/authorize",
        token_url: "https://oauth.yandex.com/token",
        user_info_url: "https://login.yandex.ru/info",
        scopes: &["login:email", "login:avatar", "login:info"],
        user: User {
            name: &["/real_name"],
            username: "/login",
            email: "/default_email",
            avatar: "/default_avatar_id",
            quirk: Quirk::YandexAvatar,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "facebook",
        display_name: "Facebook",
        auth_url: "https://www.facebook.com/v3.2/dialog/oauth",
        token_url: "https://graph.facebook.com/v3.2/oauth/access_token",
        user_info_url: "https://graph.facebook.com/me?fields=name,email,picture.type(large)",
        scopes: &["email"],
        user: User { avatar: "/picture/data/url", ..NONE },
        ..BARE
    },
    Provider {
        name: "instagram2",
        display_name: "Instagram",
        auth_url: "https://www.instagram.com/oauth/authorize",
        token_url: "https://api.instagram.com/oauth/access_token",
        user_info_url: "https://graph.instagram.com/me?fields=user_id,username,name,profile_picture_url",
        scopes: &["instagram_business_basic"],
        user: User {
            id: Id::Text("/user_id"),
            username: "/username",
            email: "",
            avatar: "/profile_picture_url",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "github",
        display_name: "GitHub",
        auth_url: "https://github.com/login/oauth/authorize",
        token_url: "https://github.com/login/oauth/access_token",
        user_info_url: "https://api.github.com/user",
        scopes: &["read:user", "user:email"],
        user: User {
            id: Id::Number("/id"),
            username: "/login",
            // The profile's address is not the verified one.
            email: "",
            quirk: Quirk::EmailsList,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "gitlab",
        display_name: "GitLab",
        auth_url: "https://gitlab.com/oauth/authorize",
        token_url: "https://gitlab.com/oauth/token",
        user_info_url: "https://gitlab.com/api/v4/user",
        scopes: &["read_user"],
        user: User {
            id: Id::Number("/id"),
            username: "/username",
            proofs: &[Proof::Date("/confirmed_at")],
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "bitbucket",
        display_name: "Bitbucket",
        auth_url: "https://bitbucket.org/site/oauth2/authorize",
        token_url: "https://bitbucket.org/site/oauth2/access_token",
        user_info_url: "https://api.bitbucket.org/2.0/user",
        scopes: &["account"],
        pkce: false,
        user: User {
            id: Id::Text("/uuid"),
            name: &["/display_name"],
            username: "/username",
            email: "",
            avatar: "/links/avatar/href",
            active: Some(Active::Text("/account_status", "active")),
            quirk: Quirk::EmailsValues,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "gitee",
        display_name: "Gitee",
        auth_url: "https://gitee.com/oauth/authorize",
        token_url: "https://gitee.com/oauth/token",
        user_info_url: "https://gitee.com/api/v5/user",
        scopes: &["user_info", "emails"],
        user: User { id: Id::Number("/id"), username: "/login", quirk: Quirk::GiteeEmails, ..NONE },
        ..BARE
    },
    Provider {
        name: "gitea",
        display_name: "Gitea/Forgejo",
        auth_url: "https://gitea.com/login/oauth/authorize",
        token_url: "https://gitea.com/login/oauth/access_token",
        user_info_url: "https://gitea.com/api/v1/user",
        scopes: &["read:user", "user:email"],
        user: User {
            id: Id::Number("/id"),
            name: &["/full_name"],
            username: "/login",
            email: "",
            active: Some(Active::True("/active")),
            quirk: Quirk::EmailsList,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "discord",
        display_name: "Discord",
        auth_url: "https://discord.com/api/oauth2/authorize",
        token_url: "https://discord.com/api/oauth2/token",
        user_info_url: "https://discord.com/api/users/@me",
        scopes: &["identify", "email"],
        user: User {
            name: &["/global_name"],
            username: "/username",
            proofs: &[Proof::True("/verified")],
            avatar: "/avatar",
            quirk: Quirk::DiscordNames,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "twitter",
        display_name: "X/Twitter",
        auth_url: "https://x.com/i/oauth2/authorize",
        token_url: "https://api.x.com/2/oauth2/token",
        user_info_url: "https://api.x.com/2/users/me?user.fields=id,name,username,profile_image_url,confirmed_email",
        scopes: &["users.read", "users.email", "tweet.read"],
        user: User {
            id: Id::Text("/data/id"),
            name: &["/data/name"],
            username: "/data/username",
            email: "/data/confirmed_email",
            avatar: "/data/profile_image_url",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "kakao",
        display_name: "Kakao",
        auth_url: "https://kauth.kakao.com/oauth/authorize",
        token_url: "https://kauth.kakao.com/oauth/token",
        user_info_url: "https://kapi.kakao.com/v2/user/me",
        scopes: &["account_email", "profile_nickname", "profile_image"],
        user: User {
            id: Id::Number("/id"),
            name: &[],
            username: "/properties/nickname",
            email: "/kakao_account/email",
            proofs: &[
                Proof::True("/kakao_account/is_email_verified"),
                Proof::True("/kakao_account/is_email_valid"),
            ],
            avatar: "/properties/profile_image",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "vk",
        display_name: "ВКонтакте",
        auth_url: "https://oauth.vk.com/authorize",
        token_url: "https://oauth.vk.com/access_token",
        user_info_url: "https://api.vk.com/method/users.get?fields=photo_max,screen_name&v=5.131",
        scopes: &["email"],
        pkce: false,
        user: User {
            id: Id::Number("/response/0/id"),
            name: &["/response/0/first_name", "/response/0/last_name"],
            username: "/response/0/screen_name",
            email: "",
            avatar: "/response/0/photo_max",
            quirk: Quirk::VkEmail,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "linear",
        display_name: "Linear",
        auth_url: "https://linear.app/oauth/authorize",
        token_url: "https://api.linear.app/oauth/token",
        user_info_url: "https://api.linear.app/graphql",
        scopes: &["read"],
        pkce: false,
        source: Source::GraphQl("query { viewer { id active name displayName email avatarUrl } }"),
        user: User {
            id: Id::Text("/data/viewer/id"),
            name: &["/data/viewer/name"],
            username: "/data/viewer/displayName",
            email: "/data/viewer/email",
            avatar: "/data/viewer/avatarUrl",
            active: Some(Active::True("/data/viewer/active")),
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "notion",
        display_name: "Notion",
        auth_url: "https://api.notion.com/v1/oauth/authorize",
        token_url: "https://api.notion.com/v1/oauth/token",
        user_info_url: "https://api.notion.com/v1/users/me",
        source: Source::Get(&[("notion-version", "2022-06-28")]),
        user: User {
            id: Id::Text("/bot/owner/user/id"),
            name: &["/bot/owner/user/name"],
            email: "/bot/owner/user/person/email",
            avatar: "/bot/owner/user/avatar_url",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "monday",
        display_name: "monday.com",
        auth_url: "https://auth.monday.com/oauth2/authorize",
        token_url: "https://auth.monday.com/oauth2/token",
        user_info_url: "https://api.monday.com/v2",
        scopes: &["me:read"],
        source: Source::GraphQl("query { me { id enabled is_verified name email photo_small } }"),
        user: User {
            id: Id::Text("/data/me/id"),
            name: &["/data/me/name"],
            email: "/data/me/email",
            proofs: &[Proof::True("/data/me/is_verified")],
            avatar: "/data/me/photo_small",
            active: Some(Active::True("/data/me/enabled")),
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "lark",
        display_name: "Lark",
        auth_url: "https://accounts.feishu.cn/open-apis/authen/v1/authorize",
        token_url: "https://open.feishu.cn/open-apis/authen/v2/oauth/token",
        user_info_url: "https://open.feishu.cn/open-apis/authen/v1/user_info",
        user: User {
            id: Id::Text("/data/union_id"),
            name: &["/data/name"],
            email: "",
            avatar: "/data/avatar_url",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "box",
        display_name: "Box",
        auth_url: "https://account.box.com/api/oauth2/authorize",
        token_url: "https://api.box.com/oauth2/token",
        user_info_url: "https://api.box.com/2.0/users/me",
        scopes: &["root_readonly"],
        user: User { email: "/login", active: Some(Active::Text("/status", "active")), ..NONE },
        ..BARE
    },
    Provider {
        name: "spotify",
        display_name: "Spotify",
        auth_url: "https://accounts.spotify.com/authorize",
        token_url: "https://accounts.spotify.com/api/token",
        user_info_url: "https://api.spotify.com/v1/me",
        scopes: &["user-read-private"],
        // Spotify itself says that the address is not verified.
        user: User { name: &["/display_name"], email: "", avatar: "/images/0/url", ..NONE },
        ..BARE
    },
    Provider {
        name: "trakt",
        display_name: "Trakt",
        auth_url: "https://trakt.tv/oauth/authorize",
        token_url: "https://api.trakt.tv/oauth/token",
        user_info_url: "https://api.trakt.tv/users/settings",
        source: Source::Get(&[
            ("content-type", "application/json"),
            ("trakt-api-key", "$client"),
            ("trakt-api-version", "2"),
        ]),
        user: User {
            id: Id::Text("/user/ids/uuid"),
            name: &["/user/name"],
            username: "/user/username",
            email: "",
            avatar: "/user/images/avatar/full",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "twitch",
        display_name: "Twitch",
        auth_url: "https://id.twitch.tv/oauth2/authorize",
        token_url: "https://id.twitch.tv/oauth2/token",
        user_info_url: "https://api.twitch.tv/helix/users",
        scopes: &["user:read:email"],
        source: Source::Get(&[("client-id", "$client")]),
        user: User {
            id: Id::Text("/data/0/id"),
            name: &["/data/0/display_name"],
            username: "/data/0/login",
            email: "/data/0/email",
            avatar: "/data/0/profile_image_url",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "patreon",
        display_name: "Patreon",
        auth_url: "https://www.patreon.com/oauth2/authorize",
        token_url: "https://www.patreon.com/api/oauth2/token",
        user_info_url: "https://www.patreon.com/api/oauth2/v2/identity?fields%5Buser%5D=full_name,email,vanity,image_url,is_email_verified",
        scopes: &["identity", "identity[email]"],
        user: User {
            id: Id::Text("/data/id"),
            name: &["/data/attributes/full_name"],
            username: "/data/attributes/vanity",
            email: "/data/attributes/email",
            proofs: &[Proof::True("/data/attributes/is_email_verified")],
            avatar: "/data/attributes/image_url",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "strava",
        display_name: "Strava",
        auth_url: "https://www.strava.com/oauth/authorize",
        token_url: "https://www.strava.com/api/v3/oauth/token",
        user_info_url: "https://www.strava.com/api/v3/athlete",
        scopes: &["profile:read_all"],
        user: User {
            id: Id::Number("/id"),
            name: &["/firstname", "/lastname"],
            username: "/username",
            email: "",
            avatar: "/profile",
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "wakatime",
        display_name: "WakaTime",
        auth_url: "https://wakatime.com/oauth/authorize",
        token_url: "https://wakatime.com/oauth/token",
        user_info_url: "https://wakatime.com/api/v1/users/current",
        scopes: &["email"],
        user: User {
            id: Id::Text("/data/id"),
            name: &["/data/display_name"],
            username: "/data/username",
            email: "/data/email",
            proofs: &[Proof::True("/data/is_email_confirmed")],
            avatar: "/data/photo",
            quirk: Quirk::WakatimePhoto,
            ..NONE
        },
        ..BARE
    },
    Provider {
        name: "livechat",
        display_name: "LiveChat",
        auth_url: "https://accounts.livechat.com/",
        token_url: "https://accounts.livechat.com/token",
        user_info_url: "https://accounts.livechat.com/v2/accounts/me",
        user: User { id: Id::Text("/account_id"), proofs: &[Proof::True("/email_verified")], ..NONE },
        ..BARE
    },
    Provider {
        name: "mailcow",
        display_name: "mailcow",
        scopes: &["profile"],
        user: User { name: &["/full_name"], avatar: "", active: Some(Active::Number("/active", 1)), ..NONE },
        ..BARE
    },
    Provider {
        name: "planningcenter",
        display_name: "Planning Center",
        auth_url: "https://api.planningcenteronline.com/oauth/authorize",
        token_url: "https://api.planningcenteronline.com/oauth/token",
        user_info_url: "https://api.planningcenteronline.com/people/v2/me",
        scopes: &["people"],
        user: User {
            id: Id::Text("/data/id"),
            name: &["/data/attributes/name"],
            email: "",
            avatar: "/data/attributes/avatar",
            active: Some(Active::Text("/data/attributes/status", "active")),
            ..NONE
        },
        ..BARE
    },
    Provider { name: "oidc", ..OPENID },
    Provider { name: "oidc2", ..OPENID },
    Provider { name: "oidc3", ..OPENID },
];
