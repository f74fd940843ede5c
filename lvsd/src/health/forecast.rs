//! What the director would have if a configuration were taken by a daemon of which only the [`Status`] is known.
//!
//! Servers that are down stay down, those that the daemon does not have yet begin as the configuration wants it. So far as quorum
//! and hysteresis leave a choice, the quorum is what it would be at a start.

use std::collections::HashMap;

use lvs_core::{ConfigError, Draft};
use lvs_health::Checker;
use lvs_health::checker::Standing;
use lvs_health::pool::Pool;

use super::label;
use super::list::{self, List};
use super::status::Status;
use super::working::{member, settings};
use crate::keepalived::model::{Config, RealServer, VirtualServer};

/// Makes it in a draft that has none of it.
pub(crate) fn forecast(
    config: &Config,
    status: &Status,
    draft: &mut Draft<'_>,
) -> Result<(), ConfigError> {
    let known: HashMap<&str, _> = status.services.iter().map(|s| (&*s.name, s)).collect();
    for service in &config.services {
        let status = known.get(&*label::service(service));
        let states: HashMap<&str, bool> = status
            .iter()
            .flat_map(|s| s.servers.iter().map(|s| (&*s.server, s.up)))
            .collect();
        list::publish(draft, None, Some(&expected(service, &states)))?;
    }
    Ok(())
}

fn expected(service: &VirtualServer, states: &HashMap<&str, bool>) -> List {
    let servers = service.servers.iter().map(|server| {
        let state = states.get(&*server.addr.to_string());
        (
            server.addr,
            member(server, standings(server, state.copied())),
        )
    });
    let (pool, _) = Pool::new(settings(service), servers.collect());
    List::of(service, &pool)
}

/// One check that is down is as good as all of them.
fn standings(server: &RealServer, up: Option<bool>) -> Vec<Standing> {
    let of = |check: &lvs_health::Check| match up {
        Some(up) => Standing::assumed(up),
        None => Checker::new(check).standing(),
    };
    server.checks.iter().map(|c| of(&c.check)).collect()
}
