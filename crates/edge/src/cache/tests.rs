//! What tests of the cache's parts have in common.

use std::time::SystemTime;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};

use super::object::Object;

pub fn object(host: &str, target: &str, tags: &[&str], body: &str) -> Object {
    Object {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        encoded: Default::default(),
        varies: Vec::new(),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        host: host.into(),
        target: target.into(),
        asked: SystemTime::UNIX_EPOCH,
        answered: SystemTime::UNIX_EPOCH,
        freshness: Default::default(),
        mark: Default::default(),
    }
}
