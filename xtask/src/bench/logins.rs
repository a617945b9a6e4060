//! `--logins`: how long views wait while others log in without a pause. Logins are bcrypt, tens of milliseconds of
//! processor time each.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::Server;

use super::report::Logins;
use super::{LOAD_CORE, Options, Pair, cases, data, wrk};

/// Those who log in, and those who view meanwhile.
const CLIENTS: usize = 32;
const VIEWERS: usize = 8;

pub fn run(options: &Options) -> Result<Logins> {
    let pair = Pair::new(options, options.records)?;
    let mut report = Logins::new(options.engine);
    for side in 0..2 {
        let server = pair.programs[side].serve(&pair.fresh(side)?)?;
        let script =
            cases::script(&cases::CASES[0], server.port(), None, options.records, 0, pair.dir.path())?;
        wrk::run(server.port(), &script, 1, LOAD_CORE, VIEWERS)?;
        let (mut alone, mut beside, mut logins) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            alone.push(wrk::run(server.port(), &script, options.seconds, LOAD_CORE, VIEWERS)?);
            let (views, login) = both(&server, &script, pair.dir.path(), options.seconds)?;
            beside.push(views);
            logins.push(login);
        }
        report.side(side, wrk::median(alone), wrk::median(beside), wrk::median(logins));
    }
    Ok(report)
}

/// Views while clients log in; the logins begin before them and end after them.
fn both(server: &Server, views: &Path, dir: &Path, seconds: u64) -> Result<(wrk::Slice, wrk::Slice)> {
    let script = login_script(dir)?;
    let port = server.port();
    let logins = std::thread::spawn(move || wrk::run(port, &script, seconds + 2, LOAD_CORE, CLIENTS));
    std::thread::sleep(std::time::Duration::from_secs(1));
    let views = wrk::run(port, views, seconds, LOAD_CORE, VIEWERS)?;
    let logins = logins.join().ok().context("the logins' thread ended badly")??;
    Ok((views, logins))
}

fn login_script(dir: &Path) -> Result<PathBuf> {
    let (identity, password) = data::OWNER;
    let lua = format!(
        r#"
wrk.method = 'POST'
wrk.path = '/api/collections/users/auth-with-password'
wrk.headers['Content-Type'] = 'application/json'
wrk.body = '{{"identity":"{identity}","password":"{password}"}}'
{}"#,
        cases::DONE
    );
    let path = dir.join("logins.lua");
    std::fs::write(&path, lua)?;
    Ok(path)
}
