//! What the earlier lines of a story have most likely added, so that later ones speak of what is there.
//!
//! Only most likely: whether a line was taken is not known here, and need not be.

use crate::grammar::{
    ADD, ADD_SERVER, CLEAR, DELETE, DELETE_SERVER, IPV6, MARK, MASQUERADING, REAL_SERVER, SCTP,
    Spec, TCP, UDP,
};
use crate::line::Item;
use crate::random::Random;

/// The services of a story.
#[derive(Debug, Default)]
pub(crate) struct Known(Vec<Service>);

/// A service, by what names it, and its servers.
#[derive(Clone, Debug)]
struct Service {
    key: Vec<Item>,
    servers: Vec<String>,
}

impl Known {
    /// What names one of the services.
    pub(crate) fn service(&self, random: &mut Random) -> Option<Vec<Item>> {
        (!self.0.is_empty()).then(|| self.0[random.below(self.0.len())].key.clone())
    }

    /// One of the servers of the service that these options name.
    pub(crate) fn server(&self, random: &mut Random, items: &[Item]) -> Option<String> {
        let service = &self.0[self.place(&key(items))?];
        let count = service.servers.len();
        (count > 0).then(|| service.servers[random.below(count)].clone())
    }

    /// Takes note of what a right line does.
    pub(crate) fn learn(&mut self, items: &[Item]) {
        let key = key(items);
        let place = self.place(&key);
        let command = items.first().and_then(Item::spec);
        match (command, place) {
            (Some(CLEAR), _) => self.0.clear(),
            (Some(ADD), None) => self.0.push(Service {
                key,
                servers: Vec::new(),
            }),
            (Some(DELETE), Some(place)) => drop(self.0.remove(place)),
            (Some(ADD_SERVER), Some(place)) => self.0[place].servers.extend(server(items)),
            (Some(DELETE_SERVER), Some(place)) => {
                let gone = value(items, REAL_SERVER);
                self.0[place].servers.retain(|s| Some(s) != gone);
            }
            _ => {}
        }
    }

    fn place(&self, key: &[Item]) -> Option<usize> {
        self.0.iter().position(|service| service.key == key)
    }
}

/// Whether a service's or a server's name is of IPv6.
pub(crate) fn is_ipv6(items: &[Item]) -> bool {
    let names = items.iter().any(|item| match item {
        Item::Option(_, Some(value)) => value.matches(':').count() > 1,
        _ => false,
    });
    names || items.iter().any(|item| item.spec() == Some(IPV6))
}

fn key(items: &[Item]) -> Vec<Item> {
    const KEYS: [Spec; 5] = [TCP, UDP, SCTP, MARK, IPV6];
    let names = |item: &&Item| item.spec().is_some_and(|spec| KEYS.contains(&spec));
    items.iter().filter(names).cloned().collect()
}

/// The added server. Only a masqueraded one has a port of its own, others have the service's.
fn server(items: &[Item]) -> Option<String> {
    let name = value(items, REAL_SERVER)?;
    let masqueraded = items.iter().any(|item| item.spec() == Some(MASQUERADING));
    let host = match name.rsplit_once(':') {
        Some((host, _)) if !masqueraded && (host.ends_with(']') || !host.contains(':')) => host,
        _ => name,
    };
    Some(host.to_owned())
}

fn value(items: &[Item], of: Spec) -> Option<&String> {
    items.iter().find_map(|item| match item {
        Item::Option(spec, value) if *spec == of => value.as_ref(),
        _ => None,
    })
}
