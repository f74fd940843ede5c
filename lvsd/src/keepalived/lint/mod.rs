//! What is wrong with a configuration although each of its lines is right.
//!
//! Problem: most outages that keepalived's users tell of came from files without a wrong word: a server that is its own VIP, a
//! quorum above what the servers weigh, a script that nobody may run, a priority that no failing check can bring below the peer's.
//!
//! Rule: each such thing is one function that looks at the whole [`Config`], and one line of its family's table with the code, how bad
//! it is, and a sentence about it. A file alone decides what is an error; what depends on the host it is looked at on is a
//! warning, since that may be another one, or be mended while we run. What an ordinary good file has is never reported.
//!
//! | module | looks at |
//! |---|---|
//! | `addresses` | VIPs and servers: can packets get there? |
//! | `services` | schedulers, persistence, quorum, sorry servers |
//! | `checks` | what checks can find out, and when |
//! | `scripts` | programs: are they there, and who could change them? |
//! | `alerts` | mails and pipes |
//! | `instances` | VRRP's instances and groups, and their peers |
//! | `tracking` | what VRRP watches, and what priorities come to |
//! | `codes` | the codes of all stages |

mod addresses;
mod alerts;
mod checks;
mod codes;
mod instances;
mod scripts;
mod services;
mod tracking;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use lvs_core::ServiceKey;

pub use codes::{Code, codes};

use super::diagnostic::{Diagnostic, Severity};
use super::host::{Host, Interface};
use super::model::{Command, Config, VirtualServer};
use super::place::Span;

/// Everything that is wrong with a configuration as a whole.
pub fn lint(config: &Config, host: &dyn Host) -> Vec<Diagnostic> {
    let mut scene = Scene {
        config,
        host,
        interfaces: host.interfaces(),
        commands: scripts::commands(config),
        lint: &addresses::LINTS[0],
    };
    let mut found = Vec::new();
    for lint in lints() {
        scene.lint = lint;
        (lint.run)(&scene, &mut found);
    }
    found
}

/// All of them, family by family.
fn lints() -> impl Iterator<Item = &'static Lint> {
    let families = [
        addresses::LINTS,
        services::LINTS,
        checks::LINTS,
        scripts::LINTS,
        alerts::LINTS,
        instances::LINTS,
        tracking::LINTS,
    ];
    families.into_iter().flatten()
}

/// One kind of mistake.
struct Lint {
    code: &'static str,
    severity: Severity,
    /// Whether keepalived would go on.
    tolerated: bool,
    /// For whoever asks what the code means.
    about: &'static str,
    run: fn(&Scene<'_>, &mut Vec<Diagnostic>),
}

impl Lint {
    /// It works, but hardly as meant.
    const fn warning(
        code: &'static str,
        run: fn(&Scene<'_>, &mut Vec<Diagnostic>),
        about: &'static str,
    ) -> Self {
        Self {
            code,
            severity: Severity::Warning,
            tolerated: true,
            about,
            run,
        }
    }

    /// It cannot work, whatever keepalived says.
    const fn error(
        code: &'static str,
        run: fn(&Scene<'_>, &mut Vec<Diagnostic>),
        about: &'static str,
    ) -> Self {
        Self {
            severity: Severity::Error,
            ..Self::warning(code, run, about)
        }
    }

    /// keepalived would not start either.
    const fn fatal(
        code: &'static str,
        run: fn(&Scene<'_>, &mut Vec<Diagnostic>),
        about: &'static str,
    ) -> Self {
        Self {
            tolerated: false,
            ..Self::error(code, run, about)
        }
    }
}

/// What a lint looks at.
struct Scene<'a> {
    config: &'a Config,
    host: &'a dyn Host,
    /// Unless they are not known.
    interfaces: Option<Vec<Interface>>,
    /// All programs of the configuration.
    commands: Vec<scripts::Use<'a>>,
    /// The one that is running.
    lint: &'static Lint,
}

impl<'a> Scene<'a> {
    /// The running lint has found something.
    fn found(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.lint.code, span, message);
        diagnostic.severity = self.lint.severity;
        diagnostic.tolerated = self.lint.tolerated;
        diagnostic
    }

    /// Virtual services.
    fn services(&self) -> impl Iterator<Item = &'a VirtualServer> + use<'a> {
        self.config.services.iter()
    }

    /// The host's interfaces that carry an address; `None` if interfaces are not known.
    fn carriers(&self, ip: IpAddr) -> Option<Vec<&Interface>> {
        let carries = |i: &&Interface| i.addrs.iter().any(|(addr, _)| *addr == ip);
        Some(self.interfaces.as_ref()?.iter().filter(carries).collect())
    }
}

/// The place of a command.
fn place(command: &Command) -> Span {
    command.span.span
}

/// The addresses of a service, each once.
fn vips(service: &VirtualServer) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    for ip in service.keys.iter().filter_map(ServiceKey::addr) {
        let ip = ip.ip.into();
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    ips
}

/// `1 server`, `2 servers`.
fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// Several names in a sentence: `a`, `b` and `c`.
fn names<'n>(all: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = all.into_iter().map(|n| format!("`{n}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
