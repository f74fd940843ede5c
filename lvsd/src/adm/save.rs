//! The table as commands that make it again: `ipvsadm -S`.
//!
//! Beyond ipvsadm's it keeps thresholds, and everything that ipvsadm does not have. Rules for marks come first, behind the
//! command that removes those there are: a file that is restored twice must not have them twice.

use lvs_core::{Protocol, ServiceKey};

use super::names::{Shown, readable_endpoint};
use crate::control::table::{Server, Table};
use crate::rules::Command;

/// A line for each rule for marks, service and server.
pub fn lines(table: &Table, names: &dyn Shown) -> Vec<String> {
    let mut lines = Vec::new();
    if !table.marks.is_empty() {
        lines.push(Command::ClearMarks.words().join(" "));
        lines.extend(table.marks.iter().cloned());
    }
    for service in &table.services {
        let key = ServiceKey::from(service.key);
        let protocol = key.protocol().unwrap_or(Protocol(0));
        let line = |command: &Command| named(command.words(), names, protocol);
        let rule = service.rule();
        lines.push(line(&Command::AddService(rule)));
        let servers = service.servers.iter().map(Server::rule);
        lines.extend(servers.map(|rule| line(&Command::AddServer(key, rule))));
    }
    lines
}

/// A command's line, with names for the hosts and ports in it.
fn named(words: Vec<String>, names: &dyn Shown, protocol: Protocol) -> String {
    let mut line = String::new();
    let mut is_address = false;
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        match word.parse() {
            Ok(at) if is_address => line.push_str(&readable_endpoint(names, at, protocol)),
            _ => line.push_str(&word),
        }
        is_address = matches!(&*word, "-t" | "-u" | "--sctp-service" | "-r");
    }
    line
}
