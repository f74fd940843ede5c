//! What a virtual router's own interface (VMAC) must not send by itself.
//!
//! Problem: as soon as it is up, the kernel announces the groups that it listens to, and asks for routers, from the virtual MAC
//! address. Where the router is a backup, switches then take the address to be here, and send the master's packets here.
//!
//! Rule, keepalived's: announcements of groups (IGMP, MLD) go out on the interface below, so that switches know which groups are
//! wanted here; questions for routers go out nowhere. Neighbour solicitations that look for duplicates are not sent: addresses
//! are added without.

use std::collections::BTreeMap;

use lvs_vrrp::io::netlink::Request;

use super::expression::{
    Field, Operation, REGISTER_1, REGISTER_2, Verdict, compare, duplicate, immediate, meta, payload,
};
use super::nfnetlink::{Attributes, Protocol};
use super::table::{Hook, Table, interface_key, is_icmpv6};

/// Interfaces (VMACs) by name, each with the number of the one below.
pub(crate) type Vmacs = BTreeMap<String, u32>;

impl Table {
    /// Makes the table, with a few rules for each VMAC.
    pub(super) fn create_for_vmacs(
        &self,
        protocol: Protocol,
        owned: bool,
        vmacs: &Vmacs,
    ) -> Vec<Request> {
        let mut messages = vec![
            self.make(protocol, owned),
            self.chain(protocol, Hook::Output),
        ];
        for (vmac, &below) in vmacs {
            let mut drop = |what: Vec<Attributes>, moved: bool| {
                let mut rule = leaves_by(vmac);
                rule.extend(what);
                if moved {
                    rule.extend(goes_out_by(protocol, below));
                }
                messages.push(self.rule(protocol, Hook::Output, rule, Verdict::Drop));
            };
            match protocol {
                Protocol::Ip => drop(is_igmp(), true),
                Protocol::Ip6 => {
                    drop(is_icmpv6(143, 143), true);
                    // The first version's reports, and that a group is no longer wanted.
                    drop(is_icmpv6(131, 132), true);
                    drop(is_icmpv6(133, 133), false);
                }
            }
        }
        messages
    }
}

fn leaves_by(interface: &str) -> Vec<Attributes> {
    vec![
        meta(Hook::Output.interface(), REGISTER_1),
        compare(Operation::Equal, &interface_key(interface)),
    ]
}

fn is_igmp() -> Vec<Attributes> {
    const PROTOCOL: Field = Field::network(9, 1);
    const IGMP: u8 = 2;
    vec![payload(PROTOCOL), compare(Operation::Equal, &[IGMP])]
}

/// Sends the packet out on another interface.
fn goes_out_by(protocol: Protocol, ifindex: u32) -> Vec<Attributes> {
    let destination = match protocol {
        Protocol::Ip => Field::network(16, 4),
        Protocol::Ip6 => Field::network(24, 16),
    };
    vec![
        payload(destination),
        immediate(REGISTER_2, &ifindex.to_ne_bytes()),
        duplicate(REGISTER_1, REGISTER_2),
    ]
}
