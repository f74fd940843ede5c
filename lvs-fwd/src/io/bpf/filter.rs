//! The socket filter: spares us the copies of packets we have nothing to do with.
//!
//! It accepts ARP requests and replies, neighbour solicitations, ICMP errors, and what is balanced (TCP, UDP, SCTP, AH,
//! ESP) to an address with a virtual service, to a local address of FullNAT, from a real server behind NAT, or with a
//! mark for which there is a service. But for marks the decision is by address, not by port, so that it lets fragments
//! through; it accepts whatever the [guard](super::guard) drops, but for what comes [back](super::returning).

use super::asm::{Asm, If, Reg::*, Size};
use super::guard::if_port_outside;
use super::roles::Maps;
use super::walk::{self, Ask};
use super::{BpfError, chain};
use crate::hidden::{LOCAL, OWN, REPLY, VIRTUAL};

/// Results of a socket filter: how many bytes of the packet are wanted.
pub const ACCEPT: i32 = -1;
/// See [`ACCEPT`].
pub const REJECT: i32 = 0;

const NEIGHBOUR_SOLICITATION: i32 = 135;

/// The program. `return_mark`, below 2^31, is that of packets that come back; `ip_at` is where the IP header begins: 14
/// on a packet socket, 0 in [`Program::test_run`](super::Program::test_run).
pub fn code(maps: Maps, return_mark: u32, ip_at: i32) -> Result<Vec<u64>, BpfError> {
    let mut asm = Asm::new();
    let a = &mut asm;
    let (accept, reject) = (a.label(), a.label());
    let (v6, icmp, icmpv6, transport) = (a.label(), a.label(), a.label(), a.label());

    let frame_at = ip_at.checked_sub(walk::BEHIND_ETHERNET);
    let stations = frame_at.filter(|at| *at >= 0).map(|at| (maps.roles, at));
    a.set(R6, R1);
    a.load(Size::W, R1, R6, walk::SKB_MARK);
    a.jump_if(R1, If::Equal, return_mark as i32, reject);
    walk::if_vlan(a, reject);
    a.set(R7, ip_at);
    a.load(Size::W, R1, R6, walk::SKB_PROTOCOL);
    a.jump_if(R1, If::Equal, walk::ETH_ARP, accept);
    a.jump_if(R1, If::Equal, walk::ETH_IPV6, v6);
    a.jump_if(R1, If::NotEqual, walk::ETH_IPV4, reject);
    walk::ipv4(a, reject);
    a.jump_if(R8, If::Equal, walk::ICMP, icmp);
    a.jump(transport);
    a.place(icmp);
    walk::if_not_for_host(a, stations, reject);
    // A later fragment may be of an error, so the addresses decide.
    let by_address = a.label();
    a.jump_if(R9, If::AnyBit, walk::OFFSET, by_address);
    walk::if_no_icmp_error(a, reject);
    a.jump(accept);

    a.place(v6);
    walk::ipv6(a, reject);
    a.jump_if(R8, If::Equal, walk::ICMPV6, icmpv6);
    a.jump(transport);
    a.place(icmpv6);
    walk::icmp_type(a, reject);
    a.jump_if(R1, If::Equal, NEIGHBOUR_SOLICITATION, accept);
    a.jump_if(R1, If::Greater, 127, reject);
    walk::if_not_for_host(a, stations, reject);
    a.jump(accept);

    a.place(transport);
    walk::if_not_balanced(a, reject);
    walk::if_not_for_host(a, stations, reject);
    a.place(by_address);
    walk::ports(a, reject);
    let (foreign, not_local, whole, by_mark) = (a.label(), a.label(), a.label(), a.label());
    walk::look_up(a, maps.roles, walk::DST, Ask::Address, foreign);
    a.jump_if(R1, If::AnyBit, VIRTUAL as i32, accept);
    a.jump_if(R9, If::Equal, 0, whole);
    a.jump_if(R1, If::AnyBit, LOCAL as i32, accept);
    a.place(whole);
    if_port_outside(a, walk::DPORT, not_local);
    a.jump_if(R1, If::AnyBit, LOCAL as i32, accept);
    a.place(not_local);
    a.jump_if(R1, If::AnyBit, OWN as i32, by_mark);
    a.place(foreign);
    walk::look_up(a, maps.roles, walk::SRC, Ask::Address, by_mark);
    a.jump_if(R1, If::AnyBit, REPLY as i32, accept);
    a.place(by_mark);
    chain::none(a);
    chain::walk(a, maps, accept);

    a.place(reject);
    a.exit_with(REJECT);
    a.place(accept);
    a.exit_with(ACCEPT);
    Ok(asm.finish()?)
}
