//! The pages of settings and operations.

use testkit::pando::{self, Engine};

use super::browse;
use crate::candidate::Candidate;

#[test]
fn settings_and_backups() {
    if pando::is_oracle() {
        return;
    }
    let (candidate, dir) = (Candidate::new(Engine::Sqlite), tempfile::tempdir().unwrap());
    let server = candidate.program.start(dir.path()).unwrap();
    browse("settings.mjs", &server, &[]);
}
