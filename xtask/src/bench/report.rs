//! The results as Markdown: printed, and written as one section of `docs/benchmarks.md` while the document's
//! other sections stay.

use std::fmt::{self, Write as _};
use std::path::Path;

use anyhow::Result;
use testkit::pando::Engine;
use testkit::{Program, oracle, tools};

use super::machine;
use super::wrk::Slice;

/// One case on both servers: PocketBase first.
#[derive(Clone)]
pub struct Line {
    pub case: &'static str,
    pub log: bool,
    pub sides: [Slice; 2],
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [a, b] = &self.sides;
        let log = if self.log { "on" } else { "off" };
        write!(f, "| {} | {log} | {:.0} | {:.1} | {:.1} ", self.case, a.rate, a.p50_ms, a.p99_ms)?;
        write!(f, "| {:.0} | {:.1} | {:.1} | {:.1} |", b.rate, b.p50_ms, b.p99_ms, b.rate / a.rate.max(1.0))?;
        if a.failed + b.failed > 0.0 {
            write!(f, " failed: {:.0} and {:.0} |", a.failed, b.failed)?;
        }
        Ok(())
    }
}

pub struct Report {
    engine: Engine,
    conditions: String,
    names: [String; 2],
    lines: Vec<Line>,
    /// Start in milliseconds, memory in MiB.
    idle: [(f64, f64); 2],
}

fn title(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

fn versions() -> String {
    let git = tools::run(std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]))
        .unwrap_or_default();
    format!("PocketBase {}, Pando {}", oracle::VERSION, git.trim())
}

/// What was compared, where and how, as a section's first lines.
pub fn conditions(how: &str) -> String {
    format!("{how}; {}; {}.\n\n", versions(), machine::describe())
}

/// Writes a section of the document that is about one engine, unless asked not to.
pub fn write(options: &super::Options, name: &str, text: &str) -> Result<()> {
    match options.dry {
        true => Ok(()),
        false => section(&super::document(), &format!("{name} on {}", title(options.engine)), text),
    }
}

impl Report {
    pub fn new(
        engine: Engine,
        records: usize,
        seconds: u64,
        rounds: usize,
        programs: &[Program; 2],
    ) -> Report {
        let conditions = format!(
            "{records} records; each server alone on one core, 64 connections from another core; medians of {rounds} slices of \
             {seconds} s, the servers in turn; {}; {}.",
            versions(),
            machine::describe()
        );
        let names = [programs[0].name.clone(), programs[1].name.clone()];
        Report { engine, conditions, names, lines: Vec::new(), idle: Default::default() }
    }

    pub fn line(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub fn idle(&mut self, side: usize, start_ms: f64, rss_mib: f64) {
        self.idle[side] = (start_ms, rss_mib);
    }

    fn text(&self) -> String {
        let [a, b] = &self.names;
        let mut text = format!("{}\n\n", self.conditions);
        let _ = writeln!(
            text,
            "| case | request log | {a}, requests/s | p50 ms | p99 ms | {b}, requests/s | p50 ms | p99 ms | ratio |"
        );
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "\n| | {a} | {b} |\n| --- | ---: | ---: |");
        let _ =
            writeln!(text, "| start to first answer, ms | {:.0} | {:.0} |", self.idle[0].0, self.idle[1].0);
        let _ = writeln!(text, "| memory when idle, MiB | {:.0} | {:.0} |", self.idle[0].1, self.idle[1].1);
        text
    }

    pub fn print(&self) {
        println!("{}", self.text());
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        section(path, &format!("On {}", title(self.engine)), &self.text())
    }
}

/// Processor time per request at different sizes.
pub struct Growth {
    engine: Engine,
    lines: Vec<(usize, Line)>,
}

impl Growth {
    pub fn new(engine: Engine) -> Growth {
        Growth { engine, lines: Vec::new() }
    }

    pub fn line(&mut self, records: usize, line: Line) {
        self.lines.push((records, line));
    }

    fn text(&self) -> String {
        let mut text = format!("{}; {}.\n\n", versions(), machine::describe());
        text.push_str("| case | records | PocketBase, CPU µs per request | requests/s | Pando, CPU µs per request | requests/s |\n");
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: |\n");
        for (records, line) in &self.lines {
            let [a, b] = &line.sides;
            let _ = writeln!(
                text,
                "| {} | {records} | {:.0} | {:.0} | {:.0} | {:.0} |",
                line.case, a.cpu_us, a.rate, b.cpu_us, b.rate
            );
        }
        text
    }

    pub fn print(&self) {
        println!("{}", self.text());
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        section(path, &format!("Growth on {}", title(self.engine)), &self.text())
    }
}

/// Views alone, and beside logins.
pub struct Logins {
    engine: Engine,
    rows: String,
}

impl Logins {
    pub fn new(engine: Engine) -> Logins {
        Logins { engine, rows: String::new() }
    }

    pub fn side(&mut self, side: usize, alone: Slice, beside: Slice, logins: Slice) {
        let name = ["PocketBase", "Pando"][side];
        let _ = writeln!(
            self.rows,
            "| {name} | {:.0} | {:.2} | {:.0} | {:.2} | {:.1} | {:.1} | {:.0} |",
            alone.rate,
            alone.p99_ms,
            beside.rate,
            beside.p99_ms,
            beside.p99_ms / alone.p99_ms.max(0.001),
            logins.rate,
            logins.failed
        );
    }

    fn text(&self) -> String {
        format!(
            "8 clients view while 32 clients log in without a pause, the server on one core; {}; {}.\n\n\
             | server | views/s alone | p99 ms | views/s beside logins | p99 ms | p99 ratio | logins/s | failed logins |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{}",
            versions(),
            machine::describe(),
            self.rows
        )
    }

    pub fn print(&self) {
        println!("{}", self.text());
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        section(path, &format!("Logins on {}", title(self.engine)), &self.text())
    }
}

const HEAD: &str = "# Benchmarks\n\nMade by `cargo xtask bench` (with `--postgres`, `--floor`, `--growth`, `--logins`, `--caches`) and `cargo xtask scale`. The ratios mean something, the \
absolute numbers belong to the machine.\n";

/// Replaces the section of that name, or adds it.
pub fn section(path: &Path, name: &str, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(path).unwrap_or_default();
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    Ok(std::fs::write(path, replaced(&old, name, text))?)
}

fn replaced(old: &str, name: &str, text: &str) -> String {
    let mut parts = old.split("\n## ");
    let head = parts.next().filter(|h| !h.is_empty()).unwrap_or(HEAD).trim_end();
    let section = format!("{name}\n\n{}", text.trim_end());
    let mut sections: Vec<String> = parts.map(|p| p.trim_end().to_owned()).collect();
    match sections.iter_mut().find(|s| s.lines().next() == Some(name)) {
        Some(found) => *found = section,
        None => sections.push(section),
    }
    let sections: String = sections.iter().map(|s| format!("\n## {s}\n")).collect();
    format!("{head}\n{sections}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_replaced_and_kept() {
        let one = replaced("", "On A", "x");
        let two = replaced(&one, "On B", "y");
        let three = replaced(&two, "On A", "z");
        assert!(three.starts_with("# Benchmarks"));
        assert!(
            three.contains("## On A\n\nz\n") && three.contains("## On B\n\ny\n") && !three.contains("x\n")
        );
    }
}
