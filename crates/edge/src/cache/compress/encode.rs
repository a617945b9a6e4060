//! Making a coding of a body, and proving that it is one.

use std::io::{self, Read, Write};

use base::limits::{EDGE_COMPRESS_BEST_BYTES_MAX, EDGE_COMPRESS_SHARE_PERCENT_MAX};
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::codings::Coding;

const CHUNK_BYTES: usize = 32 << 10;

/// How much work a body is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// It may be another one soon.
    Quick,
    /// It stays as it is.
    Thorough,
}

/// None for what would not be smaller by enough, or cannot be proven to be the same.
pub fn encode(coding: Coding, body: &[u8], effort: Effort) -> Option<Vec<u8>> {
    let bytes_max = body.len() * EDGE_COMPRESS_SHARE_PERCENT_MAX / 100;
    let encoded = match coding {
        Coding::Brotli => brotli(body, effort, bytes_max),
        Coding::Zstd => zstd(body, effort, bytes_max),
        Coding::Gzip => gzip(body, effort, bytes_max),
    };
    let mut encoded = encoded.filter(|encoded| encoded.len() <= bytes_max)?;
    if !is_coding_of(coding, &encoded, body) {
        tracing::error!(coding = coding.name(), "a coding does not lead back to its body and is not used");
        return None;
    }
    encoded.shrink_to_fit();
    Some(encoded)
}

fn brotli(body: &[u8], effort: Effort, bytes_max: usize) -> Option<Vec<u8>> {
    let quality = match effort {
        Effort::Quick => 5,
        // The best is ten times as slow as the next.
        Effort::Thorough if body.len() <= EDGE_COMPRESS_BEST_BYTES_MAX => 11,
        Effort::Thorough => 9,
    };
    let params = BrotliEncoderParams { quality, size_hint: body.len(), ..BrotliEncoderParams::default() };
    let mut bounded = Bounded::new(bytes_max);
    brotli::BrotliCompress(&mut &body[..], &mut bounded, &params).ok()?;
    Some(bounded.bytes)
}

fn gzip(body: &[u8], effort: Effort, bytes_max: usize) -> Option<Vec<u8>> {
    let level = match effort {
        Effort::Quick => Compression::new(6),
        Effort::Thorough => Compression::best(),
    };
    let mut encoder = GzEncoder::new(Bounded::new(bytes_max), level);
    encoder.write_all(body).ok()?;
    Some(encoder.finish().ok()?.bytes)
}

/// Both levels stay below the window of 8 MiB that clients must have room for: RFC 9659.
fn zstd(body: &[u8], effort: Effort, bytes_max: usize) -> Option<Vec<u8>> {
    let level = match effort {
        Effort::Quick => 6,
        Effort::Thorough => 15,
    };
    let mut encoder = zstd::Encoder::new(Bounded::new(bytes_max), level).ok()?;
    // With it known, windows and tables are no larger than the body.
    encoder.set_pledged_src_size(u64::try_from(body.len()).ok()).ok()?;
    encoder.write_all(body).ok()?;
    Some(encoder.finish().ok()?.bytes)
}

/// Whether it unpacks to the body. That is a small part of the work, and no fault of an encoder reaches a client.
fn is_coding_of(coding: Coding, encoded: &[u8], body: &[u8]) -> bool {
    match coding {
        Coding::Brotli => reads_as(brotli::Decompressor::new(encoded, CHUNK_BYTES), body),
        Coding::Gzip => reads_as(GzDecoder::new(encoded), body),
        Coding::Zstd => zstd::Decoder::with_buffer(encoded).is_ok_and(|decoder| reads_as(decoder, body)),
    }
}

fn reads_as(mut reader: impl Read, body: &[u8]) -> bool {
    let (mut chunk, mut rest) = ([0; CHUNK_BYTES], body);
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return rest.is_empty(),
            Ok(count) => match rest.strip_prefix(&chunk[..count]) {
                Some(after) => rest = after,
                None => return false,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Takes so many bytes and no more: what does not shrink is given up early.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Bounded {
    fn new(bytes_max: usize) -> Self {
        Bounded { bytes: Vec::new(), bytes_max }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Anything from one byte repeated to noise.
    fn random(rng: &mut StdRng) -> Vec<u8> {
        let length = rng.random_range(1..60_000);
        let kinds = rng.random_range(1..=256_u32);
        let mut body: Vec<u8> = Vec::with_capacity(length);
        while body.len() < length {
            match rng.random_range(0..3) {
                0 if !body.is_empty() => {
                    let from = rng.random_range(0..body.len());
                    let to = (from + rng.random_range(1..500)).min(body.len());
                    body.extend_from_within(from..to);
                }
                1 => body.extend_from_slice(b"{\"id\":\"abc\",\"title\":\"of something\"},"),
                _ => body.push((rng.random_range(0..kinds)) as u8),
            }
        }
        body.truncate(length);
        body
    }

    #[test]
    fn every_coding_leads_back_to_its_body() {
        let mut rng = StdRng::seed_from_u64(11);
        let mut made = 0;
        for round in 0..60 {
            let body = random(&mut rng);
            let effort = if round % 6 == 0 { Effort::Thorough } else { Effort::Quick };
            for coding in Coding::ALL {
                let Some(encoded) = encode(coding, &body, effort) else { continue };
                made += 1;
                assert!(encoded.len() <= body.len() * EDGE_COMPRESS_SHARE_PERCENT_MAX / 100);
                let mut decoded = Vec::new();
                match coding {
                    Coding::Brotli => {
                        brotli::Decompressor::new(&encoded[..], 4_096).read_to_end(&mut decoded).unwrap();
                    }
                    Coding::Gzip => {
                        GzDecoder::new(&encoded[..]).read_to_end(&mut decoded).unwrap();
                    }
                    Coding::Zstd => decoded = zstd::decode_all(&encoded[..]).unwrap(),
                }
                assert_eq!(decoded, body, "{coding:?}, round {round}");
            }
        }
        assert!(made > 100, "{made}");
    }

    #[test]
    fn what_does_not_shrink_is_not_made() {
        let mut rng = StdRng::seed_from_u64(12);
        let noise: Vec<u8> = (0..10_000).map(|_| rng.random()).collect();
        for coding in Coding::ALL {
            assert_eq!(encode(coding, &noise, Effort::Quick), None, "{coding:?}");
            assert_eq!(encode(coding, b"", Effort::Quick), None, "{coding:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_body_is_found() {
        let body = b"one and one and one and one and one and one and one and one".repeat(9);
        for coding in Coding::ALL {
            let encoded = encode(coding, &body, Effort::Quick).unwrap();
            assert!(is_coding_of(coding, &encoded, &body));
            assert!(!is_coding_of(coding, &encoded, &body[1..]));
            assert!(!is_coding_of(coding, &encoded, &body[..body.len() - 1]));
            assert!(!is_coding_of(coding, &encoded[..encoded.len() - 1], &body));
        }
    }
}
