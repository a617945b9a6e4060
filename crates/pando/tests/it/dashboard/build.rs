//! The built files in the repository are what the sources build, byte by byte: whoever reads the sources knows what runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{pando, tools};

const SOURCES: [&str; 7] =
    ["build", "index.html", "package-lock.json", "package.json", "src", "tsconfig.json", "vite.config.ts"];

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

fn npm(dir: &Path, args: &[&str]) {
    let mut npm = Command::new("npm");
    tools::run(npm.args(args).current_dir(dir)).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn built_again_it_is_the_same() {
    if pando::is_oracle() {
        return;
    }
    let root = tools::workspace();
    let dir = tempfile::tempdir().unwrap();
    for source in SOURCES {
        copy(&root.join("dashboard").join(source), &dir.path().join(source));
    }
    npm(dir.path(), &["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
    npm(dir.path(), &["run", "check"]);
    npm(dir.path(), &["exec", "--", "vite", "build"]);
    let built = dir.path().join("bundle.bin");
    let mut node = Command::new("node");
    tools::run(node.arg(dir.path().join("build/bundle.mjs")).arg(&built)).unwrap();
    let kept = fs::read(root.join("crates/web/dashboard/bundle.bin")).unwrap();
    assert!(fs::read(&built).unwrap() == kept, "run `npm run build` in dashboard/ and commit what it wrote");
}
