//! What is different between two tables, and which connections feel it.

use std::collections::{BTreeMap, HashMap};

use lvs_core::ServiceKey;
use serde::Serialize;
use serde_json::Value;

use super::super::listing;
use crate::control::table::{Key, Server, Service, Table};

/// All that is different between a table as it is and as it would be. docs/json.md describes it for users.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Whether anything is.
    pub different: bool,
    /// IPVS's settings; null is the default.
    pub settings: Vec<Field>,
    /// The director's timeouts.
    pub timeouts: Vec<Field>,
    /// Rules for marks.
    pub marks: Marks,
    /// Services in ipvsadm's order.
    pub services: Vec<ServiceDifference>,
    /// What the servers that go away have.
    pub cut_off: Held,
}

/// One thing that has another value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Field {
    /// Its name, as listings have it; of a part of something `whole.part`.
    pub field: String,
    /// What it is; null if there is no such thing.
    pub from: Value,
    /// What it would be.
    pub to: Value,
}

/// Rules for marks, as lines of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Marks {
    /// Those that go.
    pub removed: Vec<String>,
    /// Those that come.
    pub added: Vec<String>,
    /// Whether those that stay stand in another order, which can decide about a packet's mark.
    pub reordered: bool,
}

/// What would happen to a service or server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "nothing else can")]
pub enum Change {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// Something about it, or one of its servers, is different.
    Changed,
}

/// A service that is different.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServiceDifference {
    /// What would happen to it.
    pub change: Change,
    /// Which it is.
    #[serde(flatten)]
    pub key: Key,
    /// What about it is different; all of it if it comes or goes.
    pub fields: Vec<Field>,
    /// Its servers that are different, in ipvsadm's order.
    pub servers: Vec<ServerDifference>,
}

/// A server that is different.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServerDifference {
    /// What would happen to it.
    pub change: Change,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// What about it is different; all of it if it comes or goes.
    pub fields: Vec<Field>,
    /// What it has now.
    pub connections: Held,
    /// What would become of that.
    pub effects: Vec<Effect>,
}

/// Connections and templates of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Held {
    /// Connections in a state like ESTABLISHED.
    pub active: u64,
    /// Other connections.
    pub inactive: u64,
    /// Persistence templates.
    pub templates: u64,
}

/// What becomes of a server's connections and templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// It goes away: packets of its connections are dropped until clients begin anew or these time out. Clients of its
    /// templates get another server.
    CutOff,
    /// It goes away, and its connections with it (setting `expire_nodest_conn`).
    Ended,
    /// Its weight becomes 0: it gets no new connections but those of its templates, and keeps what it has.
    Quiesced,
    /// The same, and clients of its templates get another server (setting `expire_quiescent_template`).
    QuiescedWithTemplates,
    /// Its forwarding method changes: connections keep the old one, new ones get the new one.
    OldMethod,
    /// Its kind of tunnel changes: with the next packet, for all connections.
    NewTunnel,
}

impl Difference {
    /// What is different.
    pub fn between(before: &Table, after: &Table) -> Self {
        let settings = fields(&before.settings, &after.settings, &|_| true);
        let timeouts = fields(&before.timeouts, &after.timeouts, &|_| true);
        let marks = Marks::between(&before.marks, &after.marks);
        let of = |services: &'_ [Service]| -> HashMap<ServiceKey, Service> {
            let keyed = services.iter().map(|s| (s.key.into(), s.clone()));
            keyed.collect()
        };
        let (old, new) = (of(&before.services), of(&after.services));
        let services: Vec<_> = in_order(before, after)
            .iter()
            .filter_map(|either| {
                let key = either.key.into();
                service(either, old.get(&key), new.get(&key), &after.settings)
            })
            .collect();
        let mut cut_off = Held::default();
        let servers = services.iter().flat_map(|s| &s.servers);
        for server in servers.filter(|server| server.change == Change::Removed) {
            cut_off.active += server.connections.active;
            cut_off.inactive += server.connections.inactive;
            cut_off.templates += server.connections.templates;
        }
        let different = !(settings.is_empty()
            && timeouts.is_empty()
            && marks == Marks::default()
            && services.is_empty());
        Self {
            different,
            settings,
            timeouts,
            marks,
            services,
            cut_off,
        }
    }
}

impl Marks {
    fn between(before: &[String], after: &[String]) -> Self {
        let without = |lines: &[String], others: &[String]| -> Vec<String> {
            let rest = lines.iter().filter(|line| !others.contains(line));
            rest.cloned().collect()
        };
        let stay = |lines: &[String], others: &[String]| -> Vec<String> {
            let both = lines.iter().filter(|line| others.contains(line));
            both.cloned().collect()
        };
        Self {
            removed: without(before, after),
            added: without(after, before),
            reordered: stay(before, after) != stay(after, before),
        }
    }
}

