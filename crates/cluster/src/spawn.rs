//! How a program is started: as which user, in which group and network, and ended by the kernel with whoever started it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, last_lines};

/// Parts one run from the next in a log.
pub(crate) const STARTED: &str = "--- started ---";

/// A program with all that it is started with.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(String, String)>,
    /// Where it works, and where its files are.
    pub dir: PathBuf,
    /// As the user `postgres` when started by root, as PostgreSQL demands.
    pub as_postgres: bool,
    /// The signal that the kernel sends it when the one who started it is gone.
    pub orphaned: &'static str,
    pub place: Place,
}

/// Where on the machine a program runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Files that a process writes its pid to, to be in a control group.
    pub groups: Vec<PathBuf>,
    /// The network namespace's file.
    pub namespace: Option<PathBuf>,
}

impl Spec {
    pub fn new(program: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Spec {
        Spec {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: dir.into(),
            as_postgres: false,
            orphaned: "KILL",
            place: Place::default(),
        }
    }

    pub fn args<I: IntoIterator<Item = S>, S: Into<OsString>>(mut self, args: I) -> Spec {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Spec {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn envs(mut self, variables: &BTreeMap<String, String>) -> Spec {
        self.env.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    pub fn unprivileged(mut self) -> Spec {
        self.as_postgres = true;
        self
    }

    /// Each word of the line hands over to the next one by `exec`, so that the pid is the program's own.
    fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if !self.place.groups.is_empty() {
            let join = "n=$1; shift; while [ $n -gt 0 ]; do echo $$ > \"$1\" || exit 71; shift; n=$((n-1)); done; exec \"$@\"";
            words.extend(["sh", "-c", join, "sh"].map(OsString::from));
            words.push(self.place.groups.len().to_string().into());
            words.extend(self.place.groups.iter().map(|group| group.clone().into_os_string()));
        }
        if let Some(namespace) = &self.place.namespace {
            let mut net = OsString::from("--net=");
            net.push(namespace);
            words.extend(["nsenter".into(), net, "--".into()]);
        }
        words.extend(["setpriv".into(), "--pdeathsig".into(), self.orphaned.into()]);
        if self.as_postgres && rustix::process::getuid().is_root() {
            words
                .extend(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"].map(OsString::from));
        }
        words.extend(["--".into(), self.program.clone().into_os_string()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(&self.args).current_dir(&self.dir).stdin(Stdio::null());
        // The caller's own configuration is not the node's.
        let own = |name: &str| name.starts_with("PANDO_") || name.starts_with("PG");
        for (name, _) in std::env::vars_os().filter(|(name, _)| own(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The thread that starts programs. The kernel ends a program with the thread that started it, not with the process:
/// so it is one that lives as long as the cluster does.
pub(crate) struct Spawner {
    jobs: mpsc::Sender<(Command, mpsc::Sender<std::io::Result<Child>>)>,
    /// Set from outside when nobody waits for the cluster any more.
    cancelled: Arc<AtomicBool>,
}

impl Spawner {
    pub fn start(cancelled: Arc<AtomicBool>) -> Result<Spawner, Error> {
        let (jobs, queue) = mpsc::channel::<(Command, mpsc::Sender<std::io::Result<Child>>)>();
        let run = move || {
            for (mut command, reply) in queue {
                let _ = reply.send(command.spawn());
            }
        };
        let thread = std::thread::Builder::new().name("spawner".into()).spawn(run);
        thread.doing(|| "cannot start a thread".into())?;
        Ok(Spawner { jobs, cancelled })
    }

    /// An error once nobody waits for the cluster any more.
    pub fn check(&self) -> Result<(), Error> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::Refused("the start was called off".into())),
            false => Ok(()),
        }
    }

    fn spawn(&self, command: Command, program: &Path) -> Result<Child, Error> {
        let gone = || Error::Refused("the cluster is stopped".into());
        let (reply, answer) = mpsc::channel();
        self.jobs.send((command, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?.doing(|| format!("cannot start {}", program.display()))
    }

    /// Starts a node, which says what it has to say in its log.
    pub fn node(&self, spec: &Spec, log: &Path) -> Result<Child, Error> {
        let open = || File::options().create(true).append(true).open(log);
        let mut out = open().doing(|| format!("cannot write {}", log.display()))?;
        writeln!(out, "{STARTED}").doing(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone().doing(|| format!("cannot write {}", log.display()))?;
        let mut command = spec.command();
        // A key pressed at the terminal is for whoever runs the cluster, who ends its nodes in order.
        command.stdout(out).stderr(err).process_group(0);
        self.spawn(command, &spec.program)
    }
}

/// Runs a program to its end and returns what it printed. Bounded: it is killed when its time is over.
pub(crate) fn run(spec: &Spec, wait: Duration) -> Result<String, Error> {
    let mut command = spec.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().doing(|| format!("cannot start {}", spec.program.display()))?;
    finish(child, &spec.program, wait)
}

fn finish(mut child: Child, program: &Path, wait: Duration) -> Result<String, Error> {
    let readers = (drain(child.stdout.take()), drain(child.stderr.take()));
    let until = Instant::now() + wait;
    let ended = loop {
        match child.try_wait().doing(|| format!("waiting for {}", program.display()))? {
            Some(status) => break Some(status),
            None if Instant::now() >= until => break None,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    // A pipe ends with the last process that holds it, which need not be this one: what came by now is enough.
    let text =
        |reader: mpsc::Receiver<String>| reader.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    let (out, err) = (text(readers.0), text(readers.1));
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match ended {
        Some(status) if status.success() => Ok(out),
        Some(status) => Err(Error::Program {
            what: format!("{name} ended with {status}"),
            said: last_lines(&(out + &err)),
        }),
        None => Err(Error::Program {
            what: format!("{name} did not end within {wait:?}"),
            said: last_lines(&(out + &err)),
        }),
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

/// The numbers of the user that PostgreSQL runs as, when root starts it.
pub(crate) fn postgres_user() -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some("postgres"))?;
    let mut parts = line.split(':').skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
