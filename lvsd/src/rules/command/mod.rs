//! ipvsadm's commands, one at a time, as a program that is told them by ipvsadm's users must take them.
//!
//! Unlike a rule file, which counts as a whole and is explained when it is wrong, a command is read as ipvsadm itself
//! reads it, down to its defaults, its messages and its exit status.
//!
//! | module | holds |
//! |---|---|
//! | `popt` | words, taken apart into options and values |
//! | `line` | what the options say, each by itself |
//! | `check` | whether they go with the command and with each other |
//! | `service`, `server`, `sync` | what they make together |
//! | `address` | addresses and numbers |
//! | `places` | where in a command something is said |
//! | `write` | a command as words again |
//! | `error` | refusals |

mod address;
mod check;
mod error;
mod line;
mod places;
mod popt;
mod server;
mod service;
mod sync;
#[cfg(test)]
mod tests;
mod write;

use lvs_core::state::Timeouts;
use lvs_core::{Endpoint, ServiceKey};

use super::options::Verb;
use super::words::Word;
use super::{MarkRule, Names, ServerRule, ServiceRule, settings};
pub use error::CommandError;
use line::Line;
pub(super) use places::option_at;
pub(crate) use places::{place_of, start_of};
pub use sync::{Role, SyncDaemon};

/// How long a client stays on its server unless another time is given, in seconds.
pub(super) const DEFAULT_PERSISTENCE: u32 = 360;

/// The longest timeout, in seconds.
pub(super) const MAX_SECONDS: u32 = Timeouts::MAX.as_secs() as u32;

/// A command of ipvsadm, or one of ours in the same manner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `-A`: the service has no servers yet.
    AddService(ServiceRule),
    /// `-E`: everything about the service is replaced, by defaults where nothing is said. Its servers stay.
    EditService(ServiceRule),
    /// `-D`
    DeleteService(ServiceKey),
    /// `-a`
    AddServer(ServiceKey, ServerRule),
    /// `-e`: everything about the server is replaced, by defaults where nothing is said.
    EditServer(ServiceKey, ServerRule),
    /// `-d`
    DeleteServer(ServiceKey, Endpoint),
    /// `-C`: everything is deleted.
    Flush,
    /// `-Z`: the statistics of one service, or all, begin anew.
    Zero(Option<ServiceKey>),
    /// `--set`
    SetTimeouts(SetTimeouts),
    /// `--mark`: another rule for marks, behind those there are.
    Mark(MarkRule),
    /// `--unmark`: exactly this rule for marks is deleted.
    Unmark(MarkRule),
    /// `--clear-marks`: all rules for marks are deleted.
    ClearMarks,
    /// A line `net.ipv4.vs.NAME = VALUE`, which is a command in files only.
    Setting {
        /// The setting's name, without `net.ipv4.vs.`; there is such a setting.
        name: String,
        /// Its value, one that it can have.
        value: String,
    },
    /// `--start-daemon`
    StartDaemon(SyncDaemon),
    /// `--stop-daemon`: of the daemon only its role and id are said.
    StopDaemon(SyncDaemon),
    /// `-L`
    List(Listing),
    /// `-S`
    Save {
        /// Whether hosts and ports are shown as numbers (`-n`).
        numeric: bool,
    },
    /// `-R`
    Restore {
        /// Whether line by line, as ipvsadm does it (`--compat`, ours), and not all or nothing.
        compat: bool,
    },
    /// `-h`
    Help,
    /// `-v`
    Version,
}

/// Timeouts in seconds, at most 31 days; 0 leaves what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "ipvsadm's three")]
pub struct SetTimeouts {
    /// Of established TCP connections.
    pub tcp: u32,
    /// Of TCP connections that a FIN was seen of.
    pub tcp_fin: u32,
    /// Of UDP.
    pub udp: u32,
}

/// What is to be listed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Listing {
    /// The only service to be listed; only where services are.
    pub service: Option<ServiceKey>,
    /// What is listed.
    pub what: What,
    /// Whether hosts and ports are shown as numbers (`-n`).
    pub numeric: bool,
    /// Whether large numbers are shown in full (`--exact`).
    pub exact: bool,
    /// Whether in the director's order and not by address (`--nosort`).
    pub nosort: bool,
    /// Whether as JSON (`--json`, ours).
    pub json: bool,
}

