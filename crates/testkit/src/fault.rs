//! Signals to processes that a test started itself, by process id. Never by name.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

fn send(pid: u32, signal: Signal) -> bool {
    pid.try_into().ok().and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// SIGKILL: no destructor, no flush.
pub fn kill_9(pid: u32) -> bool {
    send(pid, Signal::KILL)
}

/// SIGTERM: asks for an orderly end.
pub fn terminate(pid: u32) -> bool {
    send(pid, Signal::TERM)
}

/// SIGQUIT: for PostgreSQL, an immediate shutdown without a checkpoint.
pub fn quit(pid: u32) -> bool {
    send(pid, Signal::QUIT)
}

/// SIGHUP: files have new names, or are to be read again.
pub fn hang_up(pid: u32) -> bool {
    send(pid, Signal::HUP)
}

/// SIGSTOP: the process keeps its sockets and answers nothing.
pub fn freeze(pid: u32) -> bool {
    send(pid, Signal::STOP)
}

/// SIGCONT: ends a `freeze`.
pub fn thaw(pid: u32) -> bool {
    send(pid, Signal::CONT)
}

pub fn is_alive(pid: u32) -> bool {
    pid.try_into().ok().and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// SIGHUP: asks for what is configured to be read again.
pub fn hangup(pid: u32) -> bool {
    send(pid, Signal::HUP)
}
