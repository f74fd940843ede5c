//! `lvsd reload`: has the daemon read its configuration anew.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::arguments::{Arguments, once, printable, say, understood};
use crate::control::{client, socket_path};
use crate::exit;
use crate::health::Reload;

const NAME: &str = "reload";

const USAGE: &str = "\
Usage: lvsd reload [OPTION]...

Has the running lvsd read its configuration (the FILE of `lvsd run -f FILE`) anew. The new configuration is taken whole or not at
all: with an error in it, the old one stays in force. What is in both keeps its connections, counters, the state of its
checks and its place in the scheduler.

Options:
  -n, --dry-run  say what would change, and change nothing
  --json         one JSON object: taken, refused, errors, warnings, diagnostics, changes (see docs/json.md)
  --socket PATH  ask the lvsd that listens there (default: $LVSD_SOCKET, or /run/lvsd.sock)
  -h, --help     this text

Exit status: 0 it is (or would be) taken; 2 it is not, or wrong usage; 1 the daemon cannot be asked.
";

#[derive(Debug, Default)]
struct Options {
    rehearse: bool,
    json: bool,
    socket: Option<String>,
}

/// Runs `lvsd reload` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let path = socket_path(options.socket.as_deref());
    let asked = client::Client::connect(&path).and_then(|mut c| c.reload(options.rehearse));
    let reload = match asked {
        Ok(reload) => reload,
        Err(e) => {
            say(NAME, &e.to_string());
            return ExitCode::from(exit::FAILED);
        }
    };
    let text = match options.json {
        true => format!("{}\n", serde_json::json!(reload)),
        false => shown(&reload, options.rehearse),
    };
    // Whoever closed our output does not want to read on.
    let _ = io::stdout().write_all(text.as_bytes());
    match reload.taken {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::WRONG),
    }
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut args = Arguments::new(args);
    while let Some(name) = args.next_name() {
        match name {
            "-h" | "--help" => return Ok(None),
            "-n" | "--dry-run" => options.rehearse = args.flag()?,
            "--json" => options.json = args.flag()?,
            "--socket" => once(&mut options.socket, name, args.value()?.to_owned())?,
            _ => return Err(args.unknown()),
        }
    }
    Ok(Some(options))
}

fn shown(reload: &Reload, rehearse: bool) -> String {
    let mut text = reload.diagnostics.clone();
    for change in &reload.changes {
        let _ = writeln!(text, "{}", printable(&change.to_string())); // writing to a string cannot fail
    }
    let verdict = match (&reload.refused, rehearse, reload.changes.is_empty()) {
        (Some(why), false, _) => format!("not taken, the old configuration stays: {why}"),
        (Some(why), true, _) => format!("would not be taken: {why}"),
        (None, _, true) => "nothing changes".to_owned(),
        (None, false, false) => "taken".to_owned(),
        (None, true, false) => "would be taken".to_owned(),
    };
    text + &printable(&verdict) + "\n"
}
