//! The header walk all programs share, and their look-ups.
//!
//! Registers: `R6` the packet's context, `R7` where the walk has got to (bytes from the start of the
//! packet's data), `R8` the transport protocol, `R9` the fragment field (offset in units of eight bytes, and
//! [`MORE`]); zero for a whole packet. `R0`–`R5` are lost. The stack holds what the constants below say.

use super::asm::{Asm, If, Label, Op, Reg::*, Size};
use super::roles::{KEY_LEN, KEY_LEVEL, KEY_PORT, KEY_PROTOCOL};
use crate::hidden::{ANY_PORT, LINK, LINK_IFINDEX};

// struct __sk_buff.
pub(super) const SKB_PKT_TYPE: i16 = 4;
/// The mark a packet has in the kernel (`SO_MARK`); nothing to do with those of services.
pub(super) const SKB_MARK: i16 = 8;
pub(super) const SKB_IFINDEX: i16 = 40;
pub(super) const SKB_PROTOCOL: i16 = 16;
const SKB_VLAN_PRESENT: i16 = 20;
const SKB_VLAN_TCI: i16 = 24;

// linux/if_packet.h: to the interface's own address, and to another single one.
const HOST: i32 = 0;
const OTHER_HOST: i32 = 3;

/// Where the IP header begins for programs that see the Ethernet header.
pub(super) const BEHIND_ETHERNET: i32 = 14;

/// EtherTypes as a program finds them, in network order.
pub(super) const ETH_IPV4: i32 = 0x0800_u16.to_be() as i32;
pub(super) const ETH_ARP: i32 = 0x0806_u16.to_be() as i32;
pub(super) const ETH_IPV6: i32 = 0x86dd_u16.to_be() as i32;

pub(super) const ICMP: i32 = 1;
pub(super) const TCP: i32 = 6;
pub(super) const UDP: i32 = 17;
pub(super) const ESP: i32 = 50;
pub(super) const AH: i32 = 51;
pub(super) const ICMPV6: i32 = 58;
const SCTP: i32 = 132;

const HOP_BY_HOP: i32 = 0;
const FRAGMENT: i32 = 44;
const DESTINATION_OPTIONS: i32 = 60;
/// How many IPv6 extension headers are followed.
const MAX_EXTENSIONS: usize = 6;

/// In `R9`: the offset of a fragment; not zero in later ones.
pub(super) const OFFSET: i32 = 0x1fff;
/// In `R9`: more fragments follow.
const MORE: i32 = 0x2000;

// The stack, from the frame pointer. An IPv6 header's addresses lie where SRC and DST are.
const HEADER: i16 = -104;
/// Where the stack ends that the functions here use.
pub(super) const STACK: i16 = HEADER;
pub(super) const SRC: i16 = HEADER + 8;
pub(super) const DST: i16 = HEADER + 24;
/// Source and destination port, in network order.
pub(super) const SPORT: i16 = -64;
pub(super) const DPORT: i16 = -62;
/// A few bytes of a header being looked at.
pub(super) const PEEK: i16 = -56;
const KEY: i16 = -32;

pub(super) const CALL_MAP_LOOKUP: i32 = 1;
const CALL_LOAD_BYTES: i32 = 26;

/// Copies bytes of the packet, from `R7` on, to the stack. (Directly readable memory need not hold them.)
pub(super) fn load_bytes(a: &mut Asm, to: i16, len: i32, missing: Label) {
    a.set(R1, R6);
    a.set(R2, R7);
    a.set(R3, R10);
    a.alu(Op::Add, R3, i32::from(to));
    a.set(R4, len);
    a.call(CALL_LOAD_BYTES);
    a.jump_if(R0, If::NotEqual, 0, missing);
}

/// Jumps if the packet carries a VLAN tag with a number: it belongs to another interface. Tag 0 only has a
/// priority.
pub(super) fn if_vlan(a: &mut Asm, to: Label) {
    let untagged = a.label();
    a.load(Size::W, R1, R6, SKB_VLAN_PRESENT);
    a.jump_if(R1, If::Equal, 0, untagged);
    a.load(Size::W, R1, R6, SKB_VLAN_TCI);
    a.jump_if(R1, If::AnyBit, 0x0fff, to);
    a.place(untagged);
}

