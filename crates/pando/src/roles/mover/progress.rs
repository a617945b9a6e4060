//! What a move says while it goes on: one line that is written over on a terminal, plain lines otherwise.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use app::transfer::files::Passed;
use app::transfer::{Moved, Phase, Prospect, Step};

/// Between two lines about the same table.
const TERMINAL_EVERY: Duration = Duration::from_millis(100);
const PLAIN_EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    table: String,
    began: Instant,
    told: Instant,
}

impl Progress {
    pub fn new() -> Self {
        let now = Instant::now();
        let state = State { table: String::new(), began: now, told: now };
        Progress { terminal: std::io::stdout().is_terminal(), state: Mutex::new(state) }
    }

    pub fn tell(&self, step: &Step<'_>) {
        match step {
            Step::Phase(phase) => {
                if let Ok(mut state) = self.state.lock() {
                    state.table.clear();
                }
                self.line(named(*phase));
            }
            Step::Rows { table, done, of } => self.rows(table, *done, *of),
            Step::Round { records, took } => {
                self.line(&format!(
                    "  {records} records were written meanwhile, carried over in {} ms",
                    took.as_millis()
                ));
            }
            Step::Anew { why } => self.line(&format!("Beginning anew: {why}")),
        }
    }

    fn rows(&self, table: &str, done: u64, of: u64) {
        let now = Instant::now();
        let Ok(mut state) = self.state.lock() else { return };
        if state.table != table {
            *state = State { table: table.to_owned(), began: now, told: now };
        }
        let every = if self.terminal { TERMINAL_EVERY } else { PLAIN_EVERY };
        let whole = done >= of;
        if !whole && now - state.told < every {
            return;
        }
        state.told = now;
        let seconds = (now - state.began).as_secs_f64().max(0.001);
        let rate = done as f64 / seconds;
        let percent = (done * 100).checked_div(of).map_or(100, |percent| percent.min(100));
        let left = (of.saturating_sub(done)) as f64 / rate.max(1.0);
        let text = format!("  {table}: {done} of {of} rows, {percent} %, {rate:.0} rows/s, {left:.0} s left");
        drop(state);
        match self.terminal && !whole {
            true => {
                print!("\r\x1b[2K{text}");
                let _ = std::io::stdout().flush();
            }
            false => self.line(&text),
        }
    }

    fn line(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        println!("{clear}{text}");
        let _ = std::io::stdout().flush();
    }

    pub fn moved(&self, moved: &Moved, took: Duration) {
        let rows: u64 = moved.tables.iter().map(|(_, sum)| sum.rows).sum();
        for (table, sum) in &moved.tables {
            println!("  {table}: {} rows, sum {:032x}, equal on both sides", sum.rows, sum.digests);
        }
        println!(
            "Moved {rows} rows in {:.1} s ({:.0} rows/s); writes waited for {} ms",
            took.as_secs_f64(),
            rows as f64 / took.as_secs_f64().max(0.001),
            moved.pause.as_millis()
        );
    }

    pub fn prospect(&self, prospect: &Prospect) {
        for (table, rows) in &prospect.tables {
            println!("  {table}: {rows} rows");
        }
        println!("About {} MiB of values; with indexes plan for three times as much", prospect.bytes >> 20);
        for problem in &prospect.problems {
            println!("  problem: {problem}");
        }
    }
}

/// The same of files.
pub struct Files {
    terminal: bool,
    began: Instant,
    told: Mutex<Instant>,
}

impl Files {
    pub fn new() -> Self {
        let now = Instant::now();
        Files { terminal: std::io::stdout().is_terminal(), began: now, told: Mutex::new(now) }
    }

    pub fn tell(&self, passed: Passed) {
        let every = if self.terminal { TERMINAL_EVERY } else { PLAIN_EVERY };
        let Ok(mut told) = self.told.lock() else { return };
        if told.elapsed() < every {
            return;
        }
        *told = Instant::now();
        let rate = passed.bytes as f64 / self.began.elapsed().as_secs_f64().max(0.001) / 1_048_576.0;
        let text = format!("  {} files, {} MiB, {rate:.1} MiB/s", passed.files, passed.bytes >> 20);
        match self.terminal {
            true => print!("\r\x1b[2K{text}"),
            false => println!("{text}"),
        }
        let _ = std::io::stdout().flush();
    }

    pub fn moved(&self, passed: Passed, took: Duration) {
        println!(
            "Moved {} files of {} bytes in {:.1} s, {} of them written now, each read back and equal",
            passed.files,
            passed.bytes,
            took.as_secs_f64(),
            passed.written
        );
    }
}

fn named(phase: Phase) -> &'static str {
    match phase {
        Phase::Check => "Checking what cannot be moved",
        Phase::Prepare => "Preparing",
        Phase::Copy => "Copying",
        Phase::Index => "Making indexes and views",
        Phase::CatchUp => "Catching up",
        Phase::Verify => "Comparing both sides",
        Phase::Switch => "Switching",
        Phase::Left => "Switched",
        Phase::Done => "Done",
    }
}
