//! Codings of answers that the edge makes by itself, where the origin made none.
//!
//! Nothing waits for them. A hit that could be answered in a smaller form asks for that form and is answered as it stands; threads
//! of their own make it, and later hits have it. It is kept as a part of the answer: it weighs on the same bounds, lies in the same
//! record on disk, and goes with the answer when that is purged, replaced or evicted.
//!
//! A strong `ETag` becomes weak in an answer that the edge has encoded, as other bytes must not share it (RFC 9110, section 8.8.3.3)
//! and a weak one is understood by whoever gets it back, the origin too. Parts of an answer, and conditions about them, are
//! about the bytes as the origin sent them.
//!
//! [`allowed`] says which answers are left alone, and why those are that depend on their reader.

mod allowed;

mod codings;

mod encode;

mod encoded;

mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use metrics::{Counter, counter};

use super::flow::Asked;
use super::key::Keys;
use super::object::Object;
use super::storage::Storage;
pub use codings::{Accepted, Coding};
pub use encoded::Encoded;
pub use worker::Figures;
use worker::Worker;

pub struct Compress {
    /// None when nothing is made.
    worker: Option<Worker>,
    codings: Vec<Coding>,
    /// Whether answers are told apart by something of their reader's, whatever they say themselves.
    by_reader: bool,
    saved: Counter,
    saved_bytes: AtomicU64,
}

/// In which form a kept answer goes out.
pub(super) enum Form {
    /// There is no other.
    Only,
    /// As the origin sent it, and others get it otherwise.
    Identity,
    Encoded(Coding, Bytes),
}

impl Compress {
    pub fn new(codings: &[Coding], keys: &Keys, storage: &Arc<Storage>) -> Self {
        let worker = match codings.is_empty() {
            true => None,
            false => Worker::start(storage)
                .inspect_err(|error| tracing::error!(%error, "the edge does not compress"))
                .ok(),
        };
        let is_readers = |name| name == header::AUTHORIZATION || name == header::COOKIE;
        Compress {
            worker,
            codings: codings.to_vec(),
            by_reader: !keys.cookies.is_empty() || keys.headers.iter().any(is_readers),
            saved: counter!("pando_edge_compress_saved_bytes_total"),
            saved_bytes: AtomicU64::new(0),
        }
    }

    /// The best form that there is. If there could be a better one, it is asked for.
    pub(super) fn form(&self, object: &Arc<Object>, asked: &Asked) -> Form {
        let Some(worker) = &self.worker else { return Form::Only };
        let encoded = &object.encoded;
        // An edge makes its own.
        if asked.for_edge {
            return Form::Only;
        }
        if !encoded.is_allowed(|| allowed::is_allowed(object, Some(object.body.len()), self.by_reader)) {
            return Form::Only;
        }
        if asked.asks.no_transform || asked.headers.contains_key(header::RANGE) {
            return Form::Identity;
        }
        let mut is_best = true;
        for coding in asked.accepted.best_first().filter(|coding| self.codings.contains(coding)) {
            if let Some(body) = encoded.get(coding) {
                return Form::Encoded(coding, body.clone());
            }
            if is_best && !encoded.is_refused(coding) {
                worker.want(&asked.key, object, coding);
                is_best = false;
            }
        }
        Form::Identity
    }

    /// Says of an answer that is coming in that others may get it otherwise, if its head allows that.
    pub(super) fn announce(&self, head: &Object, asked: &Asked, headers: &mut HeaderMap) {
        let length =
            head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if self.worker.is_some() && !asked.for_edge && allowed::is_allowed(head, length, self.by_reader) {
            Form::Identity.describe(headers);
        }
    }

    /// So many bytes were sent in place of so many.
    pub(super) fn count(&self, sent: usize, whole: usize) {
        let saved = whole.saturating_sub(sent) as u64;
        self.saved.increment(saved);
        self.saved_bytes.fetch_add(saved, Ordering::Relaxed);
    }

    pub fn codings(&self) -> &[Coding] {
        &self.codings
    }

    /// None when nothing is made.
    pub fn figures(&self) -> Option<&Figures> {
        self.worker.as_ref().map(Worker::figures)
    }

    pub fn saved_bytes(&self) -> u64 {
        self.saved_bytes.load(Ordering::Relaxed)
    }
}

impl Form {
    /// What the answer says of it.
    pub(super) fn describe(&self, headers: &mut HeaderMap) {
        if matches!(self, Form::Only) {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        let Form::Encoded(coding, body) = self else { return };
        headers.insert(header::CONTENT_ENCODING, coding.value());
        headers.remove(header::ACCEPT_RANGES);
        if headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        if let Some(etag) = headers.get_mut(header::ETAG)
            && !etag.as_bytes().starts_with(b"W/")
            && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
        {
            *etag = weak;
        }
    }

    pub(super) fn body<'a>(&'a self, object: &'a Object) -> &'a Bytes {
        match self {
            Form::Encoded(_, body) => body,
            Form::Only | Form::Identity => &object.body,
        }
    }
}