/// Jumps if the frame is not addressed to this host alone. `stations` is the map of roles, with further Ethernet addresses of
/// the host, and where the frame begins; `None` if the program does not see it.
pub(super) fn if_not_for_host(a: &mut Asm, stations: Option<(i32, i32)>, to: Label) {
    a.load(Size::W, R1, R6, SKB_PKT_TYPE);
    let Some((roles, frame_at)) = stations else {
        return a.jump_if(R1, If::NotEqual, HOST, to);
    };
    let ours = a.label();
    a.jump_if(R1, If::Equal, HOST, ours);
    a.jump_if(R1, If::NotEqual, OTHER_HOST, to);
    a.store(Size::D, R10, KEY, 0);
    a.store(Size::D, R10, KEY + 8, 0);
    a.store(Size::W, R10, KEY + KEY_PORT, 0);
    a.store(Size::B, R10, KEY + KEY_LEVEL, i32::from(LINK));
    a.set(R1, R6);
    a.set(R2, frame_at);
    a.set(R3, R10);
    a.alu(Op::Add, R3, i32::from(KEY));
    a.set(R4, 6);
    a.call(CALL_LOAD_BYTES);
    a.jump_if(R0, If::NotEqual, 0, to);
    a.load(Size::W, R1, R6, SKB_IFINDEX);
    a.store(Size::W, R10, KEY + LINK_IFINDEX as i16, R1);
    find(a, roles, to);
    a.place(ours);
}

/// Walks over the IPv4 header at `R7`. The addresses are stored as `::ffff:a.b.c.d`.
pub(super) fn ipv4(a: &mut Asm, malformed: Label) {
    load_bytes(a, HEADER, 20, malformed);
    a.load(Size::B, R1, R10, HEADER);
    a.alu(Op::And, R1, 0x0f);
    a.jump_if(R1, If::Less, 5, malformed);
    a.alu(Op::ShiftLeft, R1, 2);
    a.alu(Op::Add, R7, R1);
    a.load(Size::H, R9, R10, HEADER + 6);
    a.swap_be(R9, 16);
    a.alu(Op::And, R9, OFFSET | MORE);
    a.load(Size::B, R8, R10, HEADER + 9);
    a.load(Size::W, R1, R10, HEADER + 12);
    a.load(Size::W, R2, R10, HEADER + 16);
    for (to, word) in [(SRC, R1), (DST, R2)] {
        a.store(Size::D, R10, to, 0);
        a.store(Size::W, R10, to + 8, 0xffff_u32.to_be() as i32);
        a.store(Size::W, R10, to + 12, word);
    }
}

/// Walks over the IPv6 header at `R7` and the extension headers behind it, up to a later fragment.
pub(super) fn ipv6(a: &mut Asm, malformed: Label) {
    load_bytes(a, HEADER, 40, malformed);
    a.load(Size::B, R8, R10, HEADER + 6);
    a.alu(Op::Add, R7, 40);
    a.set(R9, 0);
    let done = a.label();
    for _ in 0..MAX_EXTENSIONS {
        let (options, fragment, next) = (a.label(), a.label(), a.label());
        let authentication = a.label();
        a.jump_if(R8, If::Equal, FRAGMENT, fragment);
        a.jump_if(R8, If::Equal, AH, authentication);
        a.jump_if(R8, If::Equal, HOP_BY_HOP, options);
        a.jump_if(R8, If::NotEqual, DESTINATION_OPTIONS, done);

        a.place(options);
        load_bytes(a, PEEK, 2, malformed);
        a.load(Size::B, R8, R10, PEEK);
        a.load(Size::B, R1, R10, PEEK + 1);
        a.alu(Op::Add, R1, 1);
        a.alu(Op::ShiftLeft, R1, 3);
        a.alu(Op::Add, R7, R1);
        a.jump(next);

        // Counted in words of four bytes, less two.
        a.place(authentication);
        load_bytes(a, PEEK, 2, malformed);
        a.load(Size::B, R8, R10, PEEK);
        a.load(Size::B, R1, R10, PEEK + 1);
        a.alu(Op::Add, R1, 2);
        a.alu(Op::ShiftLeft, R1, 2);
        a.alu(Op::Add, R7, R1);
        a.jump(next);

        a.place(fragment);
        load_bytes(a, PEEK, 8, malformed);
        a.load(Size::B, R8, R10, PEEK);
        a.load(Size::H, R1, R10, PEEK + 2);
        a.swap_be(R1, 16);
        a.set(R9, R1);
        a.alu(Op::ShiftRight, R9, 3);
        a.alu(Op::And, R1, 1);
        a.alu(Op::ShiftLeft, R1, MORE.trailing_zeros() as i32);
        a.alu(Op::Or, R9, R1);
        a.alu(Op::Add, R7, 8);
        a.jump_if(R9, If::AnyBit, OFFSET, done);
        a.place(next);
    }
    a.place(done);
}

