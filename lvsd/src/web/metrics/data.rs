//! Frames, and the threads that forward them.

use lvs_core::{DropReason, PassReason};
use lvs_fwd::counters::Counts;

use super::super::load::Load;
use super::super::openmetrics::{Labels, Text, counter};

/// What became of frames, and how busy that keeps whom.
pub(super) fn write(text: &mut Text, load: &Load) {
    workers(text, load);
    interfaces(text, load);
    let mut counts = Counts::default();
    load.workers.iter().for_each(|w| counts += &w.counts);
    frames(text, &counts);
}

fn workers(text: &mut Text, load: &Load) {
    let labels: Vec<Labels> = (0..load.workers.len())
        .map(|n| Labels::new(&[("worker", &n.to_string())]))
        .collect();
    let workers = || labels.iter().zip(&load.workers);
    text.family(
        counter(
            "lvsd_worker_frames",
            "Frames received by a thread that forwards.",
        ),
        workers().map(|(l, w)| (l, None, w.counts.received)),
    );
    text.family(
        counter(
            "lvsd_worker_bursts",
            "Times that the thread found frames, up to 32 at once.",
        ),
        workers().map(|(l, w)| (l, None, w.bursts)),
    );
    text.family(
        counter(
            "lvsd_worker_busy_seconds",
            "How long the thread was not asleep: its rate is the share of time it was busy.",
        ),
        workers().map(|(l, w)| (l, None, w.busy.as_secs_f64())),
    );
}

fn interfaces(text: &mut Text, load: &Load) {
    let labels: Vec<Labels> = load
        .interfaces
        .iter()
        .map(|i| Labels::new(&[("interface", &i.name)]))
        .collect();
    let interfaces = || labels.iter().zip(&load.interfaces);
    text.family(
        counter(
            "lvsd_interface_frames",
            "Frames that an interface gave to lvsd.",
        ),
        interfaces().map(|(l, i)| (l, None, i.received)),
    );
    text.family(
        counter(
            "lvsd_interface_lost_frames",
            "Frames lost before lvsd saw them, since it was busy with others.",
        ),
        interfaces().map(|(l, i)| (l, None, i.lost)),
    );
}

fn frames(text: &mut Text, counts: &Counts) {
    let none = Labels::default();
    let by = |name, values: Vec<(&'static str, u64)>| {
        let none = &none;
        values
            .into_iter()
            .map(move |(value, n)| (none, Some((name, value)), n))
    };
    text.family(
        counter(
            "lvsd_forwarded_packets",
            "Packets forwarded, in to servers or out to clients.",
        ),
        by(
            "direction",
            vec![("in", counts.forwarded_in), ("out", counts.forwarded_out)],
        ),
    );
    text.single(
        counter("lvsd_sent_frames", "Frames handed to the network."),
        counts.sent,
    );
    text.family(
        counter("lvsd_dropped_packets", "Packets dropped, by the reason."),
        by(
            "reason",
            DropReason::ALL
                .iter()
                .map(|r| (r.name(), counts.dropped(*r)))
                .collect(),
        ),
    );
    text.family(
        counter(
            "lvsd_passed_packets",
            "Packets left to the host, by the reason.",
        ),
        by(
            "reason",
            PassReason::ALL
                .iter()
                .map(|r| (r.name(), counts.passed(*r)))
                .collect(),
        ),
    );
    text.single(
        counter(
            "lvsd_given_back_packets",
            "Packets given back to the host, from which they had been hidden: left to it, or forwarded to it as a real server.",
        ),
        counts.given_back,
    );
    text.family(
        counter("lvsd_answers", "Packets that lvsd answered itself, by how."),
        by(
            "kind",
            vec![
                ("neighbour", counts.arp_answered),
                ("icmp-error", counts.icmp_sent),
                ("reset", counts.resets_sent),
            ],
        ),
    );
    text.single(
        counter(
            "lvsd_withheld_answers",
            "Errors and resets not sent because too many had been sent already.",
        ),
        counts.answers_limited,
    );
    text.family(
        counter(
            "lvsd_waited_packets",
            "Packets that had to wait, by what for.",
        ),
        by(
            "reason",
            vec![("next-hop", counts.parked), ("first-fragment", counts.held)],
        ),
    );
}
