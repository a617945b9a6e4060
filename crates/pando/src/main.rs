//! The binary: reads the command line and the configuration, puts the parts together and runs one role.

mod announcer;
mod assemble;
mod cli;
mod config;
#[cfg(test)]
mod documents;
mod doors;
mod place;
mod probes;
mod pulse;
mod roles;
mod sharing;
mod surroundings;
mod witness;

use std::process::ExitCode;

use clap::Parser;
use observe::RequestLog;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if let Some(done) = roles::up::run(&cli) {
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    let config = match config::Config::load(&cli) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let speaker = observe::messages::Speaker { node: config.node_name(), role: cli.command.role() };
    let log = RequestLog::default();
    observe::messages::init(&config.log.messages, config.log.format.into(), speaker, log.clone());
    // Whoever encrypts without naming a provider of its own gets this one. A second one cannot be there yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        match cli.command {
            cli::Command::Serve(_) => roles::serve::run(config, log).await,
            cli::Command::Move(command) => roles::mover::run(config, command).await,
            cli::Command::Web(_) => roles::web::run(config, log).await,
            cli::Command::Worker(_) => roles::worker::run(config, log).await,
            cli::Command::Balance(_) => roles::front::run(config, roles::front::Kind::Balance).await,
            cli::Command::Edge(_) => roles::front::run(config, roles::front::Kind::Edge).await,
            cli::Command::Purge(purge) => roles::control::purge(config, purge).await,
            cli::Command::FrontStatus(at) => roles::control::status(config, at).await,
            cli::Command::Types(types) => roles::types::run(config, types).await,
            cli::Command::Superuser(command) => roles::superuser::run(config, command).await,
            cli::Command::Config => roles::configuration::run(&config),
            // These have ended above: they have no configuration of their own.
            cli::Command::Up(_) | cli::Command::Status(_) | cli::Command::Down(_) => Ok(()),
            cli::Command::Promote { .. } | cli::Command::Rejoin { .. } | cli::Command::Restart { .. } => {
                Ok(())
            }
        }
    });
    // Blocking work that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("pando: {error:#}");
    ExitCode::FAILURE
}
