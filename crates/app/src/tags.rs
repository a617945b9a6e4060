//! Names by which answers are purged from caches outside.
//!
//! `c:TABLE` stands on what depends on any record of a table, and is purged with every change of one. `r:TABLE/ID` stands on
//! what depends on this record of the table and on no other. `t:TABLE` stands beside that, for changes of which nobody can say
//! which records they were about.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Ids may be anything, and tags are separated by spaces.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

pub fn any_of(table: &str) -> String {
    format!("c:{}", utf8_percent_encode(table, &PLAIN))
}

pub fn all_of(table: &str) -> String {
    format!("t:{}", utf8_percent_encode(table, &PLAIN))
}

pub fn record(table: &str, id: &str) -> String {
    format!("r:{}/{}", utf8_percent_encode(table, &PLAIN), utf8_percent_encode(id, &PLAIN))
}
