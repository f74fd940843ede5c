//! The walk along a chain of rules: has the packet a mark for which there is a service?
//!
//! As [`crate::classify::table`] does it: of the rules of the packet's chain that match, the one with the lowest
//! place decides. For a later fragment, whose ports are not known, any rule will do that would hide it.
//!
//! This is a loop, and the kernel's verifier follows every way through it. A branch in its body would double
//! the number of ways with each rule; so what differs is gathered in a register, and taken over by masks.

use lvs_core::Family;

use super::asm::{Asm, If, Label, Op, Reg, Reg::*, Size};
use super::roles::{Maps, ROLE_CHAIN, rule};
use super::walk::{self, CALL_MAP_LOOKUP, DPORT, DST, SKB_IFINDEX, SKB_PROTOCOL, SPORT, SRC};
use crate::hidden::mark_of;

/// How many rules are looked at. A packet with a longer chain is hidden: if it is not ours after all, the host gets
/// it back.
pub(super) const MAX_RULES: i32 = 256;

// The stack below that of `walk`.
const PREFIX: i16 = -128;
/// The number of a rule.
const NUMBER: i16 = -136;
/// `R7` and `R9`, which are needed for other things meanwhile.
const SAVED: i16 = -152;
/// What the best rule so far says.
const VERDICT: i16 = -160;
// What rules are compared with, eight bytes each.
const INTERFACE: i16 = -168;
/// The bit that stands for the packet's family.
const FAMILY: i16 = -176;
/// 1 for a protocol without ports.
const PORTLESS: i16 = -184;
/// 1 for a later fragment.
const LATER: i16 = -192;
/// The ports in host order.
const PORT: [i16; 2] = [-200, -208];

/// Puts no chain where [`walk`] begins.
pub(super) fn none(a: &mut Asm) {
    a.store(Size::W, R10, NUMBER, 0);
}

/// Puts the chain of the role at `R0` there.
pub(super) fn of_role(a: &mut Asm) {
    a.load(Size::W, R2, R0, ROLE_CHAIN);
    a.store(Size::W, R10, NUMBER, R2);
}

/// Jumps if the rules hide the packet. Where no chain has been put, that of the destination's longest prefix is
/// followed. `R6` to `R9` stay.
pub(super) fn walk(a: &mut Asm, maps: Maps, hides: Label) {
    let (begin, done) = (a.label(), a.label());
    a.load(Size::W, R1, R10, NUMBER);
    a.jump_if(R1, If::NotEqual, 0, begin);
    longest_prefix(a, maps.prefixes, done);
    a.jump_if(R1, If::Equal, 0, done);
    a.store(Size::W, R10, NUMBER, R1);

    a.place(begin);
    prepare(a);
    // R7: the place of the best rule so far. R9: how many rules may still be looked at.
    let (next_rule, too_long, restore) = (a.label(), a.label(), a.label());
    a.alu32(Op::Move, R7, -1);
    a.set(R9, MAX_RULES);
    a.place(next_rule);
    a.jump_if(R9, If::Equal, 0, too_long);
    a.alu(Op::Add, R9, -1);
    a.load_map(R1, maps.rules);
    a.set(R2, R10);
    a.alu(Op::Add, R2, i32::from(NUMBER));
    a.call(CALL_MAP_LOOKUP);
    a.jump_if(R0, If::Equal, 0, restore);
    consider(a);
    a.load(Size::W, R1, R0, 0);
    a.store(Size::W, R10, NUMBER, R1);
    a.jump_if(R1, If::NotEqual, 0, next_rule);
    a.jump(restore);

    a.place(too_long);
    a.set(R1, 1);
    a.store(Size::D, R10, VERDICT, R1);
    a.place(restore);
    a.load(Size::D, R7, R10, SAVED);
    a.load(Size::D, R9, R10, SAVED + 8);
    a.load(Size::D, R1, R10, VERDICT);
    a.jump_if(R1, If::NotEqual, 0, hides);
    a.place(done);
}

/// `R1` = the chain of the longest prefix that holds the destination; jumps if there is none.
fn longest_prefix(a: &mut Asm, map: i32, none: Label) {
    a.store(Size::W, R10, PREFIX, 128);
    for i in [0, 4, 8, 12] {
        a.load(Size::W, R1, R10, DST + i);
        a.store(Size::W, R10, PREFIX + 4 + i, R1);
    }
    a.load_map(R1, map);
    a.set(R2, R10);
    a.alu(Op::Add, R2, i32::from(PREFIX));
    a.call(CALL_MAP_LOOKUP);
    a.jump_if(R0, If::Equal, 0, none);
    a.load(Size::W, R1, R0, 0);
}

/// `reg` = 1 if it was not 0. `R5` is lost.
fn is_set(a: &mut Asm, reg: Reg) {
    a.set(R5, 0);
    a.alu(Op::Sub, R5, reg);
    a.alu(Op::Or, reg, R5);
    a.alu(Op::ShiftRight, reg, 63);
}

