//! What a new configuration changes.
//!
//! Services are told apart by what stands behind `virtual_server`, servers by address and port: what has the same in both is the same and
//! keeps its state, whatever else about it is different.

#[cfg(test)]
mod tests;
mod vrrp;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use lvs_core::{DestOptions, Encapsulation, Method, Persistence};
use serde::{Deserialize, Serialize};

use super::label;
use crate::keepalived::model::{Config, RealServer, VirtualServer};

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// `added`, `removed` or `changed`.
    pub kind: Kind,
    /// The block, by keyword and name (`vrrp_instance VI_1`); empty for services, servers and `global_defs`.
    #[serde(default)]
    pub block: String,
    /// The service; empty for what concerns none.
    pub service: String,
    /// The server; empty for what concerns the service as a whole.
    pub server: String,
    /// What about it has changed, in words.
    pub what: Vec<String>,
}

/// What has become of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "there is no more that can happen")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is different.
    Changed,
}

/// In one line: `+` for what is new, `-` for what is gone, `~` for what is different.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Added => "+ ",
            Kind::Removed => "- ",
            Kind::Changed => "~ ",
        })?;
        match (&*self.block, &*self.service, &*self.server) {
            ("", "", _) if self.kind == Kind::Added => f.write_str("restored")?,
            ("", "", _) => f.write_str("global_defs")?,
            ("", service, "") => write!(f, "virtual_server {service}")?,
            ("", service, server) => write!(f, "virtual_server {service} real_server {server}")?,
            (block, ..) => f.write_str(block)?,
        }
        match self.what.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.what.join("; ")),
        }
    }
}

/// What is different from `old` to `new`: services in the order of the new configuration, what is gone last; likewise each kind of
/// VRRP's blocks.
pub(crate) fn between(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let globals = globals(old, new);
    if !globals.is_empty() {
        changes.push(changed(String::new(), String::new(), globals));
    }
    let (kept, gone) = paired(&old.services, &new.services, |s| s.head.clone());
    for (service, before) in kept {
        match before {
            Some(before) => service_changes(before, service, &mut changes),
            None => changes.push(Change {
                kind: Kind::Added,
                block: String::new(),
                service: label::service(service),
                server: String::new(),
                what: vec![format!("{} servers", service.servers.len())],
            }),
        }
    }
    changes.extend(gone.into_iter().map(|service| Change {
        kind: Kind::Removed,
        block: String::new(),
        service: label::service(service),
        server: String::new(),
        what: Vec::new(),
    }));
    vrrp::between(&old.vrrp, &new.vrrp, &mut changes);
    changes
}

/// That services were removed by hand and are there again.
pub(crate) fn restored(services: usize) -> Change {
    let what = match services {
        1 => "1 service that had been removed by hand".to_owned(),
        n => format!("{n} services that had been removed by hand"),
    };
    Change {
        kind: Kind::Added,
        block: String::new(),
        service: String::new(),
        server: String::new(),
        what: vec![what],
    }
}

/// Each new thing with the old one that it was, and the old ones that are gone.
type Paired<'a, T> = (Vec<(&'a T, Option<&'a T>)>, Vec<&'a T>);

fn paired<'a, T, K: Eq + Hash>(old: &'a [T], new: &'a [T], key: impl Fn(&T) -> K) -> Paired<'a, T> {
    let mut left: HashMap<K, &T> = old.iter().map(|t| (key(t), t)).collect();
    let kept = new.iter().map(|t| (t, left.remove(&key(t)))).collect();
    let gone = old.iter().filter(|t| left.contains_key(&key(t)));
    (kept, gone.collect())
}

fn changed(service: String, server: String, what: Vec<String>) -> Change {
    Change {
        kind: Kind::Changed,
        block: String::new(),
        service,
        server,
        what,
    }
}

fn globals(old: &Config, new: &Config) -> Vec<String> {
    let (a, b) = (&old.global, &new.global);
    let mut what = Vec::new();
    if a.timeouts != b.timeouts {
        what.push("timeouts of connections".to_owned());
    }
    if a.http != b.http {
        what.push("the HTTP endpoint, which changes at the next start".to_owned());
    }
    let other = what.is_empty() && a != b;
    if other || (&a.mail_to, &a.smtp_server) != (&b.mail_to, &b.smtp_server) {
        what.push("settings of scripts, pipes and mails".to_owned());
    }
    what.extend(vrrp::globals(&old.vrrp.common, &new.vrrp.common));
    what
}

