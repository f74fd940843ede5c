//! `lvsd check`: what is wrong with configuration files, before anything runs with them.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::arguments::{Arguments, counted, once, printable, understood};
use crate::exit;
use crate::keepalived::diagnostic::{self, Report};
use crate::keepalived::{Loaded, Options as LoadOptions, SystemHost, load};

const NAME: &str = "check";

const USAGE: &str = "\
Usage: lvsd check [OPTION]... FILE...

Says everything that is wrong with files in keepalived's format: where, what, and what to write instead. Nothing is
started or changed. Each FILE is a configuration of its own; what it includes is checked with it.

Options:
  --keepalived-compat  what keepalived itself goes on with is a warning, not an error
  --config-id ID       what lines that begin with @ID are compared with (default: the host's name up to its first dot)
  --include-check      an include that finds nothing, or a file it cannot read, is an error (keepalived's `--all-config`)
  --json               one JSON object a FILE and line: files, errors, warnings, diagnostics (see docs/json.md)
  -q, --quiet          only the exit status
  -h, --help           this text

Exit status: 0 nothing is wrong, 1 there are warnings, 2 there are errors, or the command line is wrong.
";

struct Options {
    files: Vec<PathBuf>,
    load: LoadOptions,
    json: bool,
    quiet: bool,
}

/// Runs `lvsd check` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let host = SystemHost;
    let mut status = 0;
    for path in &options.files {
        let loaded = load(path, &options.load, &host);
        let report = Report::new(&loaded.diagnostics, &loaded.files);
        status = status.max(match (report.errors, report.warnings) {
            (0, 0) => 0,
            (0, _) => exit::FAILED,
            _ => exit::WRONG,
        });
        if !options.quiet {
            let text = match options.json {
                true => format!("{}\n", serde_json::json!(report)),
                false => shown(path, &loaded, &report),
            };
            // Whoever closed our output does not want to read on.
            let _ = io::stdout().write_all(text.as_bytes());
        }
    }
    ExitCode::from(status)
}

fn shown(path: &Path, loaded: &Loaded, report: &Report) -> String {
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = diagnostic::render(&loaded.diagnostics, &loaded.files, colours);
    let config = &loaded.config;
    let servers: usize = config.services.iter().map(|s| s.servers.len()).sum();
    let verdict = match (report.errors, report.warnings) {
        (0, 0) => format!(
            "ok: {}, {}",
            counted(config.services.len(), "virtual server"),
            counted(servers, "real server"),
        ),
        (0, warnings) => counted(warnings, "warning"),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    };
    let path = printable(&path.display().to_string());
    text.push_str(&format!("{path}: {verdict}\n"));
    text
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let (mut files, mut load) = (Vec::new(), LoadOptions::default());
    let (mut json, mut quiet) = (false, false);
    let mut args = Arguments::new(args);
    while let Some(name) = args.next_name() {
        match name {
            "-h" | "--help" => return Ok(None),
            "--keepalived-compat" => load.compat = args.flag()?,
            "--include-check" => load.include_check = args.flag()?,
            "--config-id" => once(&mut load.config_id, name, args.value()?.to_owned())?,
            "--json" => json = args.flag()?,
            "-q" | "--quiet" => quiet = args.flag()?,
            name if name.starts_with('-') && name.len() > 1 => return Err(args.unknown()),
            _ => files.push(PathBuf::from(args.whole())),
        }
    }
    match files.is_empty() {
        true => Err("which FILE?".to_owned()),
        false => Ok(Some(Options {
            files,
            load,
            json,
            quiet,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn arguments_are_understood() {
        let o = parsed("a --json --config-id=main b=c --keepalived-compat -q")
            .unwrap()
            .unwrap();
        assert_eq!(o.files, [PathBuf::from("a"), PathBuf::from("b=c")]);
        assert_eq!(o.load.config_id.as_deref(), Some("main"));
        assert!(o.json && o.quiet && o.load.compat && !o.load.include_check);
        assert!(parsed("a --help").unwrap().is_none());
        for (line, word) in [
            ("", "FILE"),
            ("--json", "FILE"),
            ("a --frob", "--frob"),
            ("a --config-id a --config-id b", "twice"),
            ("a --json=1", "no value"),
        ] {
            let Err(e) = parsed(line) else {
                panic!("{line}")
            };
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
