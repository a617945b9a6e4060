//! Ways to choose among nodes that may be asked. Pure functions: the same candidates and the same number, the same choice.

use crate::upstream::mix;

#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its share; smaller while it starts slowly.
    pub weight: f64,
    /// Requests under way.
    pub busy: usize,
    /// In nanoseconds; 0 as long as nobody knows.
    pub latency: f64,
    /// Its own, the same in every process.
    pub hash: u64,
}

/// The golden ratio's fraction of 2^64: its multiples spread as evenly as can be.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// In turn, each as often as its weight has it. Always an index of `candidates`, which must not be empty.
pub fn round_robin(turn: u64, candidates: &[Candidate]) -> usize {
    let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    let Some(first) = candidates.first() else { return 0 };
    if candidates.iter().all(|candidate| candidate.weight == first.weight) {
        return (turn % candidates.len() as u64) as usize;
    }
    let mut at = turn.wrapping_mul(GOLDEN) as f64 / u64::MAX as f64 * total;
    for (index, candidate) in candidates.iter().enumerate() {
        at -= candidate.weight;
        if at < 0.0 {
            return index;
        }
    }
    candidates.len() - 1
}

/// The one with the fewest requests under way for its weight; among equals in turn.
pub fn least(turn: u64, candidates: &[Candidate]) -> usize {
    let start = (turn % candidates.len().max(1) as u64) as usize;
    let order = (0..candidates.len()).map(|step| (start + step) % candidates.len());
    let load = |index: &usize| {
        candidates.get(*index).map_or(f64::MAX, |candidate| (candidate.busy + 1) as f64 / candidate.weight)
    };
    order.min_by(|a, b| load(a).total_cmp(&load(b))).unwrap_or(0)
}

/// Two at random, of which the one that is likely to answer sooner.
pub fn two(random: u64, candidates: &[Candidate]) -> usize {
    let count = candidates.len() as u64;
    if count < 2 {
        return 0;
    }
    let first = (random & 0xffff_ffff) % count;
    let second = (first + 1 + (random >> 32) % (count - 1)) % count;
    let cost = |index: u64| {
        candidates.get(index as usize).map_or(f64::MAX, |candidate| {
            // Who has not answered yet is no faster than anybody can be.
            candidate.latency.max(50_000.0) * (candidate.busy + 1) as f64 / candidate.weight
        })
    };
    if cost(second) < cost(first) { second as usize } else { first as usize }
}

/// Rendezvous hashing with bounded load: the one that wins the key, among those that have not more than `percent` of their
/// share of what is under way. A candidate that comes or goes moves only the keys that it wins or won.
pub fn hashed(key: u64, candidates: &[Candidate], percent: u64) -> usize {
    let busy: usize = candidates.iter().map(|candidate| candidate.busy).sum();
    let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    let room = |candidate: &Candidate| {
        let share = (busy + 1) as f64 * candidate.weight / total.max(f64::MIN_POSITIVE);
        (candidate.busy as f64) < (share * percent as f64 / 100.0).ceil()
    };
    let score = |candidate: &Candidate| {
        // A number in (0, 1], to the power of 1/weight, as its logarithm.
        let unit = ((mix(key ^ candidate.hash) >> 11) + 1) as f64 / (1u64 << 53) as f64;
        unit.ln() / candidate.weight
    };
    let best = |only_with_room: bool| {
        let all = candidates.iter().enumerate().filter(|(_, candidate)| !only_with_room || room(candidate));
        all.map(|(index, candidate)| (index, score(candidate))).max_by(|a, b| a.1.total_cmp(&b.1))
    };
    best(true).or_else(|| best(false)).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(weights: &[f64]) -> Vec<Candidate> {
        let candidate = |(index, weight): (usize, &f64)| Candidate {
            weight: *weight,
            busy: 0,
            latency: 0.0,
            hash: mix(index as u64 + 1),
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    fn counts(nodes: &[Candidate], requests: u64, choose: impl Fn(u64) -> usize) -> Vec<f64> {
        let mut counts = vec![0.0; nodes.len()];
        (0..requests).for_each(|request| counts[choose(request)] += 1.0 / requests as f64);
        counts
    }

    #[test]
    fn round_robin_goes_by_weight() {
        let equal = nodes(&[1.0, 1.0, 1.0]);
        assert_eq!((0..6).map(|turn| round_robin(turn, &equal)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        let weighted = nodes(&[1.0, 2.0, 5.0]);
        // Even over a few requests, not only in the long run.
        for requests in [80, 8_000] {
            let counts = counts(&weighted, requests, |turn| round_robin(turn, &weighted));
            for (count, share) in counts.iter().zip([0.125, 0.25, 0.625]) {
                assert!((count - share).abs() <= 2.0 / requests as f64 + 0.01, "{counts:?}");
            }
        }
    }

    #[test]
    fn the_least_busy_for_its_weight_is_asked() {
        let mut all = nodes(&[1.0, 1.0, 4.0]);
        (all[0].busy, all[1].busy, all[2].busy) = (2, 1, 4);
        assert!((0..9).all(|turn| least(turn, &all) == 2));
        all[2].busy = 20;
        assert!((0..9).all(|turn| least(turn, &all) == 1));
    }

    #[test]
    fn of_two_the_faster_and_every_pair_comes() {
        let mut all = nodes(&[1.0, 1.0, 1.0, 1.0]);
        all[3].latency = 1e9;
        all.iter_mut().take(3).for_each(|node| node.latency = 1e6);
        let counts = counts(&all, 10_000, |request| two(mix(request + 1), &all));
        assert!(
            counts[3] == 0.0 && counts[..3].iter().all(|count| (0.25..0.45).contains(count)),
            "{counts:?}"
        );
        all.truncate(1);
        assert_eq!(two(7, &all), 0);
    }

    #[test]
    fn a_node_that_comes_or_goes_moves_only_its_keys() {
        let all = nodes(&[1.0, 1.0, 2.0, 1.0, 1.0]);
        let shares = counts(&all, 60_000, |key| hashed(mix(key), &all, 1_000_000));
        for (share, weight) in shares.iter().zip([1.0, 1.0, 2.0, 1.0, 1.0]) {
            assert!((share - weight / 6.0).abs() < 0.01, "{shares:?}");
        }
        for gone in 0..all.len() {
            let mut fewer = all.clone();
            fewer.remove(gone);
            for key in (0..5_000).map(mix) {
                let (before, after) = (hashed(key, &all, 1_000_000), hashed(key, &fewer, 1_000_000));
                assert!(before == gone || all[before].hash == fewer[after].hash);
            }
        }
    }

    #[test]
    fn a_popular_key_does_not_overload_its_node() {
        let mut all = nodes(&[1.0; 8]);
        for _ in 0..800 {
            let chosen = hashed(42, &all, 125);
            all[chosen].busy += 1;
            let total: usize = all.iter().map(|node| node.busy).sum();
            let bound = ((total as f64 / 8.0) * 1.25).ceil() as usize;
            assert!(all.iter().all(|node| node.busy <= bound), "{total}");
        }
    }
}
