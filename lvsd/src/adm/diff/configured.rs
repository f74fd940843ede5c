//! `lvsd adm diff --config FILE`: what would change if the running daemon took a keepalived.conf.
//!
//! Rule: only what the daemon's configuration has now, and what FILE has, is compared; services that people have made by hand
//! stay, as they do in a reload. Servers that are down are taken to stay down.

use std::collections::HashSet;
use std::path::Path;

use lvs_core::{Director, ServiceKey};

use super::compare::Difference;
use super::{TROUBLE, seconds, settings_of, text};
use crate::adm::front::{Failure, Front, table};
use crate::adm::json;
use crate::control::client::{Client, ClientError};
use crate::control::table::Table;
use crate::health::forecast;
use crate::health::status::Status;
use crate::keepalived::model::Config;
use crate::keepalived::{self, Options, SystemHost, diagnostic};
use crate::rules::MarkRule;

pub(super) fn compare(front: &mut Front<'_>, file: &str, as_json: bool) -> Result<bool, Failure> {
    let trouble = |message: String| Failure::Said(TROUBLE, message);
    let loaded = keepalived::load(Path::new(file), &Options::default(), &SystemHost);
    if loaded.is_refused() {
        let said = diagnostic::render(&loaded.diagnostics, &loaded.files, false);
        return Err(trouble(said.trim_end().to_owned()));
    }
    let mut client = front.client()?;
    let status = status(&mut client).map_err(|e| trouble(e.to_string()))?;
    let (before, marks) = concerned(table(&mut client)?, &loaded.config, &status);
    let after =
        after(&before, &marks, &loaded.config, &status).map_err(|e| trouble(e.to_string()))?;
    let difference = Difference::between(&before, &after);
    match as_json {
        true => json::write(front.out, &difference)?,
        false => text::write(front.out, &difference, &before, &after)?,
    }
    Ok(difference.different)
}

/// A daemon without a configuration has nothing that is up or down.
fn status(client: &mut Client) -> Result<Status, ClientError> {
    match client.status() {
        Err(ClientError::Unsupported(_)) => Ok(Status::default()),
        other => other,
    }
}

/// The part of the table that configurations make, the one in force or the other.
fn concerned(mut table: Table, config: &Config, status: &Status) -> (Table, Vec<MarkRule>) {
    let wanted = config.services.iter().flat_map(|s| &s.keys);
    let configured = status.services.iter().flat_map(|s| &s.services);
    let concerned: HashSet<String> = wanted
        .map(ToString::to_string)
        .chain(configured.cloned())
        .collect();
    let is_concerned = |key| concerned.contains(&ServiceKey::from(key).to_string());
    table.services.retain(|service| is_concerned(service.key));
    let marks = table.marks.iter().filter_map(|line| super::mark(line));
    let marks = marks.collect();
    (table, marks)
}

fn after(
    before: &Table,
    marks: &[MarkRule],
    config: &Config,
    status: &Status,
) -> Result<Table, lvs_core::ConfigError> {
    let mut settings = settings_of(before);
    let [tcp, fin, udp] = config
        .global
        .timeouts
        .map(|s| seconds(s.unwrap_or(0).into()));
    settings.timeouts.set(tcp, fin, udp);
    let director = Director::new(&settings);
    director.edit(|draft| forecast(config, status, draft))?;
    Ok(Table::of(&director, marks))
}
