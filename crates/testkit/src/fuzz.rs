//! A bounded, seeded, mutation-based driver: mutates the given seeds for a number of seconds and calls the
//! target with each result. A target reports a finding by panicking; the driver then says which seed and
//! which bytes. It gathers no coverage: it is a smoke test that any machine can run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// A small deterministic generator (SplitMix64): the same seed gives the same run on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Bytes that tend to break parsers of filters, JSON, forms and multipart bodies.
const SPICE: &[&[u8]] = &[
    b"\"",
    b"'",
    b"`",
    b"\\",
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"&&",
    b"||",
    b"=",
    b"?=",
    b"!~",
    b"~",
    b"<=",
    b"@",
    b"@request.",
    b"@collection.",
    b":",
    b":each",
    b":length",
    b".",
    b"..",
    b"_via_",
    b"//",
    b"%",
    b"%00",
    b"\0",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"--",
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"99999999999999999999",
    b"0x1",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    "é".as_bytes(),
    "🌲".as_bytes(),
    "\u{202e}".as_bytes(),
    b",",
    b"+",
    b"-",
    b"*",
    b"?",
    b" ",
    b"\t",
    b"/*",
    b";",
    b"strftime(",
    b"geoDistance(",
    b"@now",
    b"((((((((((",
];

/// One mutation of `seeds`, never longer than `bytes_max`.
pub fn mutate(random: &mut Random, seeds: &[Vec<u8>], bytes_max: usize) -> Vec<u8> {
    let mut bytes = if seeds.is_empty() { Vec::new() } else { random.pick(seeds).clone() };
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(8) {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 1 << random.below(8);
            }
            1 if !bytes.is_empty() => {
                let end = (at + 1 + random.below(8)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            2 => {
                let end = (at + random.below(16)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let times_max = if random.below(16) == 0 { 64 } else { 3 };
                let part = part.repeat(1 + random.below(times_max));
                bytes.splice(at..at, part);
            }
            3 => bytes.truncate(at),
            4 if !seeds.is_empty() => {
                let other = random.pick(seeds).clone();
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            5 => bytes.insert(at, random.next() as u8),
            _ => {
                let spice = random.pick(SPICE).to_vec();
                bytes.splice(at..at, spice);
            }
        }
    }
    bytes.truncate(bytes_max);
    bytes
}

/// Seconds to fuzz: `PANDO_FUZZ_SECONDS`, else `otherwise`.
pub fn seconds(otherwise: u64) -> u64 {
    number("PANDO_FUZZ_SECONDS").unwrap_or(otherwise)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Calls `target` with the seeds, then with mutations of them, for `seconds`. `PANDO_FUZZ_SEED` chooses another
/// run. Prints and returns the number of executions; panics with the input that made the target panic.
pub fn run(seeds: &[&[u8]], seconds: u64, mut target: impl FnMut(&[u8])) -> u64 {
    let seed = number("PANDO_FUZZ_SEED").unwrap_or(1);
    let mut random = Random(seed);
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|s| s.to_vec()).collect();
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut executions = 0;
    while executions < seeds.len() as u64 || Instant::now() < until {
        let bytes = match seeds.get(executions as usize) {
            Some(seed) => seed.clone(),
            None => mutate(&mut random, &seeds, 64 << 10),
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            eprintln!("fuzz: seed {seed}, execution {executions}, input \"{}\"", bytes.escape_ascii());
            resume_unwind(panic);
        }
        executions += 1;
    }
    println!("fuzz: {executions} executions in {seconds} s from {} seeds, seed {seed}", seeds.len());
    executions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let seeds = vec![b"a = 1 && b ~ 'x'".to_vec(), b"{\"a\":[1,2]}".to_vec()];
        let series = || {
            let mut random = Random(7);
            (0..1000).map(|_| mutate(&mut random, &seeds, 256)).collect::<Vec<_>>()
        };
        assert_eq!(series(), series());
        assert!(series().iter().all(|b| b.len() <= 256));
    }

    #[test]
    fn a_planted_panic_is_found() {
        let found = catch_unwind(|| run(&[b"(((a)))"], 5, |b| assert!(!b.ends_with(b"\\"))));
        assert!(found.is_err());
    }
}
