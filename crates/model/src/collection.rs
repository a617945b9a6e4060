//! A collection: a named table or view with fields, rules and options.

use base::Name;
use query::{Column, ColumnType, Table};

use crate::field::Field;

#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    pub id: Name,
    pub name: Name,
    pub kind: CollectionKind,
    pub system: bool,
    pub fields: Vec<Field>,
    /// `CREATE INDEX` statements, normalised.
    pub indexes: Vec<String>,
    /// Each rule: `None` is superusers only, `""` is everyone.
    pub list_rule: Option<String>,
    pub view_rule: Option<String>,
    pub create_rule: Option<String>,
    pub update_rule: Option<String>,
    pub delete_rule: Option<String>,
    pub created: String,
    pub updated: String,
    /// Derived from name and fields by [`Collection::seal`]: the columns of a [`crate::Record`], in its order.
    pub table: Table,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CollectionKind {
    Base,
    Auth(Box<AuthOptions>),
    View { query: String },
}

/// The options of an auth collection.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthOptions {
    pub auth_rule: Option<String>,
    pub manage_rule: Option<String>,
    pub password_auth: PasswordAuth,
    pub auth_token: TokenOptions,
    pub password_reset_token: TokenOptions,
    pub email_change_token: TokenOptions,
    pub verification_token: TokenOptions,
    pub file_token: TokenOptions,
    pub mfa: MfaOptions,
    pub otp: OtpOptions,
    pub oauth2: OAuth2Options,
    pub auth_alert: AuthAlert,
    pub verification_template: MailTemplate,
    pub reset_password_template: MailTemplate,
    pub confirm_email_change_template: MailTemplate,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PasswordAuth {
    pub enabled: bool,
    pub identity_fields: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TokenOptions {
    /// Never part of an answer.
    pub secret: String,
    /// Seconds.
    pub duration: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MfaOptions {
    pub enabled: bool,
    pub duration: i64,
    pub rule: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OtpOptions {
    pub enabled: bool,
    pub duration: i64,
    pub length: i64,
    pub email_template: MailTemplate,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2Options {
    pub enabled: bool,
    /// Kept as given until the providers are modelled; secrets inside are never part of an answer.
    pub providers: Vec<serde_json::Value>,
    pub mapped_id: String,
    pub mapped_name: String,
    pub mapped_username: String,
    pub mapped_avatar: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AuthAlert {
    pub enabled: bool,
    pub email_template: MailTemplate,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MailTemplate {
    pub subject: String,
    pub body: String,
}

impl Collection {
    /// Recomputes what is derived. Called after any change of name or fields.
    pub fn seal(&mut self) {
        self.table = Table {
            name: self.name.clone(),
            columns: self
                .fields
                .iter()
                .map(|field| Column { name: field.name.clone(), ty: field.column_type() })
                .collect(),
        };
    }

    pub fn is_auth(&self) -> bool {
        matches!(self.kind, CollectionKind::Auth(_))
    }

    pub fn is_view(&self) -> bool {
        matches!(self.kind, CollectionKind::View { .. })
    }

    pub fn auth(&self) -> Option<&AuthOptions> {
        match &self.kind {
            CollectionKind::Auth(options) => Some(options),
            _ => None,
        }
    }

    pub fn is_superusers(&self) -> bool {
        &*self.name == SUPERUSERS
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }

    /// The position of a field in [`Collection::fields`] and in every record's row.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| &*field.name == name)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.position(name).map(|index| &self.table.columns[index])
    }

    pub fn id_column() -> Column {
        Column::new("id", ColumnType::Id)
    }
}

/// The collection of those who may do everything.
pub const SUPERUSERS: &str = "_superusers";
