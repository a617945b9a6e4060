//! What the keys are for, as the comments over their fields say it: [`described`] takes a struct of keys with its comments,
//! so that a key without one does not compile, and what is shown of keys cannot differ from what is read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::front::Certificates;
use super::work::QueueEngine;
use super::{Config, Cron, LogFormat, front};

/// The kind of what holds keys and is none.
pub const SECTION: &str = "section";

/// One key, and what it is set to.
pub struct Key {
    /// Dotted: `cache.redis.url`.
    pub path: String,
    /// What is written there, in a word.
    pub kind: &'static str,
    /// None where it may be left away and is.
    pub value: Option<toml::Value>,
    pub help: String,
}

/// What stands in the configuration.
pub trait Described {
    /// `at` is its path, `help` what is said of it there.
    fn describe(&self, at: &str, help: &str, keys: &mut Vec<Key>);
}

/// What `config` is set to, by the table that it stands in: first the top, then tables in their order.
pub fn by_table(config: &Config) -> Vec<(String, Vec<Key>)> {
    let mut keys = Vec::new();
    config.describe("", "", &mut keys);
    let mut tables: Vec<(String, Vec<Key>)> = vec![(String::new(), Vec::new())];
    for key in keys {
        let at = match key.kind {
            SECTION => key.path.as_str(),
            _ => key.path.rsplit_once('.').map_or("", |(at, _)| at),
        };
        match tables.iter_mut().find(|(table, _)| table == at) {
            Some((_, keys)) => keys.push(key),
            None => tables.push((at.to_owned(), vec![key])),
        }
    }
    tables
}

/// Structs whose fields are keys.
macro_rules! described {
    ($($(#[$about:meta])* pub struct $name:ident {$(
        $(#[doc = $help:literal])+
        $(#[serde($($read:tt)*)])?
        pub $field:ident: $type:ty,
    )*})*) => {$(
        $(#[$about])*
        pub struct $name {$(
            $(#[doc = $help])+
            $(#[serde($($read)*)])?
            pub $field: $type,
        )*}

        impl $crate::config::described::Described for $name {
            fn describe(&self, at: &str, help: &str, keys: &mut Vec<$crate::config::described::Key>) {
                keys.extend($crate::config::described::section(at, help));
                $(
                    let read: &[&str] = &[$(stringify!($($read)*))?];
                    let (path, help) =
                        $crate::config::described::field(at, stringify!($field), read, concat!($($help),+));
                    $crate::config::described::Described::describe(&self.$field, &path, help, keys);
                )*
            }
        }
    )*};
}
pub(super) use described;

/// Where a field stands, and what is said of it. One that serde flattens stands where its struct does, of which enough is said.
pub fn field<'a>(at: &str, name: &str, read: &[&str], help: &'a str) -> (String, &'a str) {
    match read.contains(&"flatten") {
        true => (at.into(), ""),
        false => (below(at, name), help),
    }
}

pub fn section(at: &str, help: &str) -> Option<Key> {
    let section = Key { path: at.into(), kind: SECTION, value: None, help: help.trim().into() };
    (!section.help.is_empty()).then_some(section)
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

macro_rules! values {
    ($($kind:literal: $($type:ty),+;)*) => {$($(
        impl Described for $type {
            fn describe(&self, at: &str, help: &str, keys: &mut Vec<Key>) {
                keys.push(key(self, $kind, at, help));
            }
        }
    )+)*};
}

values! {
    "number": u32, u64, usize, i64, Option<u64>;
    "switch": bool;
    "path": PathBuf;
    "text": String, LogFormat, front::LogFormat, QueueEngine;
    "text or list": Certificates;
    "list": Vec<Cron>;
}

/// Tables under names of the user's own.
impl<T: Described> Described for BTreeMap<String, T> {
    fn describe(&self, at: &str, help: &str, keys: &mut Vec<Key>) {
        if self.is_empty() {
            keys.push(Key { value: Some(toml::Table::new().into()), ..key(&"", "table", at, help) });
        }
        for (name, value) in self {
            value.describe(&below(at, name), help, keys);
        }
    }
}

fn key(value: &impl Serialize, kind: &'static str, at: &str, help: &str) -> Key {
    Key { path: at.into(), kind, value: toml::Value::try_from(value).ok(), help: help.trim().into() }
}
