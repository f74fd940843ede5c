//! What VRRP watches, and what priorities come to.
//!
//! A tracked object with a weight moves the priority, and nobody sees from the file what it comes to. So the sums are done here: the
//! effective priority (from 1 to 254) with everything good, and with one object bad.

use super::{Lint, Scene};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{At, Bfd, Instance, Preempt, TrackFile, Tracked, Tracking, Vrrp};

pub(super) const LINTS: &[Lint] = &[
    Lint::warning(
        "weight-without-effect",
        weight_without_effect,
        "While a tracked object is bad, the priority is the same as while it is good, because priorities end at 1 and 254.",
    ),
    Lint::warning(
        "weight-with-nopreempt",
        weight_with_nopreempt,
        "A tracked object lowers the priority, but with nopreempt no router takes over from a master of lower priority.",
    ),
    Lint::warning(
        "tracker-unused",
        tracker_unused,
        "A script, file, process or BFD session is defined, and nothing tracks it.",
    ),
    Lint::warning(
        "bfd-twice",
        bfd_twice,
        "Two BFD sessions are with the same neighbour, who can tell them apart no more than we can.",
    ),
    Lint::warning(
        "link-delay-too-long",
        link_delay_too_long,
        "An interface would count as down only after the other routers have taken over.",
    ),
];

/// What an instance watches, its group's included, but files, whose numbers nobody knows.
fn weighted<'a>(vrrp: &'a Vrrp, instance: &'a Instance) -> Vec<(&'static str, &'a Tracked)> {
    let group = vrrp.group_of(&instance.name.value).map(|g| &g.tracking);
    let all = [Some(&instance.tracking), group];
    let all = all.into_iter().flatten().flat_map(Tracking::all);
    all.filter(|(kind, t)| *kind != "file" && t.weight.value != 0)
        .collect()
}

fn effective(priority: u8, contributions: i64) -> i64 {
    (i64::from(priority) + contributions).clamp(1, 254)
}

fn weight_without_effect(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    for instance in vrrp.instances.iter().filter(|i| !i.is_owner()) {
        let tracked = weighted(vrrp, instance);
        let sum: i64 = tracked
            .iter()
            .map(|(_, t)| i64::from(t.weight.contribution(true)))
            .sum();
        let priority = instance.priority.value;
        let good = effective(priority, sum);
        for (kind, one) in &tracked {
            let change = i64::from(one.weight.contribution(false))
                - i64::from(one.weight.contribution(true));
            let bad = effective(priority, sum + change);
            if bad == good {
                let total = i64::from(priority) + sum;
                let message = format!(
                    "`{}` has priority {good} whether the {kind} `{}` is good or bad ({total} counts as {good})",
                    instance.name.value, one.name.value
                );
                let found = s
                    .found(one.name.span, message)
                    .also(instance.priority.span, "the priority");
                let help = match total > 254 {
                    true => format!(
                        "lower the priority to at most {}",
                        i64::from(priority) - (total - 254)
                    ),
                    false => "raise the priority".to_owned(),
                };
                out.push(found.help(help));
            }
        }
    }
}

fn weight_with_nopreempt(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    for instance in vrrp
        .instances
        .iter()
        .filter(|i| i.preempt == Preempt::Never)
    {
        if let Some((kind, first)) = weighted(vrrp, instance).first() {
            let message = format!(
                "the {kind} `{}` moves the priority of `{}`, but with `nopreempt` a lower priority never makes a master give way",
                first.name.value, instance.name.value
            );
            let found = s
                .found(first.name.span, message)
                .also(instance.span.span, "`nopreempt` in this instance");
            out.push(
                found.help("remove the weight, so that failure is a fault, or remove `nopreempt`"),
            );
        }
    }
}

fn tracker_unused(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    let trackings = vrrp
        .instances
        .iter()
        .map(|i| &i.tracking)
        .chain(vrrp.groups.iter().map(|g| &g.tracking));
    let trackings: Vec<&Tracking> = trackings.collect();
    let tracks = |kind: &str, name: &At<String>| {
        let mut all = trackings.iter().flat_map(|t| t.all());
        let mut ignored = trackings.iter().flat_map(|t| &t.ignored);
        all.any(|(k, t)| k == kind && t.name == *name) || ignored.any(|t| t.name == *name)
    };
    let mut unused: Vec<(&'static str, &At<String>, &'static str)> = Vec::new();
    unused.extend(
        vrrp.scripts
            .iter()
            .filter(|x| !tracks("script", &x.name))
            .map(|x| ("script", &x.name, "track_script")),
    );
    unused.extend(
        vrrp.processes
            .iter()
            .filter(|x| !tracks("process", &x.name))
            .map(|x| ("process", &x.name, "track_process")),
    );
    let files = vrrp
        .files
        .iter()
        .filter(|x| !tracks("file", &x.name) && !is_checked(s, x));
    unused.extend(files.map(|x| ("file", &x.name, "track_file")));
    let bfd = vrrp
        .bfd
        .iter()
        .filter(|x: &&Bfd| x.vrrp && !x.checker && !tracks("bfd", &x.name));
    unused.extend(bfd.map(|x| ("BFD session", &x.name, "track_bfd")));
    for (kind, name, block) in unused {
        let found = s.found(
            name.span,
            format!("nothing tracks the {kind} `{}`", name.value),
        );
        out.push(found.help(format!("name it in a `{block}` block, or remove it")));
    }
}

/// Whether a `FILE_CHECK` looks at a file.
fn is_checked(s: &Scene<'_>, file: &TrackFile) -> bool {
    let mut checks = s
        .services()
        .flat_map(|v| &v.servers)
        .flat_map(|r| &r.checks);
    checks
        .any(|c| matches!(&c.check.kind, lvs_health::Kind::File(check) if check.path == file.path))
}

fn bfd_twice(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let all = &s.config.vrrp.bfd;
    for (nr, one) in all.iter().enumerate() {
        let twin = all[..nr]
            .iter()
            .find(|b| b.neighbour == one.neighbour && b.source == one.source);
        if let Some(twin) = twin {
            let message = format!(
                "`{}` has the neighbour {} that `{}` has",
                one.name.value, one.neighbour.value, twin.name.value
            );
            let found = s
                .found(one.neighbour.span, message)
                .also(twin.neighbour.span, "first here");
            out.push(found.help("track the one session wherever it is needed"));
        }
    }
}

fn link_delay_too_long(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    for delay in &vrrp.link_delays {
        for instance in &vrrp.instances {
            if instance.interface.as_ref() != Some(&delay.interface) {
                continue;
            }
            let interval = instance.interval.value;
            let limit = interval * instance.missing.saturating_sub(1);
            let limit = limit.saturating_sub(interval / 256);
            let down = delay.down.value;
            if down >= limit && !down.is_zero() {
                let message = format!(
                    "`{}` may be down for {} s before that counts; others take over from `{}` after {:.3} s",
                    delay.interface.value,
                    down.as_secs_f64(),
                    instance.name.value,
                    limit.as_secs_f64()
                );
                let found = s
                    .found(delay.down.span, message)
                    .also(instance.interval.span, "the instance's interval");
                out.push(found.help(format!(
                    "write less than {:.3}; keepalived shortens it to that without a word",
                    limit.as_secs_f64()
                )));
                break;
            }
        }
    }
}
