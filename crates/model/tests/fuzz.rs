//! Filters of arbitrary bytes must not panic, however long or deep. `PANDO_FUZZ_SECONDS` makes the run longer,
//! `PANDO_FUZZ_SEED` another.

use testkit::fuzz;

const SEEDS: &[&[u8]] = &[
    b"@request.auth.id != '' && (owner = @request.auth.id || tags.title ?~ \"x\\\"y\")",
    b"geoDistance(a.lon, a.lat, 23.3, -42.7) < 25.5 // near",
    "((a=1)&&(b='\u{e9}'))||c!~'%_\\\\'".as_bytes(),
    b"@collection.posts:p.title:lower ?= @request.body.title:isset && comments_via_post.score >= @now",
    b"strftime('%Y', created, '-1 day') = '2026' && data.list.0:length > 1e3 && x = null",
];

#[test]
fn filters() {
    let executions = fuzz::run(SEEDS, fuzz::seconds(2), model::filter::fuzz);
    assert!(executions > 100, "{executions} executions are no run");
}
