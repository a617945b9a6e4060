//! An answer as bytes on disk: a header of fixed length, what is known of it, and its body.
//!
//! The checksum is over all that follows it, so what was torn, or written by somebody else, is never taken for an answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::limits::{EDGE_OBJECT_BYTES_MAX, EDGE_RECORD_HEAD_BYTES_MAX};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::cache::compress::{Coding, Encoded};
use crate::cache::object::{Key, Object};
use crate::cache::policy::Freshness;

/// The last digit is the format's version.
const MAGIC: &[u8; 4] = b"PDO1";
/// The body is followed by others that were made of it. Whoever knows the first version alone takes it for nothing.
const MAGIC_ENCODED: &[u8; 4] = b"PDO2";
pub const HEADER_BYTES: usize = 40;

/// What a record's place is known by without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub checksum: u32,
    pub head_bytes: u32,
    pub body_bytes: u32,
    pub moment: u64,
    /// Of the key, and of what the request said that `Vary` names.
    pub key: u64,
    pub varies: u64,
}

impl Header {
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let mut rest = Cursor(bytes);
        let magic = rest.take(4)?;
        if magic != MAGIC && magic != MAGIC_ENCODED {
            return None;
        }
        let header = Header {
            checksum: rest.u32()?,
            head_bytes: rest.u32()?,
            body_bytes: rest.u32()?,
            moment: rest.u64()?,
            key: rest.u64()?,
            varies: rest.u64()?,
        };
        let fits = header.head_bytes as usize <= EDGE_RECORD_HEAD_BYTES_MAX
            && header.body_bytes as usize <= EDGE_OBJECT_BYTES_MAX;
        fits.then_some(header)
    }

    /// The whole record's length.
    pub fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.head_bytes) + u64::from(self.body_bytes)
    }
}

/// The same in every process.
pub fn hash_key(key: &Key) -> u64 {
    hash(&key.0)
}

pub fn hash_varies(object: &Object) -> u64 {
    let mut bytes = Vec::new();
    put_varies(&mut bytes, object);
    hash(&bytes)
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// None for what is too large to be kept so. Without what was made of its body, it may fit.
pub fn encode(key: &Key, object: &Object, encoded: &Encoded) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    put(&mut head, &key.0);
    head.extend(object.status.as_u16().to_le_bytes());
    put_time(&mut head, object.asked);
    put_time(&mut head, object.answered);
    let freshness = &object.freshness;
    for number in [
        freshness.age_ms,
        freshness.lifetime_ms,
        freshness.revalidate_ms,
        freshness.error_ms,
        freshness.down_ms,
        u64::from(freshness.always_validate),
    ] {
        head.extend(number.to_le_bytes());
    }
    put(&mut head, object.host.as_bytes());
    put(&mut head, object.target.as_bytes());
    head.extend((object.headers.len() as u32).to_le_bytes());
    for (name, value) in &object.headers {
        put(&mut head, name.as_str().as_bytes());
        put(&mut head, value.as_bytes());
    }
    put_varies(&mut head, object);
    head.extend((object.tags.len() as u32).to_le_bytes());
    for tag in &object.tags {
        put(&mut head, tag.as_bytes());
    }
    for (coding, body) in encoded.all() {
        head.push(coding as u8);
        head.extend((body.len() as u32).to_le_bytes());
    }
    let body_bytes = object.body.len() + encoded.bytes();
    if head.len() > EDGE_RECORD_HEAD_BYTES_MAX || body_bytes > EDGE_OBJECT_BYTES_MAX {
        return None;
    }
    let mut record = Vec::with_capacity(HEADER_BYTES + head.len() + body_bytes);
    record.extend(if encoded.is_empty() { MAGIC } else { MAGIC_ENCODED });
    record.extend([0; 4]);
    record.extend((head.len() as u32).to_le_bytes());
    record.extend((body_bytes as u32).to_le_bytes());
    record.extend(object.mark.moment.0.to_le_bytes());
    record.extend(hash_key(key).to_le_bytes());
    record.extend(hash_varies(object).to_le_bytes());
    record.extend(head);
    record.extend_from_slice(&object.body);
    encoded.all().for_each(|(_, body)| record.extend_from_slice(body));
    let checksum = crc32fast::hash(&record[8..]);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
    Some(record)
}

