//! The guard: hides from the host's stack what we handle.
//!
//! It sits at the TCX hook of an interface, behind the packet sockets' taps and before the host's IP
//! layer, and drops there what the packet sockets have already given us, by the rules in [`crate::hidden`]. It looks
//! only at packets addressed to a link-layer address of this host. ARP, neighbour discovery, other protocols and
//! other ICMP pass, as do frames of a VLAN (they are another interface's), and what [comes back](super::returning).

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use super::asm::{Asm, If, Label, Op, Reg::*, Size};
use super::roles::{Maps, ROLE_HIGH, ROLE_LOW, Roles};
use super::walk::{self, Ask};
use super::{BpfError, Hook, Program, ProgramType, TcxLink, chain, filter, returning, steer};
use crate::frame::PortId;
use crate::hidden::{ANY_REPLY, Hidden, LOCAL, OWN, RANGE, REPLY, VIRTUAL};

/// The guard with its maps, and the filter and steering programs that use the same maps.
///
/// Order of a start: [`Guard::new`], open the packet sockets (with [`Guard::filter`],
/// [`Guard::steering`] and [`Guard::return_mark`]), [`Guard::set`], [`Guard::attach`]. To stop, drop it before the
/// sockets. It holds as long as it lives: if the process dies, even by SIGKILL, the host is as before.
#[derive(Debug)]
pub struct Guard {
    /// Those of each interface, by its number.
    links: BTreeMap<u32, [TcxLink; 2]>,
    program: Program,
    returning: Program,
    return_mark: u32,
    roles: Roles,
}

impl Guard {
    /// Creates the maps and loads the guard, which is attached to nothing yet.
    pub fn new() -> Result<Self, BpfError> {
        let roles = Roles::new()?;
        // Random, so that no packet has it by chance.
        let return_mark = RandomState::new().hash_one(std::process::id()) as u32 >> 1 | 1;
        let load = |name, code: Vec<u64>| Program::load(ProgramType::SchedCls, name, &code);
        Ok(Self {
            links: BTreeMap::new(),
            program: load("lvs_guard", code(roles.maps(), return_mark)?)?,
            returning: load("lvs_return", returning::code(return_mark)?)?,
            return_mark,
            roles,
        })
    }

    /// Replaces what is hidden, [as `Roles` does](Roles::set): what stays is never seen meanwhile.
    pub fn set(
        &mut self,
        hidden: &Hidden,
        ifindex: impl Fn(PortId) -> Option<u32>,
    ) -> Result<(), BpfError> {
        self.roles.set(hidden, ifindex)
    }

    /// Hides what has been [added](Hidden::with) too, [as `Roles` does](Roles::add).
    pub fn add(&mut self, hidden: &Hidden) -> Result<(), BpfError> {
        self.roles.add(hidden)
    }

    /// Guards an interface (needs Linux 6.6: [`BpfError::Unsupported`] otherwise), and turns round there what is
    /// sent with the [mark](Self::return_mark). Does nothing if it is guarded already.
    pub fn attach(&mut self, ifindex: u32) -> Result<(), BpfError> {
        if !self.links.contains_key(&ifindex) {
            let back = self.returning.attach_tcx(ifindex, Hook::Egress)?;
            let link = self.program.attach_tcx(ifindex, Hook::Ingress)?;
            self.links.insert(ifindex, [link, back]);
        }
        Ok(())
    }

    /// Ends the guard of an interface, also of one that is gone.
    pub fn detach(&mut self, ifindex: u32) {
        self.links.remove(&ifindex);
    }

    /// Loads a [filter] for packet sockets that follows what this guard hides.
    pub fn filter(&self) -> Result<Program, BpfError> {
        let code = filter::code(self.roles.maps(), self.return_mark, walk::BEHIND_ETHERNET)?;
        Program::load(ProgramType::SocketFilter, "lvs_filter", &code)
    }

    /// Loads a [steer]ing program for a fan-out group of `workers` that follows what this guard hides.
    /// `shards` is the connection table's number of shards, a power of two.
    pub fn steering(&self, shards: u32, workers: u32) -> Result<Program, BpfError> {
        let code = steer::code(self.roles.maps(), shards, workers)?;
        Program::load(ProgramType::SocketFilter, "lvs_steer", &code)
    }

    /// The mark (`SO_MARK`) with which a hidden packet is to be sent by the interface it came in by, so that the host
    /// [gets it](super::returning) after all.
    pub fn return_mark(&self) -> u32 {
        self.return_mark
    }

    /// The guard's program itself, for status and tests.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The maps, for programs of one's own.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }
}

/// Results of a TCX program.
pub const PASS: i32 = -1;
/// See [`PASS`].
pub const DROP: i32 = 2;

