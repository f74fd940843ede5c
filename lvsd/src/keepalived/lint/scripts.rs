//! Programs: are they there, and who could change them?
//!
//! keepalived runs programs itself, without a shell, and says of one that it will not run only that it will not. So what
//! is wrong is named here to the folder and the mode bit. A program that several lines name is reported once.

use std::path::Path;

use lvs_health::Kind;

use super::{Lint, Scene};
use crate::alerts::security::{self, Weakness};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::host::Stat;
use crate::keepalived::model::{Command, Config, User};
use crate::keepalived::place::Span;

pub(super) const LINTS: &[Lint] = &[
    Lint::warning(
        "script-missing",
        script_missing,
        "A program that is to be run is not there.",
    ),
    Lint::warning(
        "script-not-executable",
        script_not_executable,
        "A program is there, but the user it runs as may not execute it, or it is no file.",
    ),
    Lint::warning(
        "script-user-unknown",
        script_user_unknown,
        "A program is to run as a user or group that this host does not have.",
    ),
    Lint::warning(
        "script-insecure",
        script_insecure,
        "A program runs as root, and somebody else could put another one in its place: that is how an ordinary user becomes root.",
    ),
    Lint::warning(
        "script-security-off",
        script_security_off,
        "Programs run as root, and nothing keeps those from running that somebody else could replace one day.",
    ),
    Lint::error(
        "script-refused",
        script_refused,
        "With enable_script_security, a program that somebody else than root could replace is never run as root.",
    ),
    Lint::warning(
        "script-shell-words",
        script_shell_words,
        "An argument looks as if a shell were to read it. Programs are run without one, and get the word as it is.",
    ),
    Lint::warning(
        "script-outlasts-interval",
        script_outlasts_interval,
        "A vrrp_script may run longer than its interval; the next run is left out while one is going.",
    ),
];

/// Where a program is named.
pub(super) struct Use<'a> {
    keyword: &'a str,
    argv: &'a [String],
    user: Runs<'a>,
    span: Span,
}

/// Whom it runs as.
#[derive(Clone, Copy)]
enum Runs<'a> {
    /// The one named, or the default.
    Named(Option<&'a User>),
    /// By number.
    Number(Option<(u32, u32)>),
}

impl<'a> Use<'a> {
    fn new(keyword: &'a str, command: &'a Command) -> Self {
        Self {
            keyword,
            argv: &command.argv,
            user: Runs::Named(command.user.as_ref()),
            span: super::place(command),
        }
    }

    fn program(&self) -> &'a str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// All programs of a configuration.
pub(super) fn commands(config: &Config) -> Vec<Use<'_>> {
    let mut all = Vec::new();
    let global = &config.global;
    let fifos = [&global.fifo, &global.lvs_fifo, &global.vrrp_fifo];
    let readers = fifos
        .into_iter()
        .flatten()
        .filter_map(|f| f.reader.as_ref());
    all.extend(readers.map(|c| Use::new("notify_fifo_script", c)));
    all.extend(
        global
            .startup
            .iter()
            .map(|(c, _)| Use::new("startup_script", c)),
    );
    all.extend(
        global
            .shutdown
            .iter()
            .map(|(c, _)| Use::new("shutdown_script", c)),
    );
    for service in &config.services {
        all.extend(service.quorum_up.iter().map(|c| Use::new("quorum_up", c)));
        all.extend(
            service
                .quorum_down
                .iter()
                .map(|c| Use::new("quorum_down", c)),
        );
        for server in &service.servers {
            all.extend(server.notify_up.iter().map(|c| Use::new("notify_up", c)));
            all.extend(
                server
                    .notify_down
                    .iter()
                    .map(|c| Use::new("notify_down", c)),
            );
            for checker in &server.checks {
                if let Kind::Script(script) = &checker.check.kind {
                    all.push(Use {
                        keyword: checker.keyword,
                        argv: &script.argv,
                        user: Runs::Number(script.user),
                        span: checker.program.span,
                    });
                }
            }
        }
    }
    let vrrp = &config.vrrp;
    all.extend(
        vrrp.scripts
            .iter()
            .map(|s| Use::new("vrrp_script", &s.command)),
    );
    for notify in vrrp
        .instances
        .iter()
        .map(|i| &i.notify)
        .chain(vrrp.groups.iter().map(|g| &g.notify))
    {
        all.extend(notify.all().map(|(keyword, c)| Use::new(keyword, c)));
    }
    all.sort_by_key(|u| u.span);
    all
}

