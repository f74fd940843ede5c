//! `vrrp_sync_group`.

use super::track::{NOTIFY, TRACKING};
use super::words::{BOOL, NAME, form, keyword, old};
use super::{Keyword, Table};

pub(super) const VRRP_SYNC_GROUP: Keyword =
    keyword("vrrp_sync_group", "Instances that change state together.")
        .takes(&[NAME])
        .block(&TABLE)
        .each()
        .old(&[old(
            "vrrp_rsync_group",
            "write `vrrp_sync_group`; keepalived does not know this slip of some tutorials",
        )]);

static TABLE: Table = Table {
    parts: &[GROUP, TRACKING, NOTIFY],
};

const GROUP: &[Keyword] = &[
    keyword("group", "The instances.").list(form(&[NAME])),
    keyword("smtp_alert", "Mails when the state changes.")
        .takes(&[BOOL])
        .default("`smtp_alert_vrrp`, or else `smtp_alert` of `global_defs`, or else off"),
    keyword(
        "notify_priority_changes",
        "Changes of priority are written to the pipe.",
    )
    .takes(&[BOOL])
    .default("`vrrp_notify_priority_changes` of `global_defs`"),
    keyword(
        "sync_group_tracking_weight",
        "Instances may track things with weights.",
    )
    .default("off: weights do not count")
    .old(&[old(
        "global_tracking",
        "write `sync_group_tracking_weight`, which means the same",
    )]),
];
