//! What one process knows of the hosts, and what follows from it: who is the primary, which replica may be read until
//! when, what a writer still waits for. Pure: times and positions are handed in. The reasons are in the parent's note.

use std::collections::VecDeque;

use crate::engine::postgres::{Agreed, Quorum, Role, Sight};

/// Microseconds of this process's own clock, which only goes forward.
pub type Moment = u64;

/// The time limits that all processes on one database must have in common.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How old a proof may be that a replica is read by.
    pub lease: Moment,
    /// What those who must outlast a lease wait beyond it.
    pub margin: Moment,
    /// A replica that is further behind is put out.
    pub lag_max: Moment,
    /// How long it must have kept up before it is let in; doubled with each strike.
    pub join: Moment,
    pub join_max: Moment,
    /// A replica that was in for this long has its strikes forgiven.
    pub forgiven: Moment,
    /// How old the last look at each host may be when the primary is read.
    pub look: Moment,
}

impl Terms {
    /// After this long a lease that another process may hold is over.
    pub fn outlasting(&self) -> Moment {
        self.lease + self.margin
    }
}

/// Samples of the primary's position that are kept.
const SAMPLES_MAX: usize = 4096;

pub struct Ledger {
    terms: Terms,
    hosts: Vec<Host>,
    /// The highest timeline that any host ever showed.
    timeline: u64,
    primary: Option<usize>,
    /// The host and timeline that the samples and the rows are of.
    source: Option<(usize, u64)>,
    /// When the primary was asked for its position, and what it answered.
    samples: VecDeque<(Moment, u64)>,
    rows: Vec<Known>,
    quorum: Quorum,
}

struct Host {
    id: String,
    /// The present connection's first moment; what is said over it says nothing of an earlier life of the server.
    since: Moment,
    /// When the last question that was answered had been sent, and the answer.
    sight: Option<(Moment, Sight)>,
    /// When something was last found out: an answer, or that there is none.
    looked: Moment,
    /// Since when it has kept up, if it does.
    keeping: Option<Moment>,
    /// When it was last seen to keep up.
    kept: Moment,
}

/// What is agreed on a replica, and when this process first saw it so.
struct Known {
    row: Agreed,
    seen: Moment,
}

/// What the primary is told to write down.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub id: String,
    pub before: Option<Agreed>,
    pub is_in: bool,
    pub strikes: u32,
}

impl Ledger {
    pub fn new(terms: Terms, ids: impl IntoIterator<Item = String>, now: Moment) -> Ledger {
        let host = |id| Host { id, since: now, sight: None, looked: 0, keeping: None, kept: now };
        Ledger {
            terms,
            hosts: ids.into_iter().map(host).collect(),
            timeline: 0,
            primary: None,
            source: None,
            samples: VecDeque::new(),
            rows: Vec::new(),
            quorum: Quorum::default(),
        }
    }

    /// A new connection: whatever the host had come to before, it may be behind that now.
    pub fn connected(&mut self, host: usize, now: Moment) {
        self.silent(host, now);
        self.hosts[host].since = now;
    }

    /// The host does not answer: not for now, or its connection broke.
    pub fn silent(&mut self, host: usize, now: Moment) {
        let silent = &mut self.hosts[host];
        (silent.sight, silent.keeping, silent.looked) = (None, None, now);
        self.elect();
    }

    /// An answer, to a question that was sent at `sent`.
    pub fn heard(&mut self, host: usize, sent: Moment, now: Moment, sight: Sight) {
        let shown = match &sight.role {
            Role::Primary { timeline, .. } => (*timeline).max(sight.timeline),
            Role::Standby { .. } => sight.timeline,
        };
        self.timeline = self.timeline.max(shown);
        if self.source.is_none() && sight.quorum != Quorum::default() {
            self.quorum = sight.quorum;
        }
        let heard = &mut self.hosts[host];
        (heard.sight, heard.looked) = (Some((sent, sight)), now);
        self.elect();
        if self.primary == Some(host) {
            self.sample(host, sent, now);
        } else {
            self.follow(host, now);
        }
    }

