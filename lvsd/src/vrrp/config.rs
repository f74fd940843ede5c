//! From a keepalived.conf's virtual routers to what `lvs-vrrp` is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use lvs_core::Family;
use lvs_vrrp::config::{
    Authentication, CheckAddresses, Checksum, Config, GroupConfig, Object, Peer, Preempt, Replay,
    Rivals, RouterConfig, Tracked, Trailer, TrailerKey, TrailerMode, Transport, UnicastChecksum,
    Version,
};

use crate::keepalived::model::{self, Instance, SyncGroup, Tracking, Vrrp, Weight};

/// What the state machines are told. `served` says which interfaces the director must work on for an instance.
pub(super) fn of(vrrp: &Vrrp, served: impl Fn(&Instance) -> BTreeSet<String>) -> Config {
    let groups = vrrp.groups.iter().map(|group| GroupConfig {
        name: group.name.value.clone(),
        members: group.members.iter().map(|m| m.value.clone()).collect(),
    });
    let router = |instance| {
        let mut router = router(instance, vrrp);
        let director = served(instance).into_iter().map(|interface| Tracked {
            object: Object::Director(interface),
            weight: 0,
            reverse: false,
        });
        router.tracking.extend(director);
        Arc::new(router)
    };
    Config {
        routers: vrrp.instances.iter().map(router).collect(),
        groups: groups.collect(),
        startup_delay: vrrp.common.startup_delay,
    }
}

fn router(instance: &Instance, vrrp: &Vrrp) -> RouterConfig {
    let addresses = instance.vips.iter().map(|vip| vip.addr.ip).collect();
    RouterConfig {
        family: match instance.family {
            Family::V4 => lvs_vrrp::config::Family::V4,
            Family::V6 => lvs_vrrp::config::Family::V6,
        },
        version: match instance.version {
            model::Version::V2 => Version::V2,
            model::Version::V3 => Version::V3,
        },
        priority: instance.priority.value,
        wants_master: instance.wants_master,
        interval: instance.interval.value,
        missing: instance.missing,
        preempt: match instance.preempt {
            model::Preempt::Always => Preempt::Always,
            model::Preempt::After(delay) => Preempt::After(delay),
            model::Preempt::Never => Preempt::Never,
        },
        transport: transport(&instance.transport),
        authentication: match instance.authentication.map(|a| a.value) {
            None => Authentication::None,
            Some(model::Authentication::Password(password)) => Authentication::Password(password),
            Some(model::Authentication::Ah(key)) => Authentication::Ah(key),
        },
        trailer: instance.hmac.as_ref().map(trailer),
        check_addresses: match instance.check_addresses {
            model::CheckAddresses::Each => CheckAddresses::Each,
            model::CheckAddresses::NewMaster => CheckAddresses::NewMaster,
        },
        any_address_count: instance.any_vip_count,
        checksum: Checksum {
            plain: instance.plain_checksum,
            unicast: match instance.unicast_checksum {
                model::UnicastChecksum::Detect => UnicastChecksum::Detect,
                model::UnicastChecksum::Old => UnicastChecksum::Old,
                model::UnicastChecksum::New => UnicastChecksum::New,
            },
        },
        rivals: Rivals {
            silent: instance.rivals.silent,
            last_word: instance.rivals.last_word,
            owner_deaf: instance.rivals.owner_deaf,
        },
        late: instance.late,
        strict: instance.strict,
        tracking: tracking(instance, vrrp),
        needs_source: true,
        ..RouterConfig::new(instance.name.value.clone(), instance.vrid.value, addresses)
    }
}

fn transport(transport: &model::Transport) -> Transport {
    match transport {
        model::Transport::Multicast { group } => Transport::Multicast { group: *group },
        model::Transport::Unicast {
            peers,
            ttl,
            check_source,
        } => Transport::Unicast {
            peers: peers
                .iter()
                .map(|peer| Peer {
                    addr: peer.addr.value,
                    ttl: peer.ttl,
                })
                .collect(),
            ttl: *ttl,
            check_source: *check_source,
        },
    }
}

fn trailer(hmac: &model::Hmac) -> Trailer {
    let key = |key: &model::HmacKey| TrailerKey {
        id: key.id,
        secret: key.secret.clone().into_bytes(),
    };
    Trailer {
        keys: hmac.keys.iter().map(key).collect(),
        active: hmac.active,
        replay: match hmac.replay {
            model::Replay::Time => Replay::Time,
            model::Replay::Monotonic => Replay::Monotonic,
        },
        window: hmac.window,
        mode: match hmac.mode {
            model::HmacMode::Enforce => TrailerMode::Enforce,
            model::HmacMode::Permissive => TrailerMode::Permissive,
            model::HmacMode::ReceiveOnly => TrailerMode::ReceiveOnly,
        },
    }
}

/// All that an instance watches: its own interface, what it names itself, what its group names, and static items that must be
/// there.
fn tracking(instance: &Instance, vrrp: &Vrrp) -> Vec<Tracked> {
    let mut all: Vec<Tracked> = Vec::new();
    // keepalived: of what both name the group's weight counts, unless the member has none, so that it is a fault.
    let mut add = |object: Object, weight: Weight| {
        let tracked = Tracked {
            object,
            weight: weight.value,
            reverse: weight.reverse,
        };
        match all.iter_mut().find(|t| t.object == tracked.object) {
            None => all.push(tracked),
            Some(known) if known.weight != 0 => *known = tracked,
            Some(_) => {}
        }
    };
    if let Some(interface) = &instance.interface
        && instance.track_primary
    {
        add(
            Object::Interface(interface.value.clone()),
            Weight::default(),
        );
    }
    let group = vrrp.group_of(&instance.name.value);
    let group = group.map(|group: &SyncGroup| &group.tracking);
    for tracking in std::iter::once(&instance.tracking).chain(group) {
        for (object, weight) in objects(tracking) {
            add(object, weight);
        }
    }
    for group in &vrrp.track_groups {
        if group.members.iter().any(|m| m.value == instance.name.value) {
            add(Object::Kernel(group.name.value.clone()), Weight::default());
        }
    }
    all
}

fn objects(tracking: &Tracking) -> impl Iterator<Item = (Object, Weight)> {
    type Kind = fn(String) -> Object;
    // There is no BFD yet, of which users are warned.
    let kinds: [(&[model::Tracked], Kind); 4] = [
        (&tracking.interfaces, Object::Interface),
        (&tracking.scripts, Object::Script),
        (&tracking.files, Object::File),
        (&tracking.processes, Object::Process),
    ];
    kinds.into_iter().flat_map(|(list, kind)| {
        list.iter()
            .map(move |t| (kind(t.name.value.clone()), t.weight))
    })
}

#[cfg(test)]
mod tests;