/// The program. `return_mark`, below 2^31, is that of packets that come back.
pub fn code(maps: Maps, return_mark: u32) -> Result<Vec<u64>, BpfError> {
    let mut asm = Asm::new();
    let a = &mut asm;
    let (pass, drop) = (a.label(), a.label());
    let (v6, transport, icmp, icmpv6, quoted) =
        (a.label(), a.label(), a.label(), a.label(), a.label());
    let (new, decide) = (a.label(), a.label());

    a.set(R6, R1);
    a.load(Size::W, R1, R6, walk::SKB_MARK);
    a.jump_if(R1, If::NotEqual, return_mark as i32, new);
    a.set(R1, 0);
    a.store(Size::W, R6, walk::SKB_MARK, R1);
    a.jump(pass);
    a.place(new);
    walk::if_not_for_host(a, Some((maps.roles, 0)), pass);
    walk::if_vlan(a, pass);
    a.set(R7, walk::BEHIND_ETHERNET);
    a.load(Size::W, R1, R6, walk::SKB_PROTOCOL);
    a.jump_if(R1, If::Equal, walk::ETH_IPV6, v6);
    a.jump_if(R1, If::NotEqual, walk::ETH_IPV4, pass);
    walk::ipv4(a, pass);
    a.jump_if(R8, If::Equal, walk::ICMP, icmp);
    a.jump(transport);
    a.place(v6);
    walk::ipv6(a, pass);
    a.jump_if(R8, If::Equal, walk::ICMPV6, icmpv6);

    a.place(transport);
    walk::if_not_balanced(a, pass);
    walk::ports(a, pass);
    a.jump(decide);

    a.place(icmp);
    walk::if_no_icmp_error(a, pass);
    a.alu(Op::Add, R7, 8);
    walk::ipv4(a, pass);
    a.jump(quoted);
    a.place(icmpv6);
    walk::icmp_type(a, pass);
    a.jump_if(R1, If::Greater, 127, pass);
    a.alu(Op::Add, R7, 8);
    walk::ipv6(a, pass);
    a.place(quoted);
    walk::if_not_balanced(a, pass);
    a.jump_if(R9, If::AnyBit, walk::OFFSET, pass);
    walk::ports(a, pass);
    walk::swap_ends(a);

    a.place(decide);
    judge(a, maps, pass, drop);

    a.place(pass);
    a.exit_with(PASS);
    a.place(drop);
    a.exit_with(DROP);
    Ok(asm.finish()?)
}

/// Decides about a packet whose ends are on the stack, as [`Hidden::hides`] does.
fn judge(a: &mut Asm, maps: Maps, pass: Label, drop: Label) {
    let (later, by_mark, foreign) = (a.label(), a.label(), a.label());
    chain::none(a);
    a.jump_if(R9, If::AnyBit, walk::OFFSET, later);
    walk::look_up(a, maps.roles, walk::DST, Ask::Port(walk::DPORT), by_mark);
    a.jump_if(R1, If::AnyBit, VIRTUAL as i32, drop);
    chain::of_role(a);
    a.jump(by_mark);
    a.place(later);
    walk::look_up(a, maps.roles, walk::DST, Ask::Protocol, by_mark);
    a.jump_if(R1, If::AnyBit, VIRTUAL as i32, drop);
    a.place(by_mark);
    chain::walk(a, maps, drop);

    let (later, ranges, own) = (a.label(), a.label(), a.label());
    walk::look_up(a, maps.roles, walk::DST, Ask::Address, foreign);
    a.store(Size::W, R10, walk::PEEK, R1);
    a.jump_if(R9, If::AnyBit, walk::OFFSET, later);
    if_port_outside(a, walk::DPORT, ranges);
    a.jump_if(R1, If::AnyBit, LOCAL as i32, drop);
    a.place(ranges);
    let with_ranges = a.label();
    a.jump_if(R1, If::AnyBit, RANGE as i32, with_ranges);
    a.jump(own);
    a.place(with_ranges);
    walk::look_up(a, maps.roles, walk::DST, Ask::Protocol, own);
    if_port_outside(a, walk::DPORT, own);
    a.jump(drop);
    a.place(own);
    a.load(Size::W, R1, R10, walk::PEEK);
    a.jump_if(R1, If::AnyBit, OWN as i32, pass);
    a.jump(foreign);
    a.place(later);
    a.jump_if(R1, If::AnyBit, OWN as i32, pass);
    a.jump_if(R1, If::AnyBit, LOCAL as i32, drop);

    a.place(foreign);
    judge_reply(a, maps, pass, drop);
}

/// Decides about a packet that is for us at most by its source.
fn judge_reply(a: &mut Asm, maps: Maps, pass: Label, drop: Label) {
    let reply = a.label();
    walk::look_up(a, maps.roles, walk::SRC, Ask::Protocol, pass);
    a.jump_if(R1, If::AnyBit, ANY_REPLY as i32, drop);
    a.jump_if(R1, If::AnyBit, REPLY as i32, reply);
    a.jump(pass);
    a.place(reply);
    a.jump_if(R9, If::AnyBit, walk::OFFSET, drop);
    walk::look_up(a, maps.roles, walk::SRC, Ask::Port(walk::SPORT), pass);
    a.jump_if(R1, If::AnyBit, REPLY as i32, drop);
    a.jump(pass);
}

/// Jumps if the port that lies at `port` is outside the range of the role at `R0` (which is mostly empty). `R1` stays,
/// the port is in `R2` in host order.
pub(super) fn if_port_outside(a: &mut Asm, port: i16, to: Label) {
    a.load(Size::H, R2, R10, port);
    a.swap_be(R2, 16);
    a.load(Size::H, R3, R0, ROLE_LOW);
    a.jump_if(R2, If::Less, R3, to);
    a.load(Size::H, R3, R0, ROLE_HIGH);
    a.jump_if(R2, If::Greater, R3, to);
}
