//! Keeps the rules of the house with plain `cargo test` too.

#[test]
fn the_house_rules_hold() {
    let found = testkit::tidy::check(&testkit::tools::workspace());
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
