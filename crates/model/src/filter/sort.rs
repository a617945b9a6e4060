//! `sort=-created,author.name,@random`.

use base::limits::{SORT_KEY_BYTES_MAX, SORT_KEYS_MAX};
use query::Sort;
use query::select::SortKey;

use super::error::ResolveError;
use super::resolve::Resolver;

impl Resolver<'_> {
    /// The keys of a sort parameter. Of a many-valued path the smallest value counts.
    pub fn sort(&mut self, text: &str) -> Result<Vec<Sort>, ResolveError> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut keys = Vec::new();
        for part in text.split(',') {
            if keys.len() == SORT_KEYS_MAX {
                return Err(ResolveError::SortKeys);
            }
            let part = part.trim();
            let fail = || ResolveError::Sort(part.to_owned());
            let (name, descending) = match part.strip_prefix('-') {
                Some(name) => (name, true),
                None => (part.strip_prefix('+').unwrap_or(part), false),
            };
            if name.is_empty() || name.len() > SORT_KEY_BYTES_MAX {
                return Err(fail());
            }
            let by = match name {
                "@random" => SortKey::Random,
                "@rowid" => SortKey::Insertion,
                _ => SortKey::Operand(self.sort_path(name).map_err(|_| fail())?),
            };
            keys.push(Sort { by, descending });
        }
        Ok(keys)
    }
}