/// Programs, each with what is wrong with it if `wrong` says so; further uses are named at the first one.
fn report(
    s: &Scene<'_>,
    out: &mut Vec<Diagnostic>,
    wrong: impl Fn(&Use<'_>) -> Option<(String, Option<String>)>,
) {
    let mut said: Vec<(String, usize)> = Vec::new();
    for command in &s.commands {
        let Some((message, help)) = wrong(command) else {
            continue;
        };
        if let Some((_, at)) = said.iter().find(|(m, _)| *m == message) {
            if let Some(first) = out.get_mut(*at).filter(|d| d.also.len() < 3) {
                first.also.push((command.span, "and here".to_owned()));
            }
            continue;
        }
        said.push((message.clone(), out.len()));
        let mut found = s
            .found(command.span, message)
            .label(format!("for `{}`", command.keyword));
        found.help = help;
        out.push(found);
    }
}

/// The user and group that a program runs as; `None` if the host does not have them.
fn runs_as(s: &Scene<'_>, user: Runs<'_>) -> Option<(u32, u32)> {
    let named = match user {
        Runs::Number(Some(ids)) => return Some(ids),
        Runs::Named(user) => user,
        Runs::Number(None) => None,
    };
    let ids = security::runs_as(s.host, &s.config.global, named).ok()?;
    Some(ids.unwrap_or((0, 0))) // the daemon is root, or as good as
}

fn script_missing(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    report(s, out, |command| {
        let program = command.program();
        if security::locate(s.host, program).is_some() {
            return None;
        }
        let help = if program.starts_with('~') {
            "programs are run without a shell: write the path in full".to_owned()
        } else if program.contains('/') {
            let gap = Path::new(program)
                .ancestors()
                .skip(1)
                .take_while(|f| s.host.stat(f).is_err())
                .last();
            match gap.filter(|f| !f.as_os_str().is_empty()) {
                Some(folder) => format!("not even the folder `{}` is there", folder.display()),
                None => "put it there, or mend the path".to_owned(),
            }
        } else {
            "it is in no folder that is searched: write its path".to_owned()
        };
        Some((format!("the program `{program}` is not there"), Some(help)))
    });
}

/// Whether a user may execute a file.
fn may_execute(stat: Stat, (uid, gid): (u32, u32)) -> bool {
    let bit = if uid == 0 {
        0o111
    } else if uid == stat.uid {
        0o100
    } else if gid == stat.gid {
        0o010
    } else {
        0o001
    };
    stat.mode & bit != 0
}

fn script_not_executable(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    report(s, out, |command| {
        let (path, stat) = security::locate(s.host, command.program())?;
        let path = path.display();
        if stat.folder {
            return Some((
                format!("`{path}` is a folder"),
                Some("name a program".to_owned()),
            ));
        }
        let ids = runs_as(s, command.user)?;
        if may_execute(stat, ids) {
            return None;
        }
        let mode = stat.mode & 0o777;
        let message = match stat.mode & 0o111 {
            0 => format!("`{path}` is not executable (its mode is {mode:03o})"),
            _ => format!(
                "user {} may not execute `{path}` (its mode is {mode:03o}, its owner {}:{})",
                ids.0, stat.uid, stat.gid
            ),
        };
        Some((message, Some(format!("chmod 755 {path}"))))
    });
}

fn script_user_unknown(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let help = |user: &str| Some(format!("useradd --system --shell /usr/sbin/nologin {user}"));
    let global = &s.config.global;
    if let Some(user) = &global.script_user
        && let Err(unknown) = security::numbers(s.host, &user.value)
    {
        let mut found = s.found(user.span, unknown.to_string());
        found.help = help(&user.user);
        out.push(found);
    }
    report(s, out, |command| {
        let named = match command.user {
            Runs::Named(Some(user)) => Some(user),
            Runs::Named(None) if global.script_user.is_none() => None,
            _ => return None,
        };
        let unknown = security::runs_as(s.host, global, named).err()?;
        let help = match named {
            Some(user) => help(&user.user),
            None => Some("add `script_user USER` to `global_defs`".to_owned()),
        };
        Some((unknown.to_string(), help))
    });
}

/// What is insecure about a program.
fn insecure(s: &Scene<'_>, command: &Use<'_>) -> Option<(String, Option<String>)> {
    if runs_as(s, command.user)?.0 != 0 {
        return None;
    }
    let (path, stat) = security::locate(s.host, command.program())?;
    if stat.folder {
        return None;
    }
    let Weakness { part, why } = security::weakness(s.host, &path, s.config.global.symlink_paths)?;
    let message = match part == path {
        true => format!("`{}` runs as root, and {why}", path.display()),
        false => format!(
            "`{}` runs as root, and `{}` {why}",
            path.display(),
            part.display()
        ),
    };
    let shown = part.display();
    Some((
        message,
        Some(format!(
            "`chown root: {shown}; chmod go-w {shown}`, or name another user behind the command"
        )),
    ))
}

fn script_insecure(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    if !s.config.global.script_security {
        report(s, out, |command| insecure(s, command));
    }
}

fn script_security_off(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    if s.config.global.script_security {
        return;
    }
    let is_root = |command: &&Use<'_>| runs_as(s, command.user).is_some_and(|(uid, _)| uid == 0);
    if let Some(first) = s.commands.iter().find(is_root) {
        let message = "programs run as root, and `enable_script_security` is not set";
        let found = s
            .found(first.span, message)
            .label(format!("`{}` for one", first.program()));
        out.push(found.help("add `enable_script_security` to `global_defs`; and `script_user USER`, where root is not needed"));
    }
}

fn script_refused(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    if s.config.global.script_security {
        report(s, out, |command| {
            let (message, help) = insecure(s, command)?;
            Some((
                format!("{message}: `enable_script_security` forbids it"),
                help,
            ))
        });
    }
}

/// Whether a shell would do something with a word.
fn is_shell_word(word: &str) -> bool {
    let redirection = |w: &str| {
        let w = w.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
        w.starts_with('>') && !w.starts_with(">=")
    };
    matches!(word, "|" | "||" | "&&" | "&" | ";" | "<" | "<<" | "|&")
        || redirection(word)
        || word.ends_with(';') && word.len() > 1 && !word.contains(' ')
        || word.starts_with("~/")
        || word == "~"
        || word.contains("$(")
        || word.contains("${")
        || word
            .strip_prefix('$')
            .is_some_and(|w| w.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        || word.len() > 1 && word.starts_with('`')
}

fn script_shell_words(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    report(s, out, |command| {
        let name = Path::new(command.program()).file_name()?.to_str()?;
        let is_shell = matches!(
            name,
            "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh" | "busybox"
        );
        if is_shell
            && command
                .argv
                .iter()
                .any(|a| a.starts_with('-') && a.ends_with('c'))
        {
            return None;
        }
        let word = command.argv.iter().find(|w| is_shell_word(w))?;
        let message = format!(
            "`{word}` is given to `{}` as it is: no shell reads it",
            command.program()
        );
        Some((
            message,
            Some("put the line into a script of its own, or write `sh -c '…'`".to_owned()),
        ))
    });
}

fn script_outlasts_interval(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for script in s
        .config
        .vrrp
        .scripts
        .iter()
        .filter(|script| script.timeout > script.interval)
    {
        let (timeout, interval) = (script.timeout.as_secs_f64(), script.interval.as_secs_f64());
        let message = format!(
            "`{}` may run for {timeout} s and is due every {interval} s",
            script.name.value
        );
        out.push(s.found(script.span.span, message).help(format!(
            "let `timeout` be at most {interval}, or `interval` at least {timeout}"
        )));
    }
}