/// Jumps unless the transport protocol is one that is balanced.
pub(super) fn if_not_balanced(a: &mut Asm, to: Label) {
    let balanced = a.label();
    for protocol in [TCP, UDP, ESP, AH] {
        a.jump_if(R8, If::Equal, protocol, balanced);
    }
    a.jump_if(R8, If::NotEqual, SCTP, to);
    a.place(balanced);
}

/// Jumps if the transport protocol has no ports.
pub(super) fn if_without_ports(a: &mut Asm, to: Label) {
    a.jump_if(R8, If::Equal, ESP, to);
    a.jump_if(R8, If::Equal, AH, to);
}

/// Stores the ports of the transport header at `R7`; 0 and 0 for protocols without ports and later fragments.
pub(super) fn ports(a: &mut Asm, missing: Label) {
    let none = a.label();
    a.store(Size::W, R10, SPORT, 0);
    if_without_ports(a, none);
    a.jump_if(R9, If::AnyBit, OFFSET, none);
    load_bytes(a, SPORT, 4, missing);
    a.place(none);
}

/// Makes the source the destination and the other way round.
pub(super) fn swap_ends(a: &mut Asm) {
    for i in [0, 8] {
        a.load(Size::D, R1, R10, SRC + i);
        a.load(Size::D, R2, R10, DST + i);
        a.store(Size::D, R10, SRC + i, R2);
        a.store(Size::D, R10, DST + i, R1);
    }
    a.load(Size::H, R1, R10, SPORT);
    a.load(Size::H, R2, R10, DPORT);
    a.store(Size::H, R10, SPORT, R2);
    a.store(Size::H, R10, DPORT, R1);
}

/// Jumps if the ICMP message at `R7` (type in `R1` afterwards) reports no error about a quoted packet:
/// RFC 792's destination unreachable, source quench, time exceeded and parameter problem.
pub(super) fn if_no_icmp_error(a: &mut Asm, to: Label) {
    let error = a.label();
    icmp_type(a, to);
    for kind in [3, 4, 11] {
        a.jump_if(R1, If::Equal, kind, error);
    }
    a.jump_if(R1, If::NotEqual, 12, to);
    a.place(error);
}

/// Loads the type of the ICMP or ICMPv6 message at `R7` to `R1`; a later fragment has none.
pub(super) fn icmp_type(a: &mut Asm, missing: Label) {
    a.jump_if(R9, If::AnyBit, OFFSET, missing);
    load_bytes(a, PEEK, 1, missing);
    a.load(Size::B, R1, R10, PEEK);
}

/// What is asked of the map about an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    /// With the port that lies there and the protocol.
    Port(i16),
    /// With the protocol only.
    Protocol,
    /// The address alone.
    Address,
}

/// Looks up the address that lies at `addr` in the map of roles. Afterwards `R0` is the role's address and `R1` its
/// flags; jumps if there is none.
pub(super) fn look_up(a: &mut Asm, map: i32, addr: i16, ask: Ask, missing: Label) {
    for i in [0, 8] {
        a.load(Size::D, R1, R10, addr + i);
        a.store(Size::D, R10, KEY + i, R1);
    }
    a.store(Size::W, R10, KEY + KEY_PORT, 0);
    if let Ask::Port(port) = ask {
        a.load(Size::H, R1, R10, port);
        a.store(Size::H, R10, KEY + KEY_PORT, R1);
    }
    if !matches!(ask, Ask::Address) {
        a.store(Size::B, R10, KEY + KEY_PROTOCOL, R8);
    }
    if let Ask::Protocol = ask {
        a.store(Size::B, R10, KEY + KEY_LEVEL, i32::from(ANY_PORT));
    }
    find(a, map, missing);
    a.load(Size::W, R1, R0, 0);
}

/// Looks up the key that lies on the stack; jumps if there is no such entry.
fn find(a: &mut Asm, map: i32, missing: Label) {
    a.load_map(R1, map);
    a.set(R2, R10);
    a.alu(Op::Add, R2, i32::from(KEY));
    a.call(CALL_MAP_LOOKUP);
    a.jump_if(R0, If::Equal, 0, missing);
}

const _: () = assert!(KEY as i32 + KEY_LEN as i32 <= 0 && KEY % 8 == 0);
const _: () = assert!(DST + 16 <= SPORT && SRC % 8 == 0 && DST % 8 == 0);