/// What a listing is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each has its own layout")]
pub enum What {
    /// Services and servers, with forwarding methods and weights.
    #[default]
    Services,
    /// The same with counters (`--stats`).
    Stats,
    /// With rates (`--rate`).
    Rate,
    /// With thresholds (`--thresholds`).
    Thresholds,
    /// With persistent connections (`--persistent-conn`).
    PersistentConn,
    /// With kinds of tunnels (`--tun-info`).
    TunInfo,
    /// Connections (`-c`).
    Connections {
        /// Whether with what persistence engines know of them (`--persistent-conn`).
        engines: bool,
    },
    /// Timeouts (`--timeout`).
    Timeouts,
    /// Running sync daemons (`--daemon`).
    Daemons,
    /// Rules for marks (`--marks`, ours).
    Marks,
}

/// Reads ipvsadm's arguments, without the program's name.
///
/// No arguments are a listing with names. Lines `net.ipv4.vs.NAME = VALUE`, which are commands in files but not on
/// a command line, are read too ([`Command::Setting`]).
///
/// # Errors
///
/// What ipvsadm would say, and its exit status.
pub fn parse_command(words: &[&str], names: &dyn Names) -> Result<Command, CommandError> {
    if words.is_empty() {
        return Ok(Command::List(Listing::default()));
    }
    if let Some(setting) = setting(words) {
        return setting;
    }
    let line = Line::read(words, names)?;
    if let Verb::Help | Verb::Version = line.verb {
        return Ok(match line.verb {
            Verb::Help => Command::Help,
            _ => Command::Version,
        });
    }
    let flags = service::flags(&line)?;
    check::options(&line)?;
    let rule = || service::rule(&line, check::service(&line)?, flags);
    let server = || {
        let key = check::service(&line)?;
        Ok((key, server::rule(&line, key)?))
    };
    Ok(match line.verb {
        Verb::AddService => Command::AddService(rule()?),
        Verb::EditService => Command::EditService(rule()?),
        Verb::DeleteService => Command::DeleteService(check::service(&line)?),
        Verb::AddServer => server().map(|(key, server)| Command::AddServer(key, server))?,
        Verb::EditServer => server().map(|(key, server)| Command::EditServer(key, server))?,
        Verb::DeleteServer => Command::DeleteServer(check::service(&line)?, line.server),
        Verb::Flush => Command::Flush,
        Verb::Zero => Command::Zero(line.service),
        Verb::Set => Command::SetTimeouts(line.timeouts),
        Verb::Mark => Command::Mark(line.mark),
        Verb::Unmark => Command::Unmark(line.mark),
        Verb::ClearMarks => Command::ClearMarks,
        Verb::StartDaemon => Command::StartDaemon(line.daemon),
        Verb::StopDaemon => Command::StopDaemon(line.daemon),
        Verb::List => Command::List(listing(&line)?),
        Verb::Save => Command::Save {
            numeric: line.has("numeric"),
        },
        Verb::Restore => Command::Restore {
            compat: line.has("compat"),
        },
        Verb::Help => Command::Help,
        Verb::Version => Command::Version,
    })
}

fn listing(line: &Line<'_>) -> Result<Listing, CommandError> {
    check::listing(line)?;
    let engines = line.has("persistent-conn");
    let asked = [
        ("connection", What::Connections { engines }),
        ("timeout", What::Timeouts),
        ("daemon", What::Daemons),
        ("marks", What::Marks),
        ("stats", What::Stats),
        ("rate", What::Rate),
        ("thresholds", What::Thresholds),
        ("persistent-conn", What::PersistentConn),
        ("tun-info", What::TunInfo),
    ];
    let first = asked.into_iter().find(|(name, _)| line.has(name));
    Ok(Listing {
        service: line.service,
        what: first.map_or(What::Services, |(_, what)| what),
        numeric: line.has("numeric"),
        exact: line.has("exact"),
        nosort: line.has("nosort"),
        json: line.has("json"),
    })
}

/// The setting that a line is about, if it is about one.
fn setting(words: &[&str]) -> Option<Result<Command, CommandError>> {
    // Each word as a line of its own, so that a problem's line tells the word.
    let placed: Vec<Word<'_>> = (1..)
        .zip(words)
        .map(|(line, text)| Word {
            text,
            line,
            column: 1,
        })
        .collect();
    let is_setting = words.first()?.starts_with(settings::PREFIX);
    is_setting.then(|| match settings::read(&placed) {
        Ok((name, value)) => Ok(Command::Setting { name, value }),
        Err(problem) => Err(CommandError::usage(problem.message).at(problem.line - 1)),
    })
}
