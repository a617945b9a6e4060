//! `--caches`: what the policies of the record cache are worth, on requests of known shape.

use anyhow::{Result, bail};
use testkit::tools;

use super::{Options, SERVER_CORE, built, document, report};

pub fn run(options: &Options) -> Result<()> {
    if options.build {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.current_dir(tools::workspace()).args(["build", "--release", "-p", "xtask", "--bin", "caches"]);
        if !cargo.status()?.success() {
            bail!("the release build failed");
        }
    }
    let mut caches = std::process::Command::new("taskset");
    caches.args(["-c", &SERVER_CORE.to_string()]).arg(built("caches")?);
    let rows = tools::run(&mut caches)?;
    let how = report::conditions(
        "1,000,000 keys asked for by Zipf (0.99), in process, through the record cache of Pando on one core; the first \
         quarter of 8,000,000 requests fills the cache, the rest is counted. With scans: after each 50,000 requests 50,000 keys \
         in a row that nobody else asks for; the hit ratio is that of the others. Looks a second: best of three, with 10 % \
         of the keys in the cache, what is not found put",
    );
    let text = format!(
        "{how}| policy | hit ratio, 1 % fit | 10 % fit | with scans: 1 % fit | 10 % fit | million looks/s |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n{rows}"
    );
    println!("{text}");
    if options.dry { Ok(()) } else { report::section(&document(), "Policies of the cache", &text) }
}