/// Stores what rules are compared with, and the registers.
fn prepare(a: &mut Asm) {
    a.store(Size::D, R10, SAVED, R7);
    a.store(Size::D, R10, SAVED + 8, R9);
    a.set(R1, 0);
    a.store(Size::D, R10, VERDICT, R1);
    a.load(Size::W, R1, R6, SKB_IFINDEX);
    a.store(Size::D, R10, INTERFACE, R1);

    const { assert!(mark_of(Family::V4) == 1 && mark_of(Family::V6) == 2) };
    a.load(Size::W, R1, R6, SKB_PROTOCOL);
    a.alu(Op::Xor, R1, walk::ETH_IPV6);
    is_set(a, R1);
    a.set(R2, 2);
    a.alu(Op::Sub, R2, R1);
    a.store(Size::D, R10, FAMILY, R2);

    const { assert!(walk::ESP == 50 && walk::AH == 51) };
    a.set(R1, R8);
    a.alu(Op::ShiftRight, R1, 1);
    a.alu(Op::Xor, R1, 25);
    is_set(a, R1);
    a.alu(Op::Xor, R1, 1);
    a.store(Size::D, R10, PORTLESS, R1);

    a.set(R1, R9);
    a.alu(Op::And, R1, walk::OFFSET);
    is_set(a, R1);
    a.store(Size::D, R10, LATER, R1);

    for (from, to) in [SPORT, DPORT].into_iter().zip(PORT) {
        a.load(Size::H, R1, R10, from);
        a.swap_be(R1, 16);
        a.store(Size::D, R10, to, R1);
    }
}

/// Takes over place and verdict of the rule at `R0`, if it is before the best one in the list and about this packet.
fn consider(a: &mut Asm) {
    // R3: not 0 if anything differs.
    a.load(Size::W, R3, R0, rule::IFINDEX);
    a.load(Size::D, R1, R10, INTERFACE);
    a.alu(Op::Xor, R3, R1);
    a.load(Size::W, R1, R0, rule::IFINDEX_MASK);
    a.alu(Op::And, R3, R1);

    a.load(Size::B, R1, R0, rule::PROTOCOL);
    a.alu(Op::Xor, R1, R8);
    a.load(Size::B, R2, R0, rule::PROTOCOL_MASK);
    a.alu(Op::And, R1, R2);
    a.alu(Op::Or, R3, R1);

    for i in [0, 8] {
        a.load(Size::D, R1, R10, SRC + i);
        a.load(Size::D, R2, R0, rule::MASK + i);
        a.alu(Op::And, R1, R2);
        a.load(Size::D, R2, R0, rule::SOURCE + i);
        a.alu(Op::Xor, R1, R2);
        a.alu(Op::Or, R3, R1);
    }

    a.load(Size::B, R1, R0, rule::ABOUT);
    a.load(Size::D, R2, R10, FAMILY);
    a.alu(Op::And, R1, R2);
    is_set(a, R1);
    a.alu(Op::Xor, R1, 1);
    a.alu(Op::Or, R3, R1);

    // R4: its highest bit is set if a port is out of range, which is nothing to a later fragment.
    a.set(R4, 0);
    for (port, range) in PORT.into_iter().zip([rule::PORTS, rule::PORTS + 4]) {
        a.load(Size::D, R1, R10, port);
        a.load(Size::H, R2, R0, range);
        a.set(R5, R1);
        a.alu(Op::Sub, R5, R2);
        a.alu(Op::Or, R4, R5);
        a.load(Size::H, R2, R0, range + 2);
        a.alu(Op::Sub, R2, R1);
        a.alu(Op::Or, R4, R2);
    }
    a.alu(Op::ShiftRight, R4, 63);
    a.load(Size::D, R2, R10, LATER);
    a.set(R1, 1);
    a.alu(Op::Sub, R1, R2);
    a.alu(Op::And, R4, R1);
    a.alu(Op::Or, R3, R4);
    a.load(Size::B, R1, R0, rule::PORTED);
    a.load(Size::D, R2, R10, PORTLESS);
    a.alu(Op::And, R1, R2);
    a.alu(Op::Or, R3, R1);

    // R4: what the rule says. To a later fragment only rules that hide it count.
    a.load(Size::B, R4, R0, rule::FAMILIES);
    a.load(Size::D, R1, R10, FAMILY);
    a.alu(Op::And, R4, R1);
    a.set(R1, R4);
    is_set(a, R1);
    a.alu(Op::Xor, R1, 1);
    a.load(Size::D, R2, R10, LATER);
    a.alu(Op::And, R1, R2);
    a.alu(Op::Or, R3, R1);

    // R2: its place, which must not be behind the best one's.
    a.load(Size::W, R2, R0, rule::PLACE);
    a.set(R1, R7);
    a.alu(Op::Sub, R1, R2);
    a.alu(Op::ShiftRight, R1, 63);
    a.alu(Op::Or, R3, R1);

    // R3: all ones if it is taken over, or else zero.
    is_set(a, R3);
    a.alu(Op::Add, R3, -1);
    a.alu(Op::Xor, R2, R7);
    a.alu(Op::And, R2, R3);
    a.alu(Op::Xor, R7, R2);
    a.load(Size::D, R1, R10, VERDICT);
    a.alu(Op::Xor, R4, R1);
    a.alu(Op::And, R4, R3);
    a.alu(Op::Xor, R1, R4);
    a.store(Size::D, R10, VERDICT, R1);
}

const _: () = assert!(PREFIX + 20 <= walk::STACK && NUMBER + 8 <= PREFIX && SAVED + 16 <= NUMBER);