fn service_changes(old: &VirtualServer, new: &VirtualServer, changes: &mut Vec<Change>) {
    let name = label::service(new);
    let mut what = Vec::new();
    let mut say = |about: &str, from: String, to: String| {
        if from != to {
            what.push(format!("{about} from {from} to {to}"));
        }
    };
    let scheduler = |s: &VirtualServer| {
        [vec![&**s.scheduler], s.flags.names(&s.scheduler)]
            .concat()
            .join(" ")
    };
    say("scheduler", scheduler(old), scheduler(new));
    say(
        "persistence",
        persistence(old.options.persistence),
        persistence(new.options.persistence),
    );
    say("quorum", old.quorum.to_string(), new.quorum.to_string());
    say(
        "hysteresis",
        old.hysteresis.to_string(),
        new.hysteresis.to_string(),
    );
    let sorry = |s: &VirtualServer| match &s.sorry {
        Some(sorry) => format!("{} {}", sorry.addr, method(&sorry.options)),
        None => "none".to_owned(),
    };
    say("sorry server", sorry(old), sorry(new));
    if old.keys != new.keys {
        what.push(format!(
            "addresses: {} instead of {}",
            new.keys.len(),
            old.keys.len()
        ));
    }
    let scripts = |s: &VirtualServer| (s.quorum_up.clone(), s.quorum_down.clone());
    if scripts(old) != scripts(new) {
        what.push("scripts".to_owned());
    }
    let (kept, gone) = paired(&old.servers, &new.servers, |s| s.addr);
    let mut servers = Vec::new();
    for (server, before) in kept {
        let addr = server.addr.to_string();
        let (kind, what) = match before {
            None => (
                Kind::Added,
                vec![format!(
                    "weight {}, {}",
                    server.options.weight,
                    method(&server.options)
                )],
            ),
            Some(before) if before == server => continue,
            Some(before) => (Kind::Changed, server_changes(before, server)),
        };
        servers.push(Change {
            kind,
            block: String::new(),
            service: name.clone(),
            server: addr,
            what,
        });
    }
    servers.extend(gone.into_iter().map(|server| Change {
        kind: Kind::Removed,
        block: String::new(),
        service: name.clone(),
        server: server.addr.to_string(),
        what: Vec::new(),
    }));
    // Whatever has no words of its own.
    if what.is_empty() && servers.is_empty() && old != new {
        what.push("other settings".to_owned());
    }
    if !what.is_empty() {
        changes.push(changed(name, String::new(), what));
    }
    changes.extend(servers);
}

fn server_changes(old: &RealServer, new: &RealServer) -> Vec<String> {
    let mut what = Vec::new();
    let (a, b) = (&old.options, &new.options);
    if a.weight != b.weight {
        what.push(format!("weight from {} to {}", a.weight, b.weight));
    }
    if method(a) != method(b) {
        what.push(format!("forwarding from {} to {}", method(a), method(b)));
    }
    if (a.upper, a.lower) != (b.upper, b.lower) {
        what.push(format!(
            "thresholds from {}/{} to {}/{}",
            a.upper, a.lower, b.upper, b.lower
        ));
    }
    if old.checks != new.checks {
        what.push(format!("checks: {}", numbers(&old.checks, &new.checks)));
    }
    if (&old.notify_up, &old.notify_down) != (&new.notify_up, &new.notify_down) {
        what.push("scripts".to_owned());
    }
    if what.is_empty() {
        what.push("other settings".to_owned());
    }
    what
}

/// How many of what has no names.
fn numbers<T: PartialEq>(old: &[T], new: &[T]) -> String {
    let kept = new.iter().filter(|c| old.contains(c)).count();
    format!(
        "{kept} stay, {} new or changed, {} gone or changed",
        new.len() - kept,
        old.len().saturating_sub(kept)
    )
}

fn persistence(persistence: Option<Persistence>) -> String {
    match persistence {
        None => "none".to_owned(),
        Some(p) => {
            let engine = p
                .engine
                .map_or(String::new(), |e| format!(" by {}", e.name()));
            format!("{} s /{}{engine}", p.timeout.as_secs(), p.prefix)
        }
    }
}

fn method(options: &DestOptions) -> String {
    let name = match options.method {
        Method::Nat => "NAT",
        Method::DirectRoute => "DR",
        Method::Tunnel => "TUN",
        Method::FullNat => "FNAT",
        _ => "other",
    };
    match options.encapsulation {
        Encapsulation::Gue { port, .. } => format!("{name} gue {port}"),
        Encapsulation::Gre { .. } => format!("{name} gre"),
        _ => name.to_owned(),
    }
}
