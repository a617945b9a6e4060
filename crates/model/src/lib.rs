//! Collections, their fields and rules, and the filter language. Turns what a user says into `query` values.
//! Never does I/O, never awaits, and never sees SQL (a view's own query aside, which it only carries).

mod checksum;
pub mod collection;
pub mod field;
pub mod filter;
pub mod json_text;
pub mod record;
pub mod request;
pub mod schema;
pub mod violation;

pub use collection::{
    AuthOptions, CachePolicy, Collection, CollectionKind, CollectionRow, OAuth2Options, OAuth2Provider,
    TokenOptions,
};
pub use field::{Field, FieldKind};
pub use record::Record;
pub use request::{Client, Request};
pub use schema::Schema;
pub use violation::{Violation, Violations};