    /// The one that writes the highest timeline. Whoever is it stays it.
    fn elect(&mut self) {
        let writes = |host: &Host| {
            let role = host.sight.as_ref().map(|(_, sight)| &sight.role);
            matches!(role, Some(Role::Primary { timeline, .. }) if *timeline == self.timeline)
        };
        if !self.primary.is_some_and(|host| writes(&self.hosts[host])) {
            self.primary = self.hosts.iter().position(writes);
        }
    }

    fn sample(&mut self, host: usize, sent: Moment, now: Moment) {
        let Some((_, Sight { role: Role::Primary { flushed, quorum, replicas, .. }, .. })) =
            &self.hosts[host].sight
        else {
            return;
        };
        let (flushed, quorum, replicas) = (*flushed, *quorum, replicas.clone());
        if self.source != Some((host, self.timeline)) {
            self.source = Some((host, self.timeline));
            self.samples.clear();
            self.rows.clear();
            for host in &mut self.hosts {
                (host.keeping, host.kept) = (None, now);
            }
        }
        self.quorum = quorum;
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((sent, flushed));
        let mut rows = Vec::with_capacity(replicas.len());
        for row in replicas {
            let known = self.rows.iter().find(|known| known.row.id == row.id);
            let same =
                known.filter(|known| (known.row.generation, known.row.is_in) == (row.generation, row.is_in));
            rows.push(Known { seen: same.map_or(now, |known| known.seen), row });
        }
        // A row that somebody took away was put out by that.
        for gone in self.rows.drain(..) {
            if !rows.iter().any(|known| known.row.id == gone.row.id) {
                let seen = if gone.row.is_in { now } else { gone.seen };
                rows.push(Known { row: Agreed { is_in: false, ..gone.row }, seen });
            }
        }
        self.rows = rows;
    }

    fn follow(&mut self, host: usize, now: Moment) {
        let keeps_up = self.lag(host, now).is_some_and(|lag| lag <= self.terms.lease);
        let lag_max = self.terms.lag_max;
        let host = &mut self.hosts[host];
        if now.saturating_sub(host.kept) > lag_max {
            host.keeping = None;
        }
        if keeps_up {
            host.keeping.get_or_insert(now);
            host.kept = now;
        } else {
            host.keeping = None;
        }
    }

    /// The samples that it has replayed. Only of a standby that follows this timeline.
    fn replayed(&self, host: usize) -> Option<usize> {
        let (_, sight) = self.hosts[host].sight.as_ref()?;
        let Role::Standby { replayed, .. } = sight.role else { return None };
        if sight.timeline != self.timeline || self.source.is_none_or(|(_, of)| of != self.timeline) {
            return None;
        }
        Some(self.samples.partition_point(|(_, position)| *position <= replayed))
    }

    /// Whatever was acknowledged before this moment, the host has it.
    fn proven(&self, host: usize) -> Option<Moment> {
        let count = self.replayed(host)?;
        let (sampled, _) = self.samples.get(count.checked_sub(1)?)?;
        (*sampled >= self.hosts[host].since).then_some(*sampled)
    }

    /// How long it has not had something that the primary has. `None` of a host that does not follow.
    pub fn lag(&self, host: usize, now: Moment) -> Option<Moment> {
        let count = self.replayed(host)?;
        Some(self.samples.get(count).map_or(0, |(missing, _)| now.saturating_sub(*missing)))
    }

    pub fn timeline(&self) -> u64 {
        self.timeline
    }

    /// The primary and its timeline.
    pub fn primary(&self) -> Option<(usize, u64)> {
        self.primary.map(|host| (host, self.timeline))
    }

    /// Until when the primary may be read without another look at who it is.
    pub fn primary_until(&self) -> Moment {
        let oldest = self.hosts.iter().map(|host| host.looked).min().unwrap_or(0);
        if oldest == 0 { 0 } else { oldest + self.terms.look }
    }

    /// Until when a replica may be read.
    pub fn readable_until(&self, host: usize) -> Option<Moment> {
        let proven = self.proven(host)?;
        let known = self.rows.iter().find(|known| known.row.id == self.hosts[host].id)?;
        (known.row.is_in && proven >= known.seen).then(|| proven + self.terms.lease)
    }

