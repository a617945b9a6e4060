//! Where on disk each answer lies. All of it is in memory, and in a file while no process runs.

use std::collections::HashMap;

use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;

use super::record::Header;
use crate::cache::purges::Standing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
    pub bytes: u32,
    pub varies: u64,
    pub moment: u64,
    /// Of another process's life: its moment means nothing any more.
    pub at_best: Option<Standing>,
    /// Somebody has read it since it was written.
    pub used: bool,
}

impl Place {
    pub fn of(header: &Header, segment: u64, offset: u64) -> Place {
        Place {
            segment,
            offset,
            bytes: header.bytes() as u32,
            varies: header.varies,
            moment: header.moment,
            at_best: None,
            used: false,
        }
    }
}

#[derive(Default)]
pub struct Places {
    places: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_key: HashMap<u64, Vec<Place>, FxBuildHasher>,
    count: usize,
}

impl Places {
    pub fn has(&self, key: u64) -> bool {
        self.places.lock().by_key.contains_key(&key)
    }

    /// Those of all variants, which are being read now.
    pub fn find(&self, key: u64) -> Vec<Place> {
        let mut table = self.places.lock();
        let Some(places) = table.by_key.get_mut(&key) else { return Vec::new() };
        places.iter_mut().for_each(|place| place.used = true);
        places.clone()
    }

    /// In place of what the same requests selected, unless that is younger.
    pub fn put(&self, key: u64, place: Place) {
        let mut table = self.places.lock();
        let table = &mut *table;
        let places = table.by_key.entry(key).or_default();
        match places.iter_mut().find(|known| known.varies == place.varies) {
            Some(known) if known.at_best.is_none() && known.moment > place.moment => {}
            Some(known) => *known = place,
            None => {
                places.push(place);
                table.count += 1;
            }
        }
    }

    pub fn remove(&self, key: u64) {
        let mut table = self.places.lock();
        if let Some(places) = table.by_key.remove(&key) {
            table.count -= places.len();
        }
    }

    /// Forgets that one, and no other that has come in its place. True when somebody has used it.
    pub fn forget(&self, key: u64, segment: u64, offset: u64) -> Option<Place> {
        let mut table = self.places.lock();
        let places = table.by_key.get_mut(&key)?;
        let at = places.iter().position(|place| place.segment == segment && place.offset == offset)?;
        let place = places.swap_remove(at);
        if places.is_empty() {
            table.by_key.remove(&key);
        }
        table.count -= 1;
        Some(place)
    }

    pub fn len(&self) -> usize {
        self.places.lock().count
    }

    fn all(&self) -> Vec<(u64, Place)> {
        let table = self.places.lock();
        table.by_key.iter().flat_map(|(key, places)| places.iter().map(|place| (*key, *place))).collect()
    }

    /// Everything, for the next process. `worst` is what it may still think of answers that this one fetched.
    pub fn write(&self, worst: Standing) -> Vec<u8> {
        let all = self.all();
        let mut bytes = Vec::with_capacity(16 + all.len() * PLACE_BYTES);
        bytes.extend(MAGIC);
        bytes.extend([0; 4]);
        for (key, place) in all {
            bytes.extend(key.to_le_bytes());
            bytes.extend(place.segment.to_le_bytes());
            bytes.extend(place.offset.to_le_bytes());
            bytes.extend(place.bytes.to_le_bytes());
            bytes.extend(place.varies.to_le_bytes());
            // What an earlier process kept has now missed the purges of two.
            bytes.push(place.at_best.unwrap_or_default().max(worst) as u8);
        }
        let checksum = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// None when the file is not whole.
    pub fn read(bytes: &[u8]) -> Option<Vec<(u64, Place)>> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*checksum) != crc32fast::hash(rest) || rest.len() % PLACE_BYTES != 0 {
            return None;
        }
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
        let places = rest.chunks_exact(PLACE_BYTES).map(|place| {
            let at_best = match place[36] {
                0 => Standing::Good,
                1 => Standing::Soft,
                _ => Standing::Hard,
            };
            let key = number(&place[0..8])?;
            let found = Place {
                segment: number(&place[8..16])?,
                offset: number(&place[16..24])?,
                bytes: place[24..28].try_into().ok().map(u32::from_le_bytes)?,
                varies: number(&place[28..36])?,
                moment: 0,
                at_best: Some(at_best),
                used: false,
            };
            Some((key, found))
        });
        places.collect()
    }
}

const MAGIC: &[u8; 4] = b"PDI1";
const PLACE_BYTES: usize = 37;
