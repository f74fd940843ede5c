//! `lvsd replay`: what the director does with recorded traffic, without a network.
//!
//! Two kinds of recordings can be played. A *trace* is a director's whole life as JSON lines: commands, packets, the
//! passing of time, and what came of each; our director lives through the same, and what comes of it is
//! printed, or compared. A *capture* is only packets; rules are given with it, and each packet's fate is told with its
//! reason. `docs/replay.md` has the formats.
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | a director with a network in memory and a clock set by hand |
//! | [`host`] | the host that traces are recorded on |
//! | [`trace`], [`play`] | reading a trace, living through it |
//! | [`check`], [`same`] | comparing with what was recorded |

mod check;
mod engine;
mod host;
mod play;
mod same;
mod trace;

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

pub use check::{Difference, Failure, check};

use crate::rules::{Names, SystemNames};
use play::Player;
use trace::Trace;

const USAGE: &str = "\
Usage: lvsd replay [--check [--keep-going]] TRACE...

Plays recorded lives of a director (see docs/replay.md) to this one, on a virtual clock and a virtual network, and prints
each step again with what came of it here.

Options:
  --check       print nothing but differences from what was recorded, stop at the first file that has one, and
                close with the line \"N passed, N failed\"
  --keep-going  with --check: go on with the next file
  -h, --help    this text

Exit status: 0 done, and with --check nothing differs; 1 something differs; 2 wrong usage, or a file that
cannot be read.
";

/// Runs `lvsd replay` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            complain(&format!("lvsd replay: {message}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let names = SystemNames::default();
    match options.check {
        true => check_files(&options, &names),
        false => play_files(&options.files, &names),
    }
}

#[derive(Debug, Default)]
struct Options {
    check: bool,
    keep_going: bool,
    files: Vec<String>,
}

impl Options {
    /// `None` if only help is wanted.
    fn parse(args: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        for arg in args {
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--check" => options.check = true,
                "--keep-going" => options.keep_going = true,
                other if other.starts_with('-') => return Err(format!("{other:?} is not known")),
                file => options.files.push(file.to_owned()),
            }
        }
        if options.files.is_empty() {
            return Err("a file is missing".to_owned());
        }
        if options.keep_going && !options.check {
            return Err("--keep-going goes with --check".to_owned());
        }
        Ok(Some(options))
    }
}

fn check_files(options: &Options, names: &dyn Names) -> ExitCode {
    let (mut passed, mut failed, mut unreadable) = (0, 0, false);
    for file in &options.files {
        let name = file.escape_debug();
        let source = fs::read(file);
        let verdict = source.map(|source| check(&source, names));
        match verdict {
            Ok(Ok(_)) => {
                passed += 1;
                continue;
            }
            Ok(Err(failure)) => {
                unreadable |= matches!(failure, Failure::Malformed { .. });
                print(&format!("{name}: {failure}\n"));
            }
            Err(e) => {
                unreadable = true;
                complain(&format!("lvsd replay: {name}: {e}\n"));
            }
        }
        failed += 1;
        if !options.keep_going {
            break;
        }
    }
    print(&format!("{passed} passed, {failed} failed\n"));
    match (failed, unreadable) {
        (0, _) => ExitCode::SUCCESS,
        (_, true) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

fn play_files(files: &[String], names: &dyn Names) -> ExitCode {
    for file in files {
        let played = fs::read(file)
            .map_err(|e| e.to_string())
            .and_then(|source| play(&source, names, &mut io::stdout().lock()));
        if let Err(message) = played {
            complain(&format!(
                "lvsd replay: {}: {message}\n",
                file.escape_debug()
            ));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Plays a trace, and writes its lines with our own outcomes.
///
/// # Errors
///
/// What is wrong with the trace, or that writing failed.
pub fn play(source: &[u8], names: &dyn Names, output: &mut dyn io::Write) -> Result<(), String> {
    let trace = Trace::parse(source).map_err(|e| e.to_string())?;
    let mut write = |line: String| writeln!(output, "{line}").map_err(|e| e.to_string());
    if let Some(header) = trace.header {
        write(play::spaced(&header.into()))?;
    }
    let mut player = Player::new(names);
    for step in &trace.steps {
        let outcome = player
            .play(step)
            .map_err(|e| format!("line {}: {e}", step.line))?;
        write(outcome.line(step))?;
    }
    Ok(())
}

fn print(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