    /// Whatever was acknowledged before this moment, every replica that anybody may read has it. That stays true.
    pub fn everywhere(&self, now: Moment) -> Moment {
        let Some((asked, _)) = self.samples.back().copied() else { return 0 };
        if self.source.is_none_or(|source| self.primary() != Some(source)) {
            return 0;
        }
        let mut covered = asked;
        for known in &self.rows {
            // Others may not have heard yet that it is out.
            if !known.row.is_in && now >= known.seen + self.terms.outlasting() {
                continue;
            }
            let host = self.hosts.iter().position(|host| host.id == known.row.id);
            if host.is_some() && host == self.primary {
                continue;
            }
            let proven = host.and_then(|host| self.proven(host));
            covered = covered.min(proven.unwrap_or(0));
        }
        covered
    }

    /// Where to read while there is no primary: a replica that has replayed whatever any standby had received at a
    /// question sent after `asked`, if enough of them answered that one must have everything acknowledged.
    pub fn elsewhere(&self, asked: Moment) -> Option<usize> {
        let (mut answered, mut most, mut best) = (0, 0, None);
        for (index, host) in self.hosts.iter().enumerate() {
            let Some((sent, sight)) = &host.sight else { continue };
            let Role::Standby { replayed, received } = sight.role else { continue };
            if *sent < asked {
                continue;
            }
            // One that has not asked for more may hold more than it has read.
            answered += usize::from(received.is_some() || self.quorum.confirming == 0);
            most = most.max(replayed).max(received.unwrap_or(0));
            if sight.timeline == self.timeline && best.is_none_or(|(_, other)| replayed > other) {
                best = Some((index, replayed));
            }
        }
        let (host, replayed) = best?;
        (answered >= self.standbys_needed() && replayed >= most).then_some(host)
    }

    /// So many standbys that every confirmed commit is on one of them.
    fn standbys_needed(&self) -> usize {
        let all = self.quorum.listed.max(self.hosts.len() - 1);
        match self.quorum.confirming {
            0 => 1,
            confirming => all + 1 - confirming.min(all),
        }
    }

    /// What should be agreed otherwise than it is.
    pub fn decisions(&self, now: Moment) -> Vec<Decision> {
        let Some(primary) = self.primary.filter(|_| self.source == self.primary()) else { return Vec::new() };
        let row = |id: &str| self.rows.iter().find(|known| known.row.id == id);
        let mut out = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let known = row(&host.id).map(|known| &known.row);
            let strikes = known.map_or(0, |row| row.strikes);
            let mut decide = |is_in, strikes| {
                out.push(Decision { id: host.id.clone(), before: known.cloned(), is_in, strikes });
            };
            let age = known.map_or(Moment::MAX, |row| row.age_ms * 1000);
            if known.is_some_and(|row| row.is_in) {
                if index == primary {
                    decide(false, 0);
                } else if now.saturating_sub(host.kept) > self.terms.lag_max {
                    decide(false, if age > self.terms.forgiven { 1 } else { strikes + 1 });
                }
            } else if index != primary {
                let wait = (self.terms.join << strikes.min(16)).min(self.terms.join_max);
                let kept = host.keeping.is_some_and(|since| now.saturating_sub(since) >= wait);
                if kept && age >= wait {
                    decide(true, strikes);
                }
            }
        }
        // Hosts that only others are configured with, or that nobody has any more.
        for known in &self.rows {
            let stranger = !self.hosts.iter().any(|host| host.id == known.row.id);
            if stranger && known.row.is_in && now.saturating_sub(known.seen) > self.terms.join_max {
                let (id, before) = (known.row.id.clone(), Some(known.row.clone()));
                out.push(Decision { id, before, is_in: false, strikes: known.row.strikes });
            }
        }
        out
    }

    /// How the primary has its commits confirmed.
    pub fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// Replicas that are agreed to be in.
    pub fn is_in(&self, host: usize) -> bool {
        self.rows.iter().any(|known| known.row.is_in && known.row.id == self.hosts[host].id)
    }

    /// A host that would be written to and must not be: its timeline has ended.
    pub fn is_fenced(&self, host: usize) -> bool {
        let role = self.hosts[host].sight.as_ref().map(|(_, sight)| &sight.role);
        matches!(role, Some(Role::Primary { timeline, .. }) if *timeline < self.timeline)
    }
}
