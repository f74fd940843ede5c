//! A difference for people: what comes, goes and is another, in the words of `-S`, and what connections feel of it.

use std::io::{self, Write};

use lvs_core::ServiceKey;
use serde_json::Value;

use super::compare::{Change, Difference, Effect, Field, Held, ServerDifference};
use crate::control::table::{Server, Service, Table};
use crate::rules::Command;

/// Writes all of it, and nothing if nothing is different.
pub(super) fn write(
    out: &mut dyn Write,
    d: &Difference,
    before: &Table,
    after: &Table,
) -> io::Result<()> {
    for f in &d.settings {
        writeln!(out, "~ net.ipv4.vs.{}", changed(f, "default"))?;
    }
    if !d.timeouts.is_empty() {
        writeln!(out, "~ --set: {}", list(&d.timeouts))?;
    }
    for line in &d.marks.removed {
        writeln!(out, "- {line}")?;
    }
    for line in &d.marks.added {
        writeln!(out, "+ {line}")?;
    }
    if d.marks.reordered {
        writeln!(out, "~ --mark: other rules stand first")?;
    }
    for service in &d.services {
        let key = ServiceKey::from(service.key);
        let (sign, table) = match service.change {
            Change::Removed => ('-', before),
            Change::Added | Change::Changed => ('+', after),
        };
        // In both tables if it changes.
        let Some(whole) = table.services.iter().find(|s| s.key == service.key) else {
            continue;
        };
        match service.change {
            Change::Changed if service.fields.is_empty() => {}
            Change::Changed => writeln!(out, "~ {}: {}", name(key), list(&service.fields))?,
            _ => writeln!(out, "{sign} {}", line(&Command::AddService(whole.rule())))?,
        }
        for server in &service.servers {
            let table = match server.change {
                Change::Removed => before,
                Change::Added | Change::Changed => after,
            };
            write_server(out, key, server, table)?;
        }
    }
    if d.different {
        write_sum(out, d)?;
    }
    Ok(())
}

fn write_server(
    out: &mut dyn Write,
    key: ServiceKey,
    d: &ServerDifference,
    table: &Table,
) -> io::Result<()> {
    let is_it = |s: &&Server| s.address.to_string() == d.address && s.port == d.port;
    let service = |s: &&Service| ServiceKey::from(s.key) == key;
    let service = table.services.iter().find(service);
    let Some(server) = service.and_then(|s| s.servers.iter().find(is_it)) else {
        return Ok(());
    };
    match d.change {
        Change::Added => writeln!(out, "+ {}", line(&Command::AddServer(key, server.rule())))?,
        Change::Removed => writeln!(out, "- {}", line(&Command::AddServer(key, server.rule())))?,
        Change::Changed => {
            let at = server.endpoint();
            writeln!(out, "~ {} -r {at}: {}", name(key), list(&d.fields))?;
        }
    }
    for effect in &d.effects {
        if let Some(said) = said(*effect, d.connections) {
            writeln!(out, "    # {said}")?;
        }
    }
    Ok(())
}

/// What a server's connections and templates feel, if it has any; and that it gets no new ones in any case.
fn said(effect: Effect, held: Held) -> Option<String> {
    let connections = connections(held);
    let elsewhere = match held.templates {
        0 => None,
        n => Some(format!("clients of {} get another server", templates(n))),
    };
    let parts = match effect {
        Effect::CutOff => [connections.map(|c| format!("cuts off {c}")), elsewhere],
        Effect::Ended => [connections.map(|c| format!("ends {c}")), elsewhere],
        Effect::Quiesced => {
            let still = match held.templates {
                0 => None,
                n => Some(format!("but those of {}", templates(n))),
            };
            let stay = connections.map_or_else(String::new, |c| format!("; {c} stay"));
            let still = still.map_or_else(String::new, |s| format!(" {s}"));
            [Some(format!("no new connections{still}{stay}")), None]
        }
        Effect::QuiescedWithTemplates => {
            let stay = connections.map_or_else(String::new, |c| format!("; {c} stay"));
            [Some(format!("no new connections{stay}")), elsewhere]
        }
        Effect::OldMethod => [
            connections.map(|c| format!("{c} keep the old method")),
            None,
        ],
        Effect::NewTunnel => [connections.map(|c| format!("{c} change over")), None],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn write_sum(out: &mut dyn Write, d: &Difference) -> io::Result<()> {
    let services = d.services.iter().filter(|s| {
        // One of which only servers are different is none of them.
        s.change != Change::Changed || !s.fields.is_empty()
    });
    let servers = d.services.iter().flat_map(|s| &s.servers);
    let services = numbers(services.map(|s| s.change));
    let servers = numbers(servers.map(|s| s.change));
    writeln!(out, "\nservices: {services}; servers: {servers}")?;
    let Held { templates: n, .. } = d.cut_off;
    let templates = (n > 0).then(|| templates(n));
    let lost: Vec<_> = connections(d.cut_off)
        .into_iter()
        .chain(templates)
        .collect();
    match lost.is_empty() {
        true => Ok(()),
        false => writeln!(out, "lost with their servers: {}", lost.join(", ")),
    }
}

fn numbers(changes: impl Iterator<Item = Change> + Clone) -> String {
    let count = |which| changes.clone().filter(|change| *change == which).count();
    format!(
        "{} added, {} removed, {} changed",
        count(Change::Added),
        count(Change::Removed),
        count(Change::Changed)
    )
}

fn connections(held: Held) -> Option<String> {
    let some = |n: u64, what: &str| (n > 0).then(|| format!("{n} {what}"));
    let parts = [some(held.active, "active"), some(held.inactive, "inactive")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let plural = if held.active + held.inactive == 1 {
        ""
    } else {
        "s"
    };
    (!parts.is_empty()).then(|| format!("{} connection{plural}", parts.join(" and ")))
}

fn templates(n: u64) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} template{plural}")
}

/// A service as options name it.
fn name(key: ServiceKey) -> String {
    line(&Command::DeleteService(key)).replacen("-D ", "", 1)
}

fn line(command: &Command) -> String {
    command.words().join(" ")
}

fn list(fields: &[Field]) -> String {
    // That a tunnel has no checksum is also said of none at all.
    let told = |f: &&Field| shown(&f.from, "none") != shown(&f.to, "none");
    let fields: Vec<String> = fields
        .iter()
        .filter(told)
        .map(|f| changed(f, "none"))
        .collect();
    fields.join(", ")
}

fn changed(field: &Field, nothing: &str) -> String {
    let Field { field, from, to } = field;
    format!("{field} {} -> {}", shown(from, nothing), shown(to, nothing))
}

fn shown(value: &Value, nothing: &str) -> String {
    let joined = |values: Vec<&Value>, with: &str| {
        let values: Vec<String> = values.into_iter().map(|v| shown(v, nothing)).collect();
        match values.is_empty() {
            true => nothing.to_owned(),
            false => values.join(with),
        }
    };
    match value {
        Value::Null => nothing.to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.escape_debug().to_string(),
        Value::Array(values) => joined(values.iter().collect(), ","),
        Value::Object(parts) => joined(parts.values().collect(), " "),
        Value::Number(number) => number.to_string(),
    }
}
