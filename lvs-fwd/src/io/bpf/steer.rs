//! The steering program: which worker gets a packet.
//!
//! Both directions of a connection must meet the worker whose shards hold it. That follows from the
//! client's endpoint, [as in `lvs_core::steer`](lvs_core::steer): the source of a packet to a virtual service, the
//! destination of a reply. A reply to a local address of FullNAT names its shard by the local port. The
//! worker is the shard modulo the number of workers.
//!
//! Fragments, the first ones too, are steered by the client's address alone (port 0), so that a datagram's
//! fragments meet; ones to a local address by the real server's. AH and ESP have the ports of the ISAKMP connection that
//! they follow. Everything else (ARP, ICMP) goes to worker 0.

use super::asm::{Asm, If, Op, Reg::*, Size};
use super::guard::if_port_outside;
use super::roles::Maps;
use super::walk::{self, Ask};
use super::{BpfError, chain};
use crate::hidden::{LOCAL, VIRTUAL};

/// The program. `shards` is a power of two, and both
/// numbers are at least 1.
///
/// A fan-out group's program sees packets from the IP header on.
pub fn code(maps: Maps, shards: u32, workers: u32) -> Result<Vec<u64>, BpfError> {
    let mut asm = Asm::new();
    let a = &mut asm;
    let (v6, transport, first) = (a.label(), a.label(), a.label());
    let (to_client, from_client) = (a.label(), a.label());

    a.set(R6, R1);
    a.set(R7, 0);
    a.load(Size::W, R1, R6, walk::SKB_PROTOCOL);
    a.jump_if(R1, If::Equal, walk::ETH_IPV6, v6);
    a.jump_if(R1, If::NotEqual, walk::ETH_IPV4, first);
    walk::ipv4(a, first);
    a.jump(transport);
    a.place(v6);
    walk::ipv6(a, first);

    a.place(transport);
    walk::if_not_balanced(a, first);
    walk::ports(a, first);
    let (local, range, by_mark) = (a.label(), a.label(), a.label());
    walk::look_up(a, maps.roles, walk::DST, Ask::Address, by_mark);
    a.jump_if(R1, If::AnyBit, VIRTUAL as i32, from_client);
    a.jump_if(R1, If::AnyBit, LOCAL as i32, local);
    a.jump(by_mark);
    a.place(local);
    a.jump_if(R9, If::NotEqual, 0, from_client);
    if_port_outside(a, walk::DPORT, by_mark);
    a.jump(range);
    a.place(by_mark);
    chain::none(a);
    chain::walk(a, maps, from_client);
    a.jump(to_client);
    a.place(range);
    a.set(R0, R2);
    worker_of_shard(a, shards, workers);

    a.place(from_client);
    ports_of_connection(a);
    client_shard(a, walk::SRC, walk::SPORT);
    worker_of_shard(a, shards, workers);
    a.place(to_client);
    ports_of_connection(a);
    client_shard(a, walk::DST, walk::DPORT);
    worker_of_shard(a, shards, workers);
    a.place(first);
    a.exit_with(0);
    Ok(asm.finish()?)
}

/// Forgets the ports of first fragments, since later ones have none; gives AH and ESP those of ISAKMP.
fn ports_of_connection(a: &mut Asm) {
    const ISAKMP: u16 = 500u16.to_be();
    let (ipsec, done) = (a.label(), a.label());
    walk::if_without_ports(a, ipsec);
    a.jump_if(R9, If::Equal, 0, done);
    a.store(Size::W, R10, walk::SPORT, 0);
    a.jump(done);
    a.place(ipsec);
    a.store(Size::H, R10, walk::SPORT, i32::from(ISAKMP));
    a.store(Size::H, R10, walk::DPORT, i32::from(ISAKMP));
    a.place(done);
}

/// Ends with the worker of the shard in `R0` (of which only the low bits count).
fn worker_of_shard(a: &mut Asm, shards: u32, workers: u32) {
    a.alu32(Op::And, R0, shards.wrapping_sub(1) as i32);
    a.alu32(Op::Mod, R0, workers.max(1) as i32);
    a.exit();
}

/// `R0` = [`lvs_core::steer::client_shard`] before its low bits are taken.
fn client_shard(a: &mut Asm, addr: i16, port: i16) {
    // The address folded: exclusive or of its words; of ::ffff:a.b.c.d that is a.b.c.d ^ ffff.
    a.load(Size::W, R0, R10, addr);
    for word in [4, 8, 12] {
        a.load(Size::W, R1, R10, addr + word);
        a.alu32(Op::Xor, R0, R1);
    }
    a.swap_be(R0, 32);
    let v6 = a.label();
    a.load(Size::W, R1, R6, walk::SKB_PROTOCOL);
    a.jump_if(R1, If::Equal, walk::ETH_IPV6, v6);
    a.alu32(Op::Xor, R0, 0xffff);
    a.place(v6);
    a.load(Size::H, R1, R10, port);
    a.swap_be(R1, 16);
    a.alu32(Op::Mul, R1, 0x9e37_79b1_u32 as i32);
    a.alu32(Op::Xor, R0, R1);
    a.alu32(Op::Mul, R0, 0x85eb_ca6b_u32 as i32);
    a.alu32(Op::ShiftRight, R0, 16);
}
