//! Rule files, and ipvsadm's commands: virtual services, their servers, and what goes with them.
//!
//! People keep the tables of their directors in files made by `ipvsadm -S` (or `ipvsadm-save`). [`parse`] reads such
//! a file as it is:
//!
//! ```text
//! -A SERVICE [-s SCHEDULER] [-b FLAGS] [-p [SECONDS]] [-M MASK] [--pe sip] [-o] [--local-address ADDRESS[:LOW-HIGH]]...
//!    [--tcp-timeout SECONDS] [--tcpfin-timeout SECONDS] [--udp-timeout SECONDS]
//! -a SERVICE -r ADDRESS[:PORT] [-g|-i|-m|--fullnat] [-w WEIGHT] [-x UPPER] [-y LOWER] [--tun-type ...]
//! --clear-marks
//! --mark MARK [--source PREFIX] [--destination PREFIX] [--protocol NAME] [--destination-port PORTS] ...
//! --set TCP TCPFIN UDP
//! net.ipv4.vs.NAME = VALUE
//! ```
//!
//! A SERVICE is `-t|-u|--sctp-service ADDRESS:PORT`, or `-f MARK [-6]`. The first two kinds of lines, and `--set`, are
//! ipvsadm's, but for `--fullnat`, `--local-address` and the timeouts of one service (IPVS has none of these); settings are
//! as in files of sysctl.d; `--mark` stands for what netfilter does for IPVS. docs/rules.md tells users of all of it.
//!
//! As in ipvsadm, options may come in any order after the command, letters may be bundled, values glued on
//! (`-w3`, `--weight=3`), hosts and ports be names, and the word `ipvsadm` stand anywhere without meaning. Unlike there,
//! empty lines and comments (`#` at the start of a word, to the end of the line) are allowed.
//!
//! A file counts as a whole or not at all: [`parse`] finds everything that is wrong with it, and [`render`]
//! shows it. A single command is another matter: [`parse_command`] reads it exactly as ipvsadm does, and says what that says.
//!
//! | module | holds |
//! |---|---|
//! | `options` | the grammar: all commands and options |
//! | `words`, `command_line` | a line of a file, taken apart |
//! | `service`, `server`, `marks`, `settings` | what the kinds of lines say |
//! | `table` | whether the lines go together |
//! | `command` | ipvsadm's commands, read in its own manner |
//! | `script` | files of commands, taken whole or not at all |
//! | `save` | rules as text again |
//! | `suggest` | what may stand next, for shells |

mod address;
mod command;
mod command_line;
mod flags;
mod marks;
mod names;
mod options;
mod problem;
mod save;
mod script;
mod server;
mod service;
mod settings;
mod suggest;
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod words;

use lvs_core::{DestOptions, Endpoint, ServiceKey, ServiceOptions, Sysctls};

pub(crate) use command::place_of;
pub use command::{
    Command, CommandError, Listing, Role, SetTimeouts, SyncDaemon, What, parse_command,
};
pub use flags::{BadFlag, SchedulerFlags};
pub use marks::MarkRule;
pub use names::{Names, SystemNames};
pub use problem::{Problem, render};
pub use script::{ScriptLine, parse_script};
pub(crate) use suggest::{Next, Wanted, next};

/// What a rule file asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleSet {
    /// The services, as the file has them: no two with the same key.
    pub services: Vec<ServiceRule>,
    /// Which packets get which firewall mark: the first that matches decides.
    pub marks: Vec<MarkRule>,
    /// How long connections are kept.
    pub timeouts: SetTimeouts,
    /// IPVS's settings: those that the file does not mention have their defaults.
    pub sysctls: Sysctls,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceRule {
    /// What identifies it. Port 0 only for persistent services.
    pub key: ServiceKey,
    /// The name of its scheduler, which in a rule file exists.
    pub scheduler: String,
    /// The scheduler's flags, each legal for it.
    pub flags: SchedulerFlags,
    /// The name of a persistence engine that does not exist: in a command only, which is then refused where the kernel
    /// would refuse it.
    pub unknown_engine: Option<String>,
    /// Everything else about it. Local addresses do not overlap, and none is a virtual address.
    pub options: ServiceOptions,
    /// Its servers, as the file has them: no two with the same address and port. As each is added at
    /// the head of IPVS's list, the last of them is the first for a scheduler.
    pub servers: Vec<ServerRule>,
}

/// A real server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerRule {
    /// Address and port. Port 0 keeps the packet's own.
    pub addr: Endpoint,
    /// How packets get there, and how many. With FullNAT the service has a local address of the server's family.
    pub options: DestOptions,
}

/// Reads a rule file. Bytes that are not UTF-8 are best replaced beforehand
/// ([`String::from_utf8_lossy`]): they do no harm in comments, and elsewhere are found to be wrong.
///
/// # Errors
///
/// Everything that is wrong with the file, in the order of lines and columns; never empty.
pub fn parse(source: &str, names: &dyn Names) -> Result<RuleSet, Vec<Problem>> {
    let mut table = table::Table::new(names);
    for (number, line) in (1..).zip(source.lines()) {
        let mut words = words::split(number, line);
        words.retain(|word| word.text != "ipvsadm");
        table.line(&words);
    }
    table.finish()
}
