//! Virtual routers.

use super::super::openmetrics::{Family, Labels, Text, counter, gauge};
use crate::vrrp::status::{Counted, Peer, Router, Status, Watched};

/// Something with its labels.
type Row<'a, T> = (Labels, &'a T);

const STATES: [&str; 4] = ["INIT", "BACKUP", "MASTER", "FAULT"];

/// How virtual routers are.
pub(in crate::web) fn write(text: &mut Text, status: &Status) {
    let (mut routers, mut watched, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for router in &status.routers {
        let labels = Labels::new(&[("router", &router.name), ("vrid", &router.vrid.to_string())]);
        let parts = router.priority.parts.iter();
        watched.extend(parts.map(|part| (labels.with("object", &part.object), part)));
        let heard = router.peers.iter();
        peers.extend(heard.map(|peer| (labels.with("peer", &peer.address.to_string()), peer)));
        routers.push((labels, router));
    }
    states(text, status, &routers);
    priorities(text, &routers);
    counters(text, &routers);
    self::watched(text, &watched);
    self::peers(text, &peers);
    text.single(
        gauge(
            "lvsd_vrrp_worst_lateness_seconds",
            "The longest time since the start that the thread which speaks VRRP came late to what was due.",
        ),
        status.worst_lateness_ms / 1e3,
    );
}

fn states(text: &mut Text, status: &Status, routers: &[Row<'_, Router>]) {
    let each = |labels, state: &str| {
        let is = STATES.map(|s| (labels, Some(("state", s)), s == state));
        is.into_iter()
    };
    text.family(
        gauge(
            "lvsd_vrrp_state",
            "The state of a virtual router, as one 1 among zeros.",
        ),
        routers.iter().flat_map(|(l, r)| each(l, &r.state)),
    );
    text.family(
        gauge(
            "lvsd_vrrp_state_age_seconds",
            "How long a virtual router has been in its state.",
        ),
        routers.iter().map(|(l, r)| (l, None, r.for_seconds)),
    );
    text.family(
        gauge(
            "lvsd_vrrp_mute",
            "Whether something keeps a virtual router from speaking.",
        ),
        routers.iter().map(|(l, r)| (l, None, r.mute.is_some())),
    );
    text.family(
        gauge(
            "lvsd_vrrp_interval_seconds",
            "The time between the master's advertisements.",
        ),
        routers.iter().map(|(l, r)| (l, None, r.interval_ms / 1e3)),
    );
    let groups: Vec<(Labels, &str)> = status
        .groups
        .iter()
        .map(|g| (Labels::new(&[("group", &g.name)]), &*g.state))
        .collect();
    text.family(
        gauge(
            "lvsd_vrrp_group_state",
            "The state of a sync group, as one 1 among zeros.",
        ),
        groups.iter().flat_map(|(l, state)| each(l, state)),
    );
}

fn priorities(text: &mut Text, routers: &[Row<'_, Router>]) {
    text.family(
        gauge(
            "lvsd_vrrp_effective_priority",
            "The priority that a virtual router has now.",
        ),
        routers
            .iter()
            .map(|(l, r)| (l, None, u32::from(r.priority.effective))),
    );
    text.family(
        gauge(
            "lvsd_vrrp_configured_priority",
            "The priority that a virtual router is configured with.",
        ),
        routers
            .iter()
            .map(|(l, r)| (l, None, u32::from(r.priority.configured))),
    );
}

fn counters(text: &mut Text, routers: &[Row<'_, Router>]) {
    type Count = fn(&Counted) -> u64;
    let mut by = |family: Family, label: &'static str, counts: [(&'static str, Count); 2]| {
        let samples = routers.iter().flat_map(|(labels, router)| {
            let counters = &router.counters;
            counts.map(|(value, count)| (labels, Some((label, value)), count(counters)))
        });
        text.family(family, samples);
    };
    by(
        counter(
            "lvsd_vrrp_master_changes",
            "Times that a virtual router became master here, and gave that up.",
        ),
        "mastership",
        [
            ("gained", |c| c.became_master),
            ("lost", |c| c.released_master),
        ],
    );
    by(
        counter(
            "lvsd_vrrp_advertisements",
            "Advertisements that were sent, and that came and were genuine.",
        ),
        "direction",
        [("sent", |c| c.sent), ("received", |c| c.received)],
    );
    by(
        counter(
            "lvsd_vrrp_release_advertisements",
            "Advertisements of priority 0, with which a master steps down.",
        ),
        "direction",
        [("sent", |c| c.zero_sent), ("received", |c| c.zero_received)],
    );
    text.family(
        counter(
            "lvsd_vrrp_rivals",
            "Masters of lower priority that were heard while being master.",
        ),
        routers.iter().map(|(l, r)| (l, None, r.counters.rivals)),
    );
    text.family(
        counter(
            "lvsd_vrrp_rejected_advertisements",
            "Advertisements that were dropped, by the reason.",
        ),
        routers.iter().flat_map(|(l, r)| {
            let rejected = r.counters.rejected.iter();
            rejected.map(move |(why, n)| (l, Some(("reason", &**why)), *n))
        }),
    );
    text.family(
        counter(
            "lvsd_vrrp_odd_advertisements",
            "Advertisements that count although something about them is odd, by what.",
        ),
        routers.iter().flat_map(|(l, r)| {
            let noted = r.counters.noted.iter();
            noted.map(move |(what, n)| (l, Some(("kind", &**what)), *n))
        }),
    );
}

fn watched(text: &mut Text, watched: &[Row<'_, Watched>]) {
    text.family(
        gauge(
            "lvsd_vrrp_tracked_fault",
            "Whether something that a virtual router tracks puts it in fault.",
        ),
        watched.iter().map(|(l, w)| (l, None, w.fault)),
    );
    text.family(
        gauge(
            "lvsd_vrrp_tracked_priority",
            "What something that a virtual router tracks adds to its priority.",
        ),
        watched.iter().map(|(l, w)| (l, None, f64::from(w.adds))),
    );
}

fn peers(text: &mut Text, peers: &[Row<'_, Peer>]) {
    text.family(
        gauge(
            "lvsd_vrrp_peer_age_seconds",
            "How long ago a neighbour was heard last.",
        ),
        peers.iter().map(|(l, p)| (l, None, p.heard_ago)),
    );
    text.family(
        gauge(
            "lvsd_vrrp_peer_priority",
            "The priority in a neighbour's last advertisement.",
        ),
        peers
            .iter()
            .filter(|(_, p)| p.advertisements > 0)
            .map(|(l, p)| (l, None, u32::from(p.priority))),
    );
    text.family(
        counter(
            "lvsd_vrrp_peer_advertisements",
            "Advertisements that came from a neighbour.",
        ),
        peers.iter().map(|(l, p)| (l, None, p.advertisements)),
    );
}
