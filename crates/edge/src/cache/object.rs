//! What is kept: answers with all that is needed to judge later whether they may be used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};

use super::compress::Encoded;
use super::policy::Freshness;
use super::purges::{Moment, Standing};

/// What an answer is found by before its variants are told apart: scheme, host, path, and the parts of query, headers and
/// cookies that count. Bytes that are the same for the same thing, and never for different ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub Arc<[u8]>);

/// Names that an answer can be purged by.
pub type Tag = Arc<str>;

/// One answer that is kept.
#[derive(Clone, Debug)]
pub struct Object {
    pub status: StatusCode,
    /// As they are to be sent; fields that belong to a connection are not among them.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The same body in other codings.
    pub encoded: Encoded,
    /// What the request said in the fields that `Vary` names, in its order; absent fields are None.
    pub varies: Vec<(hyper::header::HeaderName, Option<Bytes>)>,
    pub tags: Vec<Tag>,
    /// The URL as purges name it: `/path?query`, with its host.
    pub host: Arc<str>,
    pub target: Arc<str>,
    /// When the request was sent to the origin, and when its answer's head came.
    pub asked: SystemTime,
    pub answered: SystemTime,
    /// How long it may be used.
    pub freshness: Freshness,
    /// The storage's own; `Default::default()` for everybody else.
    pub mark: Mark,
}

/// What the storage notes of an answer.
#[derive(Debug, Default)]
pub struct Mark {
    /// The purge clock before the origin was asked.
    pub(super) moment: Moment,
    /// What another process kept may be no better, as nobody knows what was purged in between.
    pub(super) at_best: Standing,
    /// What was found of it when the purge clock stood there: the clock's reading, and a standing in the lowest two bits.
    pub(super) known: AtomicU64,
}

impl Clone for Mark {
    /// A copy is another answer, of which nothing is known yet.
    fn clone(&self) -> Self {
        Mark { moment: self.moment, at_best: self.at_best, known: AtomicU64::default() }
    }
}

/// All variants under one key, the newest first.
#[derive(Debug, Default)]
pub struct Entry {
    pub variants: Vec<Arc<Object>>,
    /// Whether somebody has asked for it since it came.
    pub(super) wanted: AtomicBool,
}

impl Entry {
    /// The first time that it is said.
    pub(super) fn becomes_wanted(&self) -> bool {
        !self.wanted.load(Ordering::Relaxed) && !self.wanted.swap(true, Ordering::Relaxed)
    }
}

impl Object {
    /// The bytes of its body, in all codings.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.len() + self.encoded.bytes()
    }

    /// The memory that it takes, with all that is around it.
    pub(super) fn weight(&self) -> u64 {
        /// A field in a `HeaderMap`: its bucket and place in the table, and what is allocated for its value.
        const FIELD: usize = 160;
        const AROUND: usize = 512;
        let headers = |map: &HeaderMap| {
            map.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum::<usize>()
        };
        let varies = self.varies.iter().map(|(_, value)| value.as_ref().map_or(0, Bytes::len) + FIELD);
        let tags = self.tags.iter().map(|tag| tag.len() + 48);
        let texts = self.host.len() + self.target.len();
        let parts = self.body_bytes() + headers(&self.headers) + texts;
        (parts + varies.sum::<usize>() + tags.sum::<usize>() + AROUND) as u64
    }

    /// The same in memory of its own: what a connection read in one piece with it is not held on to.
    pub(super) fn compact(mut self) -> Self {
        /// A larger body was gathered into memory of its own.
        const BODY_COPIED_BYTES_MAX: usize = 64 << 10;
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            if let Ok(mut copy) = hyper::header::HeaderValue::from_bytes(value.as_bytes()) {
                copy.set_sensitive(value.is_sensitive());
                headers.append(name.clone(), copy);
            }
        }
        self.headers = headers;
        if self.body.len() <= BODY_COPIED_BYTES_MAX {
            self.body = Bytes::copy_from_slice(&self.body);
        }
        for (_, value) in &mut self.varies {
            *value = value.as_ref().map(|value| Bytes::copy_from_slice(value));
        }
        self
    }
}