/// The services of both tables, each with the servers it has in one of them.
fn in_order(before: &Table, after: &Table) -> Vec<Service> {
    let mut all = after.services.clone();
    let places: HashMap<ServiceKey, usize> =
        (0..).zip(&all).map(|(i, s)| (s.key.into(), i)).collect();
    for old in &before.services {
        let place = places.get(&old.key.into());
        let Some(new) = place.and_then(|&place| all.get_mut(place)) else {
            all.push(old.clone());
            continue;
        };
        let gone = |server: &&Server| find(&new.servers, server).is_none();
        let gone: Vec<_> = old.servers.iter().filter(gone).cloned().collect();
        new.servers.extend(gone);
    }
    listing::sort(&mut all);
    all
}

fn find<'s>(servers: &'s [Server], server: &Server) -> Option<&'s Server> {
    servers.iter().find(|s| s.endpoint() == server.endpoint())
}

const SERVICE: [&str; 6] = [
    "scheduler",
    "flags",
    "persistence",
    "one_packet",
    "local_addresses",
    "timeouts",
];

const SERVER: [&str; 5] = ["method", "tunnel", "weight", "upper", "lower"];

fn service(
    either: &Service,
    old: Option<&Service>,
    new: Option<&Service>,
    settings: &BTreeMap<String, String>,
) -> Option<ServiceDifference> {
    let change = change(old, new)?;
    let fields = fields(&old, &new, &|name| SERVICE.contains(&name));
    let same =
        |service: Option<&Service>, server| service.and_then(|s| find(&s.servers, server).cloned());
    let servers: Vec<_> = either
        .servers
        .iter()
        .filter_map(|s| server(s, same(old, s), same(new, s), settings))
        .collect();
    let is_different = change != Change::Changed || !fields.is_empty() || !servers.is_empty();
    is_different.then(|| ServiceDifference {
        change,
        key: either.key,
        fields,
        servers,
    })
}

fn server(
    either: &Server,
    old: Option<Server>,
    new: Option<Server>,
    settings: &BTreeMap<String, String>,
) -> Option<ServerDifference> {
    let change = change(old.as_ref(), new.as_ref())?;
    let fields = fields(&old, &new, &|name| SERVER.contains(&name));
    let is_different = change != Change::Changed || !fields.is_empty();
    let is_set = |name| settings.get(name).is_some_and(|value| value != "0");
    let effects = match (&old, &new) {
        (Some(_), None) if is_set("expire_nodest_conn") => vec![Effect::Ended],
        (Some(_), None) => vec![Effect::CutOff],
        (Some(old), Some(new)) => {
            let quiesced = match is_set("expire_quiescent_template") {
                true => Effect::QuiescedWithTemplates,
                false => Effect::Quiesced,
            };
            [
                (old.weight > 0 && new.weight == 0, quiesced),
                (old.method != new.method, Effect::OldMethod),
                (
                    old.method == new.method && old.tunnel != new.tunnel,
                    Effect::NewTunnel,
                ),
            ]
            .into_iter()
            .filter_map(|(happens, effect)| happens.then_some(effect))
            .collect()
        }
        (None, _) => Vec::new(),
    };
    let held = |old: Server| Held {
        active: old.active,
        inactive: old.inactive,
        templates: old.persistent,
    };
    is_different.then(|| ServerDifference {
        change,
        address: either.address.to_string(),
        port: either.port,
        fields,
        connections: old.map(held).unwrap_or_default(),
        effects,
    })
}

fn change<T>(old: Option<&T>, new: Option<&T>) -> Option<Change> {
    match (old, new) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(_), Some(_)) => Some(Change::Changed),
    }
}

/// What is different between the two in the parts that count, as listings say it.
fn fields<T: Serialize>(from: &T, to: &T, counts: &dyn Fn(&str) -> bool) -> Vec<Field> {
    let (from, to) = (leaves(from, counts), leaves(to, counts));
    let only_old = from.iter().filter(|(field, _)| value(&to, field).is_null());
    let all = to.iter().chain(only_old).map(|(field, _)| field);
    all.filter(|field| value(&from, field) != value(&to, field))
        .map(|field| Field {
            field: field.clone(),
            from: value(&from, field),
            to: value(&to, field),
        })
        .collect()
}

fn value(leaves: &[(String, Value)], field: &str) -> Value {
    let leaf = leaves.iter().find(|(name, _)| name == field);
    leaf.map_or(Value::Null, |(_, value)| value.clone())
}

/// All that is said in the parts of something that count; parts of parts have both names.
fn leaves<T: Serialize>(whole: &T, counts: &dyn Fn(&str) -> bool) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    // Our own types can all be said.
    if let Ok(Value::Object(parts)) = serde_json::to_value(whole) {
        for (name, value) in parts.iter().filter(|(name, _)| counts(name)) {
            collect(name, value, &mut found);
        }
    }
    found
}

fn collect(name: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Null => {}
        Value::Object(parts) => {
            for (part, value) in parts {
                collect(&format!("{name}.{part}"), value, found);
            }
        }
        value => found.push((name.to_owned(), value.clone())),
    }
}
