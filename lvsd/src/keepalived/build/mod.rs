//! The model, from the tree.
//!
//! Each part reports what cannot be as it is written: what is missing, what names nothing, what contradicts itself. What is left
//! out of the model is always reported, so a model without errors is all that the file says.
//!
//! | module | builds |
//! |---|---|
//! | `global` | `global_defs` |
//! | `service` | `virtual_server`, `virtual_server_group` |
//! | `server` | `real_server`, `sorry_server`: addresses and methods |
//! | `checker` | checks |
//! | `vrrp` and the others | VRRP, and what it watches |

mod addresses;
mod checker;
mod global;
mod routing;
mod server;
mod service;
mod tracking;
mod vrrp;

#[cfg(test)]
mod tests;

use super::diagnostic::Diagnostic;
use super::host::Host;
use super::model::{Config, Vrrp};
use super::tree::Node;

/// Makes the model, and finds what is wrong on the way.
pub fn build(nodes: &[Node], host: &dyn Host) -> (Config, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut vrrp = Vrrp::default();
    tracking::objects(nodes, &mut vrrp, &mut found);
    vrrp::build(nodes, &mut vrrp, &mut found);
    let (global, defaults) = global::build(nodes, &mut found);
    let around = checker::Around {
        host,
        global: &global,
        defaults,
        vrrp: &vrrp,
        ssl: nodes.iter().rev().find(|node| node.is("SSL")),
    };
    let services = service::all(nodes, around, &mut found);
    let config = Config {
        global,
        services,
        vrrp,
    };
    (config, found)
}
