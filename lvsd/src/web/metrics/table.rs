//! The director's table: services and servers as they are scheduled, whoever put them there.

use std::collections::HashMap;

use lvs_core::stats::Totals;
use lvs_core::{Dest, ServiceKey};

use super::super::openmetrics::{Family, Kind, Labels, Text, counter, gauge};
use super::{Scene, name};

/// A service or server with what is written more than once.
struct Row<'a, T> {
    labels: Labels,
    thing: &'a T,
    totals: Totals,
}

/// The table.
pub(super) fn write(text: &mut Text, scene: &Scene<'_>) {
    let director = scene.director;
    text.single(
        gauge("lvsd_connections", "Connections that are tracked."),
        director.connection_count(),
    );
    text.single(
        gauge(
            "lvsd_persistence_templates",
            "Clients that persistence keeps on a server.",
        ),
        director.template_count(),
    );
    let config = director.config();
    let mut sorted = config.services();
    sorted.sort_by_key(|s| s.key());
    let (mut services, mut servers) = (Vec::new(), Vec::new());
    for service in sorted {
        let key = service.key().to_string();
        for dest in service.dests() {
            servers.push(Row {
                labels: Labels::new(&[("service", &key), ("server", &dest.addr().to_string())]),
                thing: dest,
                totals: dest.live().stats().totals(),
            });
        }
        services.push(Row {
            labels: Labels::new(&[("service", &key)]),
            thing: &**service,
            totals: service.live().stats().totals(),
        });
    }
    self::services(text, scene, &services);
    totals(
        text,
        [
            counter(
                "lvsd_service_new_connections",
                "Connections scheduled for a service.",
            ),
            counter(
                "lvsd_service_packets",
                "Its packets, in from clients or out from servers.",
            ),
            counter(
                "lvsd_service_bytes",
                "Its IP bytes, in from clients or out from servers.",
            ),
        ],
        &services,
    );
    self::servers(text, &servers);
    totals(
        text,
        [
            counter(
                "lvsd_server_new_connections",
                "Connections scheduled to a server.",
            ),
            counter(
                "lvsd_server_packets",
                "Its packets, in from clients or out from it.",
            ),
            counter(
                "lvsd_server_bytes",
                "Its IP bytes, in from clients or out from it.",
            ),
        ],
        &servers,
    );
}

fn services(text: &mut Text, scene: &Scene<'_>, services: &[Row<'_, lvs_core::Service>]) {
    let configured: HashMap<ServiceKey, String> = scene
        .snapshot
        .services
        .iter()
        .flat_map(|s| s.config.keys.iter().map(|key| (*key, name(&s.config))))
        .collect();
    let info = Family {
        name: "lvsd_service",
        kind: Kind::Info,
        help: "A service's scheduler, and the name of what configures it; none if it was made by hand.",
    };
    let labels: Vec<Labels> = services
        .iter()
        .map(|row| {
            let of = configured.get(&row.thing.key());
            let labels = row.labels.with("scheduler", row.thing.scheduler().name());
            labels.with("virtual_server", of.map_or("", String::as_str))
        })
        .collect();
    text.family(info, labels.iter().map(|l| (l, None, 1_u64)));
}

fn servers(text: &mut Text, servers: &[Row<'_, Dest>]) {
    let connections = servers.iter().flat_map(|row| {
        [
            ("active", row.thing.active()),
            ("inactive", row.thing.inactive()),
        ]
        .map(|(state, n)| (&row.labels, Some(("state", state)), n))
    });
    text.family(
        gauge(
            "lvsd_server_connections",
            "Connections of a server: active ones, in a state like ESTABLISHED, and others.",
        ),
        connections,
    );
    text.family(
        gauge(
            "lvsd_server_persistence_templates",
            "Clients that persistence keeps on the server.",
        ),
        servers
            .iter()
            .map(|row| (&row.labels, None, row.thing.live().persistent())),
    );
    text.family(
        gauge(
            "lvsd_server_scheduled_weight",
            "Its weight in the scheduler's list, if it is there.",
        ),
        servers
            .iter()
            .map(|row| (&row.labels, None, row.thing.weight())),
    );
    text.family(
        gauge(
            "lvsd_server_overloaded",
            "Whether it gets no new connections since it has reached its upper threshold.",
        ),
        servers
            .iter()
            .map(|row| (&row.labels, None, row.thing.live().is_overloaded())),
    );
}

/// Connections, packets and bytes.
fn totals<T>(text: &mut Text, [conns, packets, bytes]: [Family; 3], rows: &[Row<'_, T>]) {
    text.family(
        conns,
        rows.iter().map(|row| (&row.labels, None, row.totals.conns)),
    );
    let both = |of: fn(&Totals) -> [u64; 2]| {
        rows.iter().flat_map(move |row| {
            let [n_in, n_out] = of(&row.totals);
            [("in", n_in), ("out", n_out)].map(|(d, n)| (&row.labels, Some(("direction", d)), n))
        })
    };
    text.family(packets, both(|t| [t.in_packets, t.out_packets]));
    text.family(bytes, both(|t| [t.in_bytes, t.out_bytes]));
}
