//! `lvsd run`: the daemon in the foreground.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::alerts::Alerts;
use crate::arguments::{Arguments, once, printable};
use crate::control::{DEFAULT_SOCKET, server};
use crate::daemon::{Daemon, Options};
use crate::exit;
use crate::health::{Keeper, Source};
use crate::keepalived::model::Config;
use crate::keepalived::{Options as LoadOptions, diagnostic};
use crate::output::{Writer, log, print, show};
use crate::rules::{self, RuleSet, SystemNames};

const USAGE: &str = "\
Usage: lvsd run [-f FILE] [--rules FILE] [--socket PATH] [--socket-group GROUP]
                [--interface NAME]... [--workers N] [--max-connections N]

Forwards in the foreground until SIGTERM or SIGINT. Says \"ready\" once it does.

Options:
  -f, --config FILE    a keepalived.conf: its virtual servers are made, their servers checked (see docs/migrate.md).
                       With errors in it lvsd does not start; `lvsd check FILE` shows them
  --keepalived-compat  what keepalived itself goes on with in the file is no error
  --config-id ID       what lines of the file that begin with @ID are compared with
                       (default: the host's name up to its first dot)
  --rules FILE         services and servers to begin with, as `ipvsadm -Sn` writes them (see docs/rules.md)
  --socket PATH        listen there for `lvsd adm` and the others (default /run/lvsd.sock)
  --socket-group GROUP let members of this group connect too, and so do everything (default: only root)
  --interface NAME     work on this interface; may be repeated (default: all Ethernet interfaces that are up)
  --workers N          worker threads, 1 to 16 (default 1)
  --max-connections N  the most connections tracked at a time (default 10000000)
  -h, --help           this text

Signals: SIGUSR1 prints a summary of services, packets and drops; SIGHUP reads the file of -f anew, as
`lvsd reload` does; SIGTERM and SIGINT, and SIGHUP without -f, stop, with a summary.

Exit status: 0 stopped as asked, 1 the system does not allow it, 2 wrong usage, rules or file.
";

/// Runs `lvsd run` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let Given {
        options,
        rules: file,
        config,
    } = match parse(args) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => {
            print(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(message) => return wrong(&format!("lvsd run: {message}\n\n{USAGE}")),
    };
    let rules = match file.as_ref().map_or_else(|| Ok(RuleSet::default()), read) {
        Ok(rules) => rules,
        Err(message) => return wrong(&message),
    };
    let configuration = match config.map(configured).transpose() {
        Ok(configuration) => configuration,
        Err(message) => return wrong(&message),
    };
    // Before the daemon starts, so that a signal can never end it half-way.
    let mut signals = match Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1]) {
        Ok(s) => s,
        Err(e) => return fail(&format!("cannot receive signals: {e}")),
    };
    let _writer = match Writer::start() {
        Ok(writer) => writer,
        Err(e) => return fail(&format!("cannot start a thread: {e}")),
    };
    let global = configuration
        .as_ref()
        .map(|(config, _)| config.global.clone());
    if let Some(global) = &global {
        Alerts::startup(global, log);
    }
    let names: Vec<String> = file
        .iter()
        .chain(configuration.iter().map(|(_, source)| &source.path))
        .map(|f| f.display().to_string())
        .collect();
    let daemon = match Daemon::start(Options {
        rules,
        configuration,
        log,
        ..options
    }) {
        Ok(d) => d,
        Err(e) if e.is_configuration() => {
            let names = names.iter().map(|name| format!("{name}: "));
            return wrong(&format!("lvsd run: {}{e}\n", names.collect::<String>()));
        }
        Err(e) => return fail(&e.to_string()),
    };
    log("ready");
    for signal in signals.forever() {
        match (signal, daemon.keeper()) {
            (SIGUSR1, _) => print(&daemon.summary().to_string()),
            (SIGHUP, Some(keeper)) => reload(keeper),
            _ => break,
        }
    }
    print(&daemon.stop().to_string());
    if let Some(global) = &global {
        Alerts::shutdown(global, log);
    }
    ExitCode::SUCCESS
}

/// Reads a keepalived.conf, and shows what is wrong with it.
fn configured(source: Source) -> Result<(Config, Source), String> {
    let loaded = source.load();
    let text = diagnostic::render(&loaded.diagnostics, &loaded.files, false);
    if loaded.is_refused() {
        let path = source.path.display().to_string();
        return Err(format!(
            "{text}lvsd run: {}: not started\n",
            path.escape_debug()
        ));
    }
    show(&text);
    Ok((loaded.config, source))
}

