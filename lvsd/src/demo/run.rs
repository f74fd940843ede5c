//! `lvsd demo` from its arguments to its exit status.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::host;
use super::lan::{Lan, SERVERS};
use super::plan::{self, METHODS};
use super::report::{self, Progress};
use super::stop::Stop;
use super::trial::{Outcome, Trial, start_server};
use super::tunnels::Tunnels;
use crate::arguments::Arguments;
use crate::daemon::{Daemon, Options};
use crate::exit;
use crate::rules::{self, RuleSet};

const USAGE: &str = "\
Usage: lvsd demo [--workers N]

Builds a virtual LAN in network namespaces (a client, a director, three web servers), runs lvsd on the
director and real traffic through NAT, DR, TUN and FullNAT, and prints a table. Takes about 25 seconds.
Needs root, or the right to make user namespaces. Leaves nothing behind.

Options:
  --workers N   lvsd's worker threads (default 1)
  -h, --help    this text

Exit status: 0 all was right, 1 something was not, 2 wrong usage, 130 or 143 stopped by a signal.
";

/// Runs `lvsd demo` with the arguments behind that word, and returns its exit status (see the usage). Must
/// be called while the process has only one thread.
pub fn run(args: &[String]) -> ExitCode {
    let mut out = io::stdout().lock();
    let workers = match parse(args) {
        Ok(Some(workers)) => workers,
        Ok(None) => {
            // Whoever closes our output does not want to read on.
            let _ = out.write_all(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            let _ = writeln!(io::stderr(), "lvsd demo: {message}\n\n{USAGE}");
            return ExitCode::from(exit::WRONG);
        }
    };
    let progress = Progress::start();
    let mut outcomes = Vec::new();
    let stop = match Stop::on_signals() {
        Ok(stop) => stop,
        Err(e) => return fail(&progress, &e),
    };
    let result = show(workers, &stop, &progress, &mut outcomes);
    progress.clear();
    if !outcomes.is_empty() {
        let _ = write!(out, "\n{}", report::table(&outcomes));
    }
    if let Some(status) = stop.status() {
        progress.note("stopped; nothing is left behind");
        return ExitCode::from(status);
    }
    if let Err(e) = result {
        return fail(&progress, &e);
    }
    let right = outcomes.len() == METHODS.len() && outcomes.iter().all(|o| o.problems.is_empty());
    let seconds = progress.elapsed().as_secs_f64();
    let verdict = if right {
        "all was right"
    } else {
        "something was wrong"
    };
    let _ = writeln!(
        out,
        "\n{verdict}, after {seconds:.0} seconds; nothing is left behind"
    );
    match right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn fail(progress: &Progress, e: &io::Error) -> ExitCode {
    progress.note(&format!("lvsd demo: {e}"));
    ExitCode::FAILURE
}

/// The number of workers, or `None` if only help is wanted.
fn parse(args: &[String]) -> Result<Option<usize>, String> {
    let mut workers = 1;
    let mut args = Arguments::new(args);
    while let Some(name) = args.next_name() {
        match name {
            "-h" | "--help" => return Ok(None),
            "--workers" => workers = args.number(1..=16)?,
            _ => return Err(args.unknown()),
        }
    }
    Ok(Some(workers))
}

fn show(
    workers: usize,
    stop: &Stop,
    progress: &Progress,
    outcomes: &mut Vec<Outcome>,
) -> io::Result<()> {
    progress.now("building the network");
    if host::allow_namespaces()? {
        progress.note("not root: working in a user namespace");
    }
    let lan = Lan::build(&plan::vips_on_servers())?;
    let mut servers = (0..SERVERS)
        .map(|i| start_server(&lan, i).map(Some))
        .collect::<io::Result<Vec<_>>>()?;
    let tunnels = Tunnels::open(&lan)?;
    progress.note(match tunnels.by_kernel {
        true => "the servers' kernel undoes IPIP (ipip); the other tunnels they undo by themselves",
        false => "this kernel has no ipip: the servers undo tunnels by themselves",
    });

    progress.now("starting lvsd on the director");
    let rules = read(&plan::rules(None))?;
    let daemon = lan.director.run(move || {
        let options = Options {
            rules,
            workers,
            ..Options::default()
        };
        Daemon::start(options).map_err(io::Error::other)
    })?;
    let publish = |text: &str| daemon.replace_rules(read(text)?).map_err(io::Error::other);
    let mut trial = Trial {
        lan: &lan,
        servers: &mut servers,
        cancel: &stop.cancel,
        progress,
    };
    for method in METHODS {
        outcomes.push(trial.run(method, &publish)?);
    }
    daemon.stop();
    Ok(())
}

fn read(rules: &str) -> io::Result<RuleSet> {
    let names = rules::SystemNames::default();
    rules::parse(rules, &names)
        .map_err(|problems| io::Error::other(rules::render(&problems, "demo", rules)))
}
