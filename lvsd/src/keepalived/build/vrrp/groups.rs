//! `vrrp_sync_group` and `track_group`: names of instances, looked up.

use super::common::Defaults;
use super::instance::notify;
use crate::keepalived::build::tracking::{self, add, missing, name, unknown};
use crate::keepalived::diagnostic::{Diagnostic, Severity};
use crate::keepalived::model::{At, SyncGroup, TrackGroup, Vrrp};
use crate::keepalived::tree::Node;

/// The instances that a block's `group` names, without those that do not exist.
fn members(node: &Node, vrrp: &Vrrp, found: &mut Vec<Diagnostic>) -> Vec<At<String>> {
    let mut members: Vec<At<String>> = Vec::new();
    let words = node
        .children("group")
        .flat_map(|n| &n.items)
        .flat_map(|line| &line.args);
    for arg in words.filter(|a| a.text().is_some()) {
        let name = arg.text().unwrap_or_default();
        if let Some(first) = members.iter().find(|m| m.value == name) {
            let twice = super::in_vain(
                "member-twice",
                arg.span,
                format!("`{name}` is named already"),
            );
            found.push(twice.also(first.span, "first here"));
        } else if vrrp.instance(name).is_none() {
            let all = vrrp.instances.iter().map(|i| i.name.value.as_str());
            let mut gone = unknown("vrrp_instance", name, arg.span, all);
            // The others are a group without it.
            gone.severity = Severity::Warning;
            gone.code = "unknown-member";
            found.push(gone);
        } else {
            members.push(At::new(name.to_owned(), arg.span));
        }
    }
    members
}

pub(super) fn sync_groups(
    nodes: &[Node],
    defaults: &Defaults,
    vrrp: &mut Vrrp,
    found: &mut Vec<Diagnostic>,
) {
    for node in nodes.iter().filter(|n| n.is("vrrp_sync_group")) {
        // Of one whose name is taken, only that is said.
        let taken =
            name(node).and_then(|name| vrrp.groups.iter().find(|g| g.name == name).cloned());
        let group = match taken {
            Some(first) => Some(SyncGroup {
                name: name(node).unwrap_or_else(|| first.name.clone()),
                ..first
            }),
            None => sync_group(node, defaults, vrrp, found),
        };
        add(&mut vrrp.groups, group, |g| &g.name, node, found);
    }
    inherit(nodes, vrrp);
}

/// Priority changes are told as the group says, where the instance says nothing.
fn inherit(nodes: &[Node], vrrp: &mut Vrrp) {
    for node in nodes.iter().filter(|n| n.is("vrrp_sync_group")) {
        let Some(told) = node.flag("notify_priority_changes") else {
            continue;
        };
        let Some(name) = name(node) else { continue };
        let Some(group) = vrrp.groups.iter().find(|g| g.name == name) else {
            continue;
        };
        for instance in &mut vrrp.instances {
            let own = nodes.iter().filter(|n| n.is("vrrp_instance"));
            let own = own.filter(|n| tracking::name(n).is_some_and(|n| n == instance.name));
            let says = own
                .into_iter()
                .any(|n| n.child("notify_priority_changes").is_some());
            if !says && group.members.contains(&instance.name) {
                instance.notify_priority = told;
            }
        }
    }
}

fn sync_group(
    node: &Node,
    defaults: &Defaults,
    vrrp: &Vrrp,
    found: &mut Vec<Diagnostic>,
) -> Option<SyncGroup> {
    let name = name(node)?;
    let mut members = members(node, vrrp, found);
    for group in &vrrp.groups {
        members.retain(|member| match group.members.iter().find(|m| *m == member) {
            Some(first) => {
                let message = format!(
                    "`{}` is in the group `{}` already",
                    member.value, group.name.value
                );
                let twice =
                    Diagnostic::error("instance-in-two-groups", member.span, message).tolerated();
                found.push(
                    twice
                        .also(first.span, "first here")
                        .help("one group is all that an instance can follow"),
                );
                false
            }
            None => true,
        });
    }
    if members.is_empty() {
        let named = node.children("group").any(|n| !n.items.is_empty());
        if !named {
            found.extend(missing(node, "group", " of instances").map(Diagnostic::tolerated));
        }
        return None;
    }
    Some(SyncGroup {
        name,
        members,
        tracking: tracking::tracking(node, vrrp, found),
        weights: node.flag("sync_group_tracking_weight").unwrap_or(false),
        notify: notify(node),
        notify_priority: node
            .flag("notify_priority_changes")
            .unwrap_or(defaults.notify_priority),
        mails: node.flag("smtp_alert").unwrap_or(defaults.mails),
        span: At::new((), node.head.span),
    })
}

pub(super) fn track_groups(nodes: &[Node], vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    for node in nodes.iter().filter(|n| n.is("track_group")) {
        let Some(name) = name(node) else { continue };
        let members = members(node, vrrp, found);
        let group = TrackGroup {
            name,
            members,
            span: At::new((), node.head.span),
        };
        add(
            &mut vrrp.track_groups,
            Some(group),
            |g| &g.name,
            node,
            found,
        );
    }
}