/// None for what is not whole, or not a record.
pub fn decode(record: Vec<u8>) -> Option<(Key, Object)> {
    let header = Header::parse(record.first_chunk()?)?;
    if header.bytes() != record.len() as u64 || crc32fast::hash(&record[8..]) != header.checksum {
        return None;
    }
    let body_at = HEADER_BYTES + header.head_bytes as usize;
    let mut rest = Cursor(&record[HEADER_BYTES..body_at]);
    let key = Key(rest.bytes()?.into());
    let status = StatusCode::from_u16(rest.u16()?).ok()?;
    let (asked, answered) = (rest.time()?, rest.time()?);
    let freshness = Freshness {
        age_ms: rest.u64()?,
        lifetime_ms: rest.u64()?,
        revalidate_ms: rest.u64()?,
        error_ms: rest.u64()?,
        down_ms: rest.u64()?,
        always_validate: rest.u64()? != 0,
    };
    let (host, target) = (rest.text()?, rest.text()?);
    let mut headers = HeaderMap::new();
    for _ in 0..rest.u32()? {
        let name = HeaderName::from_bytes(rest.bytes()?).ok()?;
        headers.try_append(name, HeaderValue::from_bytes(rest.bytes()?).ok()?).ok()?;
    }
    let mut varies = Vec::new();
    for _ in 0..rest.u32()? {
        let name = HeaderName::from_bytes(rest.bytes()?).ok()?;
        let value = match rest.take(1)? {
            [0] => None,
            _ => Some(Bytes::copy_from_slice(rest.bytes()?)),
        };
        varies.push((name, value));
    }
    let mut tags = Vec::new();
    for _ in 0..rest.u32()? {
        tags.push(rest.text()?);
    }
    let mut made = Vec::new();
    let mut end = record.len();
    while !rest.0.is_empty() {
        made.push((Coding::numbered(rest.u8()?)?, rest.u32()? as usize));
    }
    if made.is_empty() != record.starts_with(MAGIC) {
        return None;
    }
    let record = Bytes::from(record);
    let mut encoded = Encoded::default();
    // From the last one: the body is what is left before them.
    for (coding, bytes) in made.into_iter().rev() {
        let from = end.checked_sub(bytes).filter(|from| *from >= body_at)?;
        encoded.put(coding, record.slice(from..end));
        end = from;
    }
    let body = record.slice(body_at..end);
    let object = Object {
        status,
        headers,
        body,
        encoded,
        varies,
        tags,
        host,
        target,
        asked,
        answered,
        freshness,
        mark: Default::default(),
    };
    Some((key, object))
}

fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend((bytes.len() as u32).to_le_bytes());
    into.extend(bytes);
}

fn put_varies(into: &mut Vec<u8>, object: &Object) {
    into.extend((object.varies.len() as u32).to_le_bytes());
    for (name, value) in &object.varies {
        put(into, name.as_str().as_bytes());
        into.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put(into, value);
        }
    }
}

fn put_time(into: &mut Vec<u8>, time: SystemTime) {
    let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    into.extend(u64::try_from(nanos).unwrap_or(u64::MAX).to_le_bytes());
}

/// What is still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()? as usize;
        self.take(count)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        Some(std::str::from_utf8(self.bytes()?).ok()?.into())
    }

    fn time(&mut self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_nanos(self.u64()?))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::cache::tests::object;

    fn sample() -> (Key, Object) {
        let mut object = object("a.example", "/posts?page=1", &["c:posts", "r:posts/1"], "a body");
        object.headers.append("set-thing", HeaderValue::from_static("1"));
        object.headers.append("set-thing", HeaderValue::from_bytes(b"\xff2").unwrap());
        object.freshness = Freshness { lifetime_ms: 60_000, always_validate: true, ..Freshness::default() };
        object.varies =
            vec![(hyper::header::ACCEPT, Some("x".into())), (hyper::header::ACCEPT_LANGUAGE, None)];
        (Key(b"key".as_slice().into()), object)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (key, object) = sample();
        let record = encode(&key, &object, &object.encoded).unwrap();
        let (read_key, read) = decode(record).unwrap();
        assert_eq!(read_key, key);
        assert_eq!(format!("{:?}", read), format!("{:?}", object));
    }

    #[test]
    fn codings_lie_behind_the_body() {
        let (key, mut object) = sample();
        object.encoded.put(Coding::Gzip, "packed".into());
        object.encoded.put(Coding::Brotli, "denser".into());
        let record = encode(&key, &object, &object.encoded).unwrap();
        let (_, read) = decode(record.clone()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{object:?}"));
        let bare = decode(encode(&key, &object, &Encoded::default()).unwrap()).unwrap().1;
        assert!(bare.encoded.is_empty() && bare.body == object.body);
        // An older version's mark before what only this one knows.
        let mut other = record;
        other[..4].copy_from_slice(MAGIC);
        assert!(decode(other).is_none());
    }

    #[test]
    fn what_was_torn_or_is_foreign_is_never_read() {
        let (key, mut object) = sample();
        object.encoded.put(Coding::Gzip, "packed".into());
        let record = encode(&key, &object, &object.encoded).unwrap();
        for end in 0..record.len() {
            assert!(decode(record[..end].to_vec()).is_none());
        }
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut broken = record.clone();
                broken[at] ^= 1 << bit;
                assert!(decode(broken).is_none(), "byte {at}, bit {bit}");
            }
        }
        let mut rng = StdRng::seed_from_u64(3);
        for _ in 0..20_000 {
            // Right in its checksum, so that what reads the rest meets anything.
            let mut broken = record.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(8..broken.len());
                broken[at] = rng.random();
            }
            let checksum = crc32fast::hash(&broken[8..]);
            broken[4..8].copy_from_slice(&checksum.to_le_bytes());
            let _ = decode(broken);
        }
    }
}
