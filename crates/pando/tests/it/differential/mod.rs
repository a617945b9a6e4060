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
