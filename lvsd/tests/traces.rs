//! Replays every file of `tests/traces`, one test each.
//!
//! The tests are files, so this program finds them itself instead of having the compiler's harness list them.
//! It takes words that names must contain, as `cargo test` passes them on, and options of the usual harness
//! without a meaning here.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use lvs_core::Protocol;
use lvsd::replay;
use lvsd::rules::Names;

/// Commands in traces have no names but those of schedulers.
struct Literal;

impl Names for Literal {
    fn has_scheduler(&self, name: &str) -> bool {
        lvs_sched::build(name).is_some()
    }

    fn host(&self, _: &str) -> Result<Ipv4Addr, String> {
        Err("no names here".to_owned())
    }

    fn port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
}

fn main() -> ExitCode {
    let (options, filters) = arguments(env::args().skip(1));
    let all = traces();
    let total = all.len();
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(&**f));
    let wanted: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| is_wanted(name))
        .collect();
    if options.iter().any(|o| o == "--list") {
        wanted.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", wanted.len());
    let mut failures = Vec::new();
    for (name, path) in &wanted {
        let verdict = check(path);
        println!(
            "test {name} ... {}",
            if verdict.is_ok() { "ok" } else { "FAILED" }
        );
        failures.extend(verdict.err().map(|e| (name, e)));
    }
    for (name, failure) in &failures {
        println!("\n---- {name} ----\n{failure}");
    }
    let (failed, passed) = (failures.len(), wanted.len() - failures.len());
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let left_out = total - wanted.len();
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out\n"
    );
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(101), // as the usual harness has it
    }
}

/// The options, without their values, and the words that names must contain.
fn arguments(mut args: impl Iterator<Item = String>) -> (Vec<String>, Vec<String>) {
    const WITH_VALUE: [&str; 4] = ["--test-threads", "--format", "--color", "--skip"];
    let (mut options, mut words) = (Vec::new(), Vec::new());
    while let Some(arg) = args.next() {
        if WITH_VALUE.contains(&&*arg) {
            args.next();
        }
        let list = if arg.starts_with('-') {
            &mut options
        } else {
            &mut words
        };
        list.push(arg);
    }
    (options, words)
}

/// The names and paths of all traces.
fn traces() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
    let paths = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), p))
        .collect();
    all.sort();
    assert!(all.len() > 80, "{} is as good as empty", folder.display());
    all
}

fn check(path: &Path) -> Result<(), String> {
    let source = fs::read(path).map_err(|e| e.to_string())?;
    match replay::check(&source, &Literal) {
        Ok(0) => Err("there is no step in it".to_owned()),
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.to_string()),
    }
}
