//! What is to blame when commands are right each by itself, and wrong together.
//!
//! Problem: the director, or the host, refuses the table that comes of many commands; who wrote them wants to know the line.
//!
//! Rule: the refusal says what it is about, and the last command that names this is to blame.

use lvs_core::{Endpoint, Ip, ServiceKey};

use crate::rules::Command;

/// What is to blame for a refusal of commands together: the last command that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum About {
    /// A server of a service.
    Server(ServiceKey, Endpoint),
    /// A service.
    Service(ServiceKey),
    /// An address of a server, a service, or of FullNAT's.
    Address(Ip),
    /// An interface of a rule for marks.
    Interface(String),
}

impl About {
    /// The place of the last command that names it, and ipvsadm's name for the option that does.
    pub(super) fn last_of(&self, commands: &[Command]) -> Option<(usize, &'static str)> {
        let named = |(place, command)| Some((place, self.option_of(command)?));
        commands.iter().enumerate().rev().find_map(named)
    }

    /// ipvsadm's name for the option by which a command names it.
    fn option_of(&self, command: &Command) -> Option<&'static str> {
        match command {
            Command::AddServer(key, rule) | Command::EditServer(key, rule) => {
                let names = match self {
                    Self::Server(k, addr) => (key, rule.addr) == (k, *addr),
                    Self::Address(ip) => rule.addr.ip == *ip,
                    _ => false,
                };
                names.then_some("real-server")
            }
            Command::AddService(rule) | Command::EditService(rule) => {
                let mut local = rule.options.local_addrs.iter();
                match self {
                    Self::Service(key) if rule.key == *key => Some("service-address"),
                    Self::Address(ip) if local.any(|l| l.ip == *ip) => Some("local-address"),
                    Self::Address(ip) if rule.key.addr().is_some_and(|a| a.ip == *ip) => {
                        Some("service-address")
                    }
                    _ => None,
                }
            }
            Command::Mark(rule) => match self {
                Self::Interface(name) if rule.interface.as_ref() == Some(name) => Some("interface"),
                _ => None,
            },
            _ => None,
        }
    }
}
