//! VRRP, from the tree.
//!
//! keepalived mends combinations of keywords that contradict each other, and logs a line about it that few read. The same is mended here,
//! so that the model says what will happen, and each time it is reported what was written in vain.
//!
//! | module | builds |
//! |---|---|
//! | `common` | VRRP's part of `global_defs`, and what it says for all instances |
//! | `instance` | `vrrp_instance`: its keywords, with what holds for all |
//! | `transport` | whom an instance talks to, and on what kind of interface |
//! | `secrets` | `authentication`, `auth_hmac` |
//! | `correct` | what contradicts itself in an instance, and what comes of it |
//! | `groups` | `vrrp_sync_group`, `track_group` |
//! | `links` | blocks about interfaces |

mod common;
mod correct;
mod groups;
mod instance;
mod links;
mod secrets;
mod transport;

#[cfg(test)]
mod tests;

use super::tracking;
use super::{addresses, routing};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{At, Instance, Vrrp};
use crate::keepalived::place::Span;
use crate::keepalived::tree::Node;

/// All that `vrrp` does not have yet: the tracked objects are there already.
pub(in super::super) fn build(nodes: &[Node], vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    let (common, defaults) = common::build(nodes, found);
    vrrp.common = common;
    let mut built = Vec::new();
    for node in nodes.iter().filter(|n| n.is("vrrp_instance")) {
        let instance = instance::build(node, &defaults, vrrp, found);
        tracking::add(&mut built, instance, |i: &Instance| &i.name, node, found);
    }
    vrrp.instances = built;
    groups::sync_groups(nodes, &defaults, vrrp, found);
    correct::weights(vrrp, found);
    common::sync_daemon(nodes, vrrp, found);
    groups::track_groups(nodes, vrrp, found);
    links::build(nodes, vrrp, found);
    statics(nodes, vrrp, found);
    routing::place_rules(vrrp);
}

/// Static addresses, routes and rules.
fn statics(nodes: &[Node], vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    for node in nodes {
        for line in &node.items {
            match node.keyword.name {
                "static_ipaddress" => addresses::add(&mut vrrp.addresses, line, found),
                "static_routes" => vrrp.routes.extend(routing::route(line, None, found)),
                "static_rules" => vrrp.rules.extend(routing::rule(line, found)),
                _ => {}
            }
        }
    }
    for address in &mut vrrp.addresses {
        let default = || At::new(vrrp.common.default_interface.clone(), address.span.span);
        address.interface.get_or_insert_with(default);
    }
    let groups: Vec<&str> = vrrp
        .track_groups
        .iter()
        .map(|g| g.name.value.as_str())
        .collect();
    let named = vrrp.addresses.iter_mut().map(|a| &mut a.track_group);
    let named = named.chain(vrrp.routes.iter_mut().map(|r| &mut r.track_group));
    let named = named.chain(vrrp.rules.iter_mut().map(|r| &mut r.track_group));
    for name in named {
        if let Some(unknown) = name.take_if(|n| !groups.contains(&n.value.as_str())) {
            found.push(tracking::unknown(
                "track_group",
                &unknown.value,
                unknown.span,
                groups.iter().copied(),
            ));
        }
    }
}

/// Something that was written in vain: keepalived logs it, and goes on without.
fn in_vain(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(code, span, message)
}

/// The place of a keyword in a block, or of the block.
fn place(node: &Node, keyword: &str) -> Span {
    node.child(keyword).map_or(node.head.span, |n| n.span)
}

/// A small number behind a keyword.
fn byte(node: &Node, keyword: &str) -> Option<u8> {
    u8::try_from(node.child(keyword)?.int()?).ok()
}

/// A number behind a keyword.
fn number(node: &Node, keyword: &str) -> Option<u32> {
    u32::try_from(node.child(keyword)?.int()?).ok()
}
