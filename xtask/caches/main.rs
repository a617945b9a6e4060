//! What `bench --caches` runs, built as what ships is: how often each policy of the record cache finds what is asked for,
//! and how many looks it answers on one core. Prints the rows of a table.

use std::sync::Arc;
use std::time::Instant;

use backing::Stamps;
use backing::cache::{Asked, Keep, Policy, RecordCache, Shape};
use base::{Name, Value};
use query::Row;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 1_000_000;
const SKEW: f64 = 0.99;
/// Requests of a scan, and between two scans.
const SCAN: usize = 50_000;
/// Parts of the keys that fit.
const SIZES: [f64; 2] = [0.01, 0.1];

/// One request: which key, and whether it is part of a scan.
type Request = (u32, bool);

fn main() {
    let requests = std::env::args().nth(1).and_then(|given| given.parse().ok()).unwrap_or(8_000_000);
    let ids: Vec<String> = (0..2 * KEYS).map(|key| format!("{key:015}")).collect();
    let (zipf, scans) = (zipf(requests), scans(requests));
    for policy in Policy::ALL {
        print!("| {} ", policy.name());
        for trace in [&zipf, &scans] {
            for size in SIZES {
                let (ratio, _) = run(policy, size, trace, &ids);
                print!("| {ratio:.3} ");
            }
        }
        // The rate varies more than the ratio does: the best of three.
        let rates = (0..3).map(|_| run(policy, SIZES[1], &zipf, &ids).1);
        println!("| {:.1} |", rates.fold(0.0, f64::max));
    }
}

/// The part of the requests beside scans that found what they asked for, once the cache is full; and million looks a
/// second, loads of what was not found included (which cost nothing here).
fn run(policy: Policy, size: f64, trace: &[Request], ids: &[String]) -> (f64, f64) {
    let (table, described): (Name, _) = ("records".into(), Arc::new(0_u64));
    let shape = Shape::of(&described);
    let (row, keep) = (Arc::new(Row::from(vec![Value::Number(1.0)])), Keep::default());
    let stamps = Arc::new(Stamps::default());
    let open = |bytes| RecordCache::new(stamps.clone(), policy, bytes);
    let put = |cache: &RecordCache, id| {
        cache.put(Asked { table: &table, id, shape }, &keep, stamps.now(), Some(row.clone()));
    };
    let one = open(1 << 20);
    put(&one, &ids[0]);
    let (weight, _) = one.held();
    let cache = open(RecordCache::bytes_for((KEYS as f64 * size) as u64 * weight));
    let pass = |trace: &[Request]| {
        let (mut asked, mut found) = (0_u64, 0_u64);
        for (key, is_scan) in trace {
            let id = &ids[*key as usize];
            let is_found = cache.get(Asked { table: &table, id, shape }).is_some();
            if !is_found {
                put(&cache, id);
            }
            asked += u64::from(!is_scan);
            found += u64::from(!is_scan && is_found);
        }
        found as f64 / asked as f64
    };
    let (warm, measured) = trace.split_at(trace.len() / 4);
    pass(warm);
    let began = Instant::now();
    let ratio = pass(measured);
    (ratio, measured.len() as f64 / began.elapsed().as_secs_f64() / 1e6)
}

/// Some keys are asked for far more often than others.
fn zipf(requests: usize) -> Vec<Request> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += (rank as f64).powf(-SKEW);
            sum
        })
        .collect();
    let mut random = Random(42);
    let mut draw = || {
        let at = random.next() * sum;
        (sums.partition_point(|below| *below < at).min(KEYS - 1) as u32, false)
    };
    (0..requests).map(|_| draw()).collect()
}

/// The same, with runs over keys that nobody else asks for in between, as an export or a crawler makes them.
fn scans(requests: usize) -> Vec<Request> {
    let mut popular = zipf(requests / 2).into_iter();
    let mut scanned = 0;
    let mut trace = Vec::with_capacity(requests);
    while popular.len() >= SCAN {
        trace.extend(popular.by_ref().take(SCAN));
        trace.extend((0..SCAN).map(|step| ((KEYS + (scanned + step) % KEYS) as u32, true)));
        scanned += SCAN;
    }
    trace
}

/// SplitMix64: the same numbers each time.
struct Random(u64);

impl Random {
    /// From 0 up to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
