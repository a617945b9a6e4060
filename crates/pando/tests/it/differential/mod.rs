//! The same requests to the reference server and to Pando, on each engine, compared. The cases are data, in
//! `corpus/*.txt`; their format is described in `testkit::corpus`.

mod planted;

use testkit::judge;
use testkit::pando::Engine;

use crate::candidate::Candidate;

fn check(group: &str, source: &str, engine: Engine) {
    // A line `include data` is replaced by the data set that several groups share.
    let source = source.replace("include data\n", include_str!("data.txt"));
    let candidate = Candidate::new(engine);
    judge::check(group, &source, candidate.program.clone());
}

const NODES: usize = 3;
/// What runs on several nodes without being asked for: where one request builds on what another node was told.
const ON_NODES: &[&str] = &["account", "collections_update", "files", "limits", "rules", "settings"];
/// Entries of the request log are written by each node on its own, so their order is not that of the requests.
const NOT_ON_NODES: &str = "logs";

/// Every request of a scenario goes to the next node. `PANDO_DIFF_NODES=1` lets all groups do so.
fn check_nodes(group: &str, source: &str) {
    let all = std::env::var_os("PANDO_DIFF_NODES").is_some();
    if group == NOT_ON_NODES || !(all || ON_NODES.contains(&group)) {
        return;
    }
    let source = source.replace("include data\n", include_str!("data.txt"));
    let candidate = Candidate::new(Engine::Postgres);
    if testkit::pando::is_oracle() {
        return;
    }
    let mut program = candidate.program.clone().role("web");
    program.variables = vec![("PANDO_FILES_SHARED".into(), "true".into())];
    judge::check_nodes(group, &source, program, NODES);
}

macro_rules! groups {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;
            const SOURCE: &str = include_str!(concat!("corpus/", stringify!($name), ".txt"));

            #[test]
            fn sqlite() {
                check(stringify!($name), SOURCE, Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                check(stringify!($name), SOURCE, Engine::Postgres);
            }

            #[test]
            fn nodes() {
                check_nodes(stringify!($name), SOURCE);
            }
        }
    )*};
}

groups! {
    collections_list
    collections_create
    collections_fields
    collections_update
    collections_import
    account
    advisories
    auth
    oauth2
    oauth2_providers
    backups
    batch
    errors
    expand
    files
    files_fields
    filters
    otp_mfa
    limits
    logs
    crons
    records_crud
    records_list
    records_values
    rules
    settings
    sql
}
