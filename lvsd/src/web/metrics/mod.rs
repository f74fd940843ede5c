//! The metrics.
//!
//! Names begin with `lvsd_`, and units are base units. A service is called as `lvsd adm -L` calls it (`TCP 192.0.2.1:80`), a group of
//! services in what concerns the group as a whole as logs call it (`[NAME]:0`); `lvsd_service_info` says what belongs to what.

mod data;
mod health;
mod table;
pub(super) mod vrrp;

use std::time::{SystemTime, UNIX_EPOCH};

use lvs_core::Director;

use super::load::Load;
use super::openmetrics::{Family, Kind, Labels, Text, counter, gauge};
use crate::health::label;
use crate::health::snapshot::Snapshot;
use crate::health::status::Configuration;
use crate::keepalived::model::{Head, VirtualServer};
use crate::vrrp::status::Status as Routers;

/// Everything that metrics are made of.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) director: &'a Director,
    pub(super) snapshot: &'a Snapshot,
    pub(super) configuration: &'a Configuration,
    pub(super) vrrp: &'a Routers,
    pub(super) load: &'a Load,
    /// When the daemon was.
    pub(super) started: SystemTime,
}

/// All metrics.
pub(super) fn text(scene: &Scene<'_>) -> String {
    let mut text = Text::default();
    daemon(&mut text, scene);
    data::write(&mut text, scene.load);
    table::write(&mut text, scene);
    health::write(&mut text, scene.snapshot);
    vrrp::write(&mut text, scene.vrrp);
    text.finish()
}

/// What a service is called.
pub(super) fn name(service: &VirtualServer) -> String {
    match (&service.head, service.keys.first()) {
        (Head::Group(..), _) | (_, None) => label::service(service),
        (_, Some(key)) => key.to_string(),
    }
}

fn daemon(text: &mut Text, scene: &Scene<'_>) {
    let build = Family {
        name: "lvsd_build",
        kind: Kind::Info,
        help: "The version of lvsd.",
    };
    let version = Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]);
    text.family(build, [(&version, None, 1_u64)]);
    let started = scene.started.duration_since(UNIX_EPOCH);
    text.single(
        gauge("lvsd_start_timestamp_seconds", "When lvsd was started."),
        started.map_or(0.0, |d| d.as_secs_f64()),
    );
    let configuration = scene.configuration;
    text.single(
        gauge(
            "lvsd_configuration_timestamp_seconds",
            "When the configuration in force was read.",
        ),
        configuration.read_at,
    );
    let none = Labels::default();
    text.family(
        counter(
            "lvsd_configuration_reloads",
            "Attempts to read the configuration anew, by whether it was taken.",
        ),
        [
            (&none, Some(("result", "taken")), configuration.reloads),
            (&none, Some(("result", "refused")), configuration.refusals),
        ],
    );
    text.single(
        gauge(
            "lvsd_configuration_refused",
            "Whether the last attempt was refused, so that the file is another than what is in force.",
        ),
        configuration.refused.is_some(),
    );
}
