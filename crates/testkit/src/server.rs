//! A server process with PocketBase's command line (`serve`, `superuser upsert`): started on a free port,
//! waited for, killed, restarted, and gone when dropped. The oracle and Pando are both one of these; what
//! they answer is none of its business.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{Client, Request};
use crate::tools;

/// The superuser that every started server has.
pub const SUPERUSER: (&str, &str) = ("root@example.com", "a-long-password");

const START_MAX: Duration = Duration::from_secs(30);

/// A binary and the arguments that choose its data tier.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
    /// The command that serves.
    pub role: &'static str,
    /// Handed over as `--data URL` when set.
    pub data: Option<String>,
    /// The processor core that the server is confined to, for measurements.
    pub core: Option<usize>,
    /// Further arguments of every command.
    pub options: Vec<String>,
    /// Environment variables of every command.
    pub variables: Vec<(String, String)>,
}

impl Program {
    fn command(&self) -> Command {
        // The kernel ends the server with the test that started it, even when the test itself is killed.
        let mut words: Vec<OsString> = Vec::new();
        if let Some(setpriv) = setpriv() {
            words.extend([setpriv, "--pdeathsig", "KILL", "--"].map(OsString::from));
        }
        if let Some(core) = self.core {
            words.extend(["taskset", "-c"].map(OsString::from));
            words.push(core.to_string().into());
        }
        words.push(self.path.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // The tests' own variables are not the server's configuration.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PANDO_"))
        {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    fn data_args(&self) -> Vec<String> {
        let data = self.data.iter().flat_map(|url| ["--data".to_owned(), url.clone()]);
        data.chain(self.options.iter().cloned()).collect()
    }

    /// `superuser upsert`: creates the superuser or sets its password.
    pub fn upsert_superuser(&self, dir: &Path, email: &str, password: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["superuser", "upsert", email, password, "--dir"]).arg(dir).args(self.data_args());
        tools::run(&mut command).map(drop)
    }

    /// The same on `role`.
    pub fn role(self, role: &'static str) -> Program {
        Program { role, ..self }
    }

    /// Runs `serve` and waits for its end, at most `wait`. For servers that are expected to refuse to start.
    pub fn serve_to_end(&self, dir: &Path, wait: Duration) -> Result<(Option<i32>, String)> {
        let mut server = Server::spawn(self.clone(), dir.to_path_buf(), tools::free_port())?;
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if let Some(status) = server.child.try_wait()? {
                return Ok((status.code(), server.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        server.kill();
        Ok((None, server.log()))
    }

    /// A server on `dir` with the standard superuser.
    pub fn start(&self, dir: &Path) -> Result<Server> {
        self.upsert_superuser(dir, SUPERUSER.0, SUPERUSER.1)?;
        self.serve(dir)
    }

    /// A server on `dir` as it is.
    pub fn serve(&self, dir: &Path) -> Result<Server> {
        // Another process may take the free port between the choice and the bind: choose again.
        let mut last = None;
        for _ in 0..3 {
            let mut server = Server::spawn(self.clone(), dir.to_path_buf(), tools::free_port())?;
            match server.wait_ready() {
                Ok(()) => return Ok(server),
                Err(e) => last = Some(e),
            }
        }
        Err(last.expect("three tries leave an error"))
    }
}

fn setpriv() -> Option<&'static str> {
    ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().find(|p| Path::new(p).exists())
}

/// A running server.
pub struct Server {
    program: Program,
    dir: PathBuf,
    port: u16,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// A server that is not waited for.
    pub fn spawn(program: Program, dir: PathBuf, port: u16) -> Result<Server> {
        fs::create_dir_all(&dir)?;
        // Beside the data directory, not in it: a data directory is compared and handed over whole.
        let log = dir.with_extension(format!("{port}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = program
            .command()
            .args([program.role, "--http", &format!("127.0.0.1:{port}"), "--dir"])
            .arg(&dir)
            .args(program.data_args())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {}", program.path.display()))?;
        Ok(Server { program, dir, port, log, child })
    }

    pub fn wait_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        let client = self.client();
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} at start:\n{}", self.program.name, self.log());
            }
            if client.send(&Request::get("/api/health")).is_ok_and(|a| a.status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("{} did not answer /api/health within {START_MAX:?}:\n{}", self.program.name, self.log())
    }

    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What the process printed so far, for diagnosis.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and the exit code if the process ended within `wait`.
    pub fn terminate(&mut self, wait: Duration) -> Option<i32> {
        crate::fault::terminate(self.pid());
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Starts again on the same directory, on a new port, after a kill or an end.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let mut next = self.program.serve(&self.dir)?;
        std::mem::swap(self, &mut next);
        Ok(())
    }

    /// Starts again on the same directory and port, for clients that come back by themselves.
    pub fn restart_in_place(&mut self) -> Result<()> {
        self.kill();
        let mut next = Server::spawn(self.program.clone(), self.dir.clone(), self.port)?;
        next.wait_ready()?;
        std::mem::swap(self, &mut next);
        // The log is the new server's now.
        next.log = PathBuf::new();
        Ok(())
    }

    /// A token of the standard superuser.
    pub fn superuser_token(&self) -> Result<String> {
        self.login("_superusers", SUPERUSER.0, SUPERUSER.1)
    }

    pub fn login(&self, collection: &str, identity: &str, password: &str) -> Result<String> {
        login(&self.client(), collection, identity, password)
            .with_context(|| format!("on {}", self.program.name))
    }
}

/// A token of this account.
pub fn login(client: &Client, collection: &str, identity: &str, password: &str) -> Result<String> {
    let body = serde_json::json!({"identity": identity, "password": password});
    let path = format!("/api/collections/{collection}/auth-with-password");
    let answer = client.send(&Request::json("POST", &path, &body))?;
    match answer.json().get("token").and_then(|t| t.as_str()) {
        Some(token) => Ok(token.to_owned()),
        None => bail!("login answered {}: {}", answer.status, answer.text()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.log);
    }
}
