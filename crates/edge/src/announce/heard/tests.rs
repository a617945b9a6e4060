use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Counts what is purged, and how much of it is everything.
#[derive(Default)]
struct Kept {
    purges: AtomicUsize,
    doubts: AtomicUsize,
}

impl Purges for Kept {
    fn purge(&self, purge: &Purge) {
        self.purges.fetch_add(1, Ordering::SeqCst);
        self.doubts.fetch_add(usize::from(purge.all), Ordering::SeqCst);
    }
}

impl Kept {
    fn doubts(&self) -> usize {
        self.doubts.load(Ordering::SeqCst)
    }
}

fn door() -> (Heard, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    (Heard::new(kept.clone()), kept)
}

fn tag() -> Purge {
    Purge { tags: vec!["a".into()], ..Purge::default() }
}

fn asks(door: &Heard) -> Positions {
    Positions::read(&door.told().unwrap()).unwrap()
}

#[test]
fn positions_are_read_strictly() {
    let read = |text: &str| Positions::read(text).map(|positions| positions.0.len());
    assert_eq!(read(""), Some(0));
    assert_eq!(read("a=1"), Some(1));
    assert_eq!(read("a=1,~b-_9=18446744073709551615"), Some(2));
    let long = format!("{}=1", "x".repeat(EDGE_HEARD_LIFE_BYTES_MAX + 1));
    let many = vec!["a=1"; EDGE_HEARD_LIVES_MAX + 1].join(",");
    for wrong in [
        ",",
        "a",
        "a=",
        "=1",
        "~=1",
        "a=1,",
        "a=-1",
        "a=+1",
        "a= 1",
        "a=1 ",
        "a=18446744073709551616",
        "~~a=1",
        &long,
        &many,
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
    assert_eq!(read(&vec!["a=1"; EDGE_HEARD_LIVES_MAX].join(",")), Some(EDGE_HEARD_LIVES_MAX));
}

#[tokio::test(start_paused = true)]
async fn who_has_heard_as_much_answers_at_once() {
    let ((outer, _), (shield, kept)) = (door(), door());
    for door in [&outer, &shield] {
        door.hear("node", Some(3), &tag(), false);
        // It says it again, and earlier things late.
        door.hear("node", Some(2), &Purge::default(), false);
        door.hear("quiet", Some(0), &Purge::default(), false);
    }
    assert_eq!(&*outer.told().unwrap(), "node=3");
    let began = tokio::time::Instant::now();
    assert_eq!(shield.catch_up(&asks(&outer)).await, Caught::Up);
    assert_eq!((began.elapsed(), kept.doubts()), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_is_waited_for() {
    let ((outer, _), (shield, kept)) = (door(), door());
    outer.hear("node", Some(3), &tag(), false);
    let asked = asks(&outer);
    let (caught, ()) = tokio::join!(shield.catch_up(&asked), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        shield.hear("node", Some(2), &tag(), false);
        tokio::time::sleep(Duration::from_millis(1)).await;
        shield.hear("node", Some(4), &tag(), false);
    });
    assert_eq!((caught, kept.doubts()), (Caught::Waited, 0));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_is_doubted_once() {
    let ((outer, _), (shield, kept)) = (door(), door());
    outer.hear("node", Some(3), &tag(), false);
    let asked = asks(&outer);
    let (first, second) = tokio::join!(shield.catch_up(&asked), shield.catch_up(&asked));
    assert!([first, second].contains(&Caught::Behind));
    assert_eq!(kept.doubts(), 1, "both are served by one doubt");
    assert_eq!(shield.catch_up(&asked).await, Caught::Up);
    // What it adopted it asks for in its turn, behind a shield of its own.
    assert_eq!(&*shield.told().unwrap(), "node=3");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_counts_is_doubted_at_once_and_everywhere() {
    let ((outer, _), (shield, kept)) = (door(), door());
    let began = tokio::time::Instant::now();
    let unheard: [&dyn Fn(); 4] = [
        &|| outer.doubt(),
        &|| outer.hear("older", None, &tag(), false),
        &|| outer.hear("older", None, &Purge::default(), true),
        &|| outer.hear("no life, but a list=1", Some(7), &tag(), false),
    ];
    for (number, untold) in unheard.into_iter().enumerate() {
        untold();
        assert_eq!(shield.catch_up(&asks(&outer)).await, Caught::Behind);
        assert_eq!(kept.doubts(), number + 1);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    outer.hear("older", None, &Purge::default(), false);
    assert_eq!(shield.catch_up(&asks(&outer)).await, Caught::Up, "nothing was purged");
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_doubted_and_its_position_adopted() {
    let ((outer, kept), (shield, own)) = (door(), door());
    shield.hear("node", Some(9), &tag(), false);
    outer.hear("node", Some(9), &Purge::default(), true);
    assert_eq!(kept.doubts(), 1);
    assert_eq!(shield.catch_up(&asks(&outer)).await, Caught::Up);
    assert_eq!(own.doubts(), 0, "that an outer edge began does not cost the shield what it has");
}

#[tokio::test(start_paused = true)]
async fn an_operators_purge_has_a_number_too() {
    let ((outer, _), (shield, kept)) = (door(), door());
    let mark = outer.purge(&tag());
    assert_eq!((mark.life.as_str(), mark.position), (outer.own(), 1));
    shield.passed(Some(&mark), &tag());
    assert_eq!((shield.catch_up(&asks(&outer)).await, kept.doubts()), (Caught::Up, 0));
    // This one the shield is not told.
    assert_eq!(outer.purge(&tag()).position, 2);
    assert_eq!(shield.catch_up(&asks(&outer)).await, Caught::Behind);
    assert_eq!(kept.doubts(), 1);
    // And of this one it can tell that another one is missing.
    outer.purge(&tag());
    shield.passed(Some(&outer.purge(&tag())), &tag());
    assert_eq!(kept.doubts(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_doubted() {
    let ((outer, _), (shield, _)) = (door(), door());
    for life in 0..=EDGE_HEARD_LIVES_MAX {
        outer.hear(&format!("life{life}"), Some(1), &tag(), false);
    }
    assert_eq!(outer.told(), None, "all of them may still be there");
    let ago = Instant::now().checked_sub(Duration::from_millis(FRONT_LIFE_KEPT_MS));
    for known in outer.lives.lock().known.values_mut() {
        known.heard = ago.unwrap();
    }
    outer.hear("new", Some(1), &tag(), false);
    let told = outer.told().unwrap();
    assert!(told.contains("new=1") && told.contains(&format!("{}=1", outer.untold)), "{told}");
    assert_eq!(told.split(',').count(), EDGE_HEARD_LIVES_MAX / 2 + 1);
    assert_eq!(shield.catch_up(&asks(&outer)).await, Caught::Behind);
}

#[test]
fn however_many_there_are_memory_is_bounded() {
    let (door, _) = door();
    for life in 0..2 * EDGE_HEARD_KEPT_MAX {
        door.hear(&format!("life{life}"), Some(1), &tag(), false);
        assert!(door.positions().len() <= EDGE_HEARD_KEPT_MAX + 1);
    }
    assert!(door.positions()[&door.untold] >= 1);
}

/// What a node wrote, as caches see it: a purge takes what is older, and what is fetched is what the node has.
#[derive(Default)]
struct Copy {
    /// The version that is kept, unless it is doubted.
    version: Mutex<Option<u64>>,
}

impl Purges for Copy {
    fn purge(&self, _purge: &Purge) {
        *self.version.lock() = None;
    }
}

/// Random histories of writes, of announcements that come, come late or never, and of reads through an outer edge and a
/// shield: no read is older than what was purged at that edge before.
#[tokio::test(start_paused = true)]
async fn no_history_shows_what_an_edge_has_heard_to_be_old() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let nodes = ["a", "b"];
        let mut written = [0_u64; 2];
        let copies: [Arc<Copy>; 3] = std::array::from_fn(|_| Arc::default());
        let mut doors = copies.clone().map(|copy| Heard::new(copy));
        // What each door has heard of each node: with a gap it doubts.
        let mut heard = [[0_u64; 2]; 3];
        let mut version = 0;
        let mut least = [0_u64; 3];
        let mut purged_at = [vec![0_u64], vec![0_u64]];
        for _ in 0..100 {
            let (door, node) = (random.random_range(0..3), random.random_range(0..2));
            match random.random_range(0..10) {
                0..3 => {
                    version += 1;
                    written[node] += 1;
                    purged_at[node].push(version);
                }
                3..6 => {
                    let position = written[node];
                    let purge = if position > heard[door][node] { tag() } else { Purge::default() };
                    doors[door].hear(nodes[node], Some(position), &purge, random.random_bool(0.1));
                    heard[door][node] = position;
                    least[door] = least[door].max(purged_at[node][position as usize]);
                }
                6 => {
                    doors[door].doubt();
                    least[door] = least[door].max(version);
                }
                // The shield begins anew.
                7 => {
                    copies[2].purge(&tag());
                    doors[2] = Heard::new(copies[2].clone());
                    heard[2] = [0; 2];
                }
                _ if door == 2 => {}
                _ => {
                    let mut kept = *copies[door].version.lock();
                    if kept.is_none() {
                        doors[2].catch_up(&asks(&doors[door])).await;
                        let at_shield = copies[2].version.lock().get_or_insert(version).to_owned();
                        kept = Some(*copies[door].version.lock().insert(at_shield));
                    }
                    assert!(kept >= Some(least[door]), "seed {seed}: {kept:?} at {door}, {least:?}");
                }
            }
        }
    }
}