fn reload(keeper: &Keeper) {
    let reload = keeper.reload(false);
    show(&reload.diagnostics);
    match reload.refused {
        Some(why) => log(&format!(
            "the configuration is not taken, the old one stays: {why}"
        )),
        None => {
            let changes = &reload.changes;
            log(&format!(
                "the configuration is taken; changes: {}",
                changes.len()
            ));
            // What changes about services is logged by who does it.
            for change in changes.iter().filter(|c| !c.block.is_empty()) {
                log(&printable(&change.to_string()));
            }
        }
    }
}

fn fail(message: &str) -> ExitCode {
    log(message);
    ExitCode::FAILURE
}

fn wrong(message: &str) -> ExitCode {
    show(message);
    ExitCode::from(exit::WRONG)
}

fn read(file: &PathBuf) -> Result<RuleSet, String> {
    let name = file.display().to_string();
    let bytes = fs::read(file).map_err(|e| format!("lvsd run: {}: {e}\n", name.escape_debug()))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}'); // as some editors begin a file
    rules::parse(text, &SystemNames::default())
        .map_err(|problems| rules::render(&problems, &name, text))
}

/// What the command line gives.
#[derive(Debug)]
struct Given {
    options: Options,
    rules: Option<PathBuf>,
    config: Option<Source>,
}

/// `None` if only help is wanted.
fn parse(args: &[String]) -> Result<Option<Given>, String> {
    let mut options = Options::default();
    let (mut config, mut load) = (None, LoadOptions::default());
    let mut socket = server::Options::new(PathBuf::from(DEFAULT_SOCKET));
    let mut file = None;
    let mut args = Arguments::new(args);
    while let Some(name) = args.next_name() {
        match name {
            "-h" | "--help" => return Ok(None),
            "-f" | "--config" => once(&mut config, name, PathBuf::from(args.value()?))?,
            "--keepalived-compat" => load.compat = args.flag()?,
            "--config-id" => once(&mut load.config_id, name, args.value()?.to_owned())?,
            "--rules" => once(&mut file, name, PathBuf::from(args.value()?))?,
            "--socket" => socket.path = PathBuf::from(args.value()?),
            "--socket-group" => socket.group = Some(group(args.value()?)?),
            "--interface" => options.interfaces.push(args.value()?.to_owned()),
            "--workers" => options.workers = args.number(1..=16)?,
            "--max-connections" => options.max_connections = args.number(1..=100_000_000)?,
            _ => return Err(args.unknown()),
        }
    }
    options.socket = Some(socket);
    Ok(Some(Given {
        options,
        rules: file,
        config: config.map(|path| Source {
            path,
            options: load,
        }),
    }))
}

/// A group's number, by its name in `/etc/group` or the number itself.
fn group(name: &str) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = fs::read("/etc/group").unwrap_or_default();
    let groups = String::from_utf8_lossy(&groups);
    let number = groups.lines().find_map(|line| {
        let mut fields = line.split(':'); // name, password, number, members
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    });
    number.ok_or_else(|| format!("there is no group {name:?} in /etc/group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Given>, String> {
        parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn arguments_are_read_in_both_forms() {
        let line = "--rules=a --workers 2 --interface x --interface=y --socket=s --socket-group 7 \
                    -f k --keepalived-compat --config-id main";
        let Given {
            options: o,
            rules: file,
            config,
        } = parsed(line).unwrap().unwrap();
        let source = config.unwrap();
        assert_eq!(source.path, PathBuf::from("k"));
        assert!(source.options.compat);
        assert_eq!(source.options.config_id.as_deref(), Some("main"));
        assert_eq!((file, o.workers), (Some(PathBuf::from("a")), 2));
        let socket = o.socket.unwrap();
        assert_eq!((socket.path, socket.group), (PathBuf::from("s"), Some(7)));
        assert_eq!(o.interfaces, ["x", "y"]);
        assert!(parsed("--rules a -h").unwrap().is_none());
    }

    #[test]
    fn nothing_need_be_said() {
        let given = parsed("").unwrap().unwrap();
        assert!(given.rules.is_none() && given.config.is_none());
        assert_eq!(
            given.options.socket.unwrap().path,
            PathBuf::from(DEFAULT_SOCKET)
        );
    }

    #[test]
    fn groups_have_names() {
        assert_eq!(group("root"), Ok(0));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("--socket-group no-such-group", "no-such-group"),
            ("--rules", "value"),
            ("--rules a --rules b", "twice"),
            ("--rules a --workers 17", "16"),
            ("--rules a --workers x", "number"),
            ("--rules a --frob", "--frob"),
            ("a", "\"a\""),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
