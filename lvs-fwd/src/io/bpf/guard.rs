//! The guard: hides from the host's stack what we handle.
//!
//! It sits at the TCX hook of an interface, behind the packet sockets' taps and before the host's IP
//! layer, and drops there what the packet sockets have already given us. For a packet
//! addressed to this host's link-layer address it decides, in this order:
//!
//! | packet | |
//! |---|---|
//! | to a virtual service | drop |
//! | to a local address of FullNAT, port in its range | drop |
//! | to an address of the host | pass: health checks, ssh |
//! | from a real server behind NAT | drop |
//! | anything else | pass |
//!
//! Later fragments have no ports: those to an address with a virtual service of that protocol are
//! dropped, then likewise. An ICMP error belongs to the connection of the packet it quotes, and is judged
//! like a packet of that connection that travels the way the error does: the quoted source is the
//! destination, the quoted destination the source. ARP, neighbour discovery, other protocols and other ICMP
//! pass, as do frames of a VLAN (they are another interface's).

use std::collections::BTreeMap;

use super::asm::{Asm, If, Label, Op, Reg::*, Size};
use super::roles::{Entry, LOCAL, OWN, REPLY, Roles, VALUE_HIGH, VALUE_LOW, VIRTUAL};
use super::walk::{self, Ask};
use super::{BpfError, Program, ProgramType, TcxLink, filter, steer};

/// The guard with its map of roles, and the filter and steering programs that use the same map.
///
/// Order of a start: [`Guard::new`], open the packet sockets (with [`Guard::filter`] and
/// [`Guard::steering`]), [`Guard::set_entries`], [`Guard::attach`]. To stop, drop it before the sockets.
/// It holds as long as it lives: if the process dies, even by SIGKILL, the host is as before.
#[derive(Debug)]
pub struct Guard {
    /// One for each interface, by its number.
    links: BTreeMap<u32, TcxLink>,
    program: Program,
    roles: Roles,
}

impl Guard {
    /// Creates the map and loads the guard, which is attached to nothing yet.
    pub fn new() -> Result<Self, BpfError> {
        let roles = Roles::new()?;
        let program = Program::load(ProgramType::SchedCls, "lvs_guard", &code(roles.raw_fd())?)?;
        Ok(Self {
            links: BTreeMap::new(),
            program,
            roles,
        })
    }

    /// Replaces what is guarded, [as `Roles` does](Roles::set): what stays is never unguarded meanwhile.
    pub fn set_entries(&mut self, entries: &[Entry]) -> Result<(), BpfError> {
        self.roles.set(entries)
    }

    /// Guards an interface (needs Linux 6.6: [`BpfError::Unsupported`] otherwise). Does nothing if it is
    /// guarded already.
    pub fn attach(&mut self, ifindex: u32) -> Result<(), BpfError> {
        if !self.links.contains_key(&ifindex) {
            let link = self.program.attach_tcx(ifindex)?;
            self.links.insert(ifindex, link);
        }
        Ok(())
    }

    /// Ends the guard of an interface, also of one that is gone.
    pub fn detach(&mut self, ifindex: u32) {
        self.links.remove(&ifindex);
    }

    /// Loads a [filter] for packet sockets that follows this guard's entries.
    pub fn filter(&self) -> Result<Program, BpfError> {
        let code = filter::code(self.roles.raw_fd(), walk::BEHIND_ETHERNET)?;
        Program::load(ProgramType::SocketFilter, "lvs_filter", &code)
    }

    /// Loads a [steer]ing program for a fan-out group of `workers` that follows this guard's entries.
    /// `shards` is the connection table's number of shards, a power of two.
    pub fn steering(&self, shards: u32, workers: u32) -> Result<Program, BpfError> {
        let code = steer::code(self.roles.raw_fd(), shards, workers)?;
        Program::load(ProgramType::SocketFilter, "lvs_steer", &code)
    }

    /// The guard's program itself, for status and tests.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The map of roles, for programs of one's own.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }
}

/// Results of a TCX program.
pub const PASS: i32 = -1;
/// See [`PASS`].
pub const DROP: i32 = 2;

/// The program. `map` is the descriptor of the map of roles.
pub fn code(map: i32) -> Result<Vec<u64>, BpfError> {
    let mut asm = Asm::new();
    let a = &mut asm;
    let (pass, drop) = (a.label(), a.label());
    let (v6, transport, icmp, icmpv6, quoted) =
        (a.label(), a.label(), a.label(), a.label(), a.label());

    a.set(R6, R1);
    walk::if_not_for_host(a, pass);
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
    let later = a.label();
    a.jump_if(R9, If::AnyBit, walk::OFFSET, later);
    judge(a, map, Ends::AS_SENT, pass, drop);
    a.place(later);
    judge_later_fragment(a, map, pass, drop);

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
    judge(a, map, Ends::SWAPPED, pass, drop);

    a.place(pass);
    a.exit_with(PASS);
    a.place(drop);
    a.exit_with(DROP);
    Ok(asm.finish()?)
}

/// Where a packet's two ends lie on the stack: address and port.
struct Ends {
    src: (i16, i16),
    dst: (i16, i16),
}

impl Ends {
    const AS_SENT: Self = Self {
        src: (walk::SRC, walk::SPORT),
        dst: (walk::DST, walk::DPORT),
    };
    const SWAPPED: Self = Self {
        src: Self::AS_SENT.dst,
        dst: Self::AS_SENT.src,
    };
}

/// Decides about a packet whose transport header is at `R7`.
fn judge(a: &mut Asm, map: i32, ends: Ends, pass: Label, drop: Label) {
    let (no_service, not_in_range, foreign) = (a.label(), a.label(), a.label());
    walk::load_bytes(a, walk::SPORT, 4, pass);
    walk::look_up(a, map, ends.dst.0, Ask::Port(ends.dst.1), no_service);
    a.jump_if(R1, If::AnyBit, VIRTUAL, drop);

    a.place(no_service);
    walk::look_up(a, map, ends.dst.0, Ask::Address, foreign);
    if_port_outside(a, ends.dst.1, not_in_range);
    a.jump_if(R1, If::AnyBit, LOCAL, drop);
    a.place(not_in_range);
    a.jump_if(R1, If::AnyBit, OWN, pass);

    a.place(foreign);
    walk::look_up(a, map, ends.src.0, Ask::Port(ends.src.1), pass);
    a.jump_if(R1, If::AnyBit, REPLY, drop);
    a.jump(pass);
}

/// Decides about a later fragment.
fn judge_later_fragment(a: &mut Asm, map: i32, pass: Label, drop: Label) {
    let (no_service, foreign) = (a.label(), a.label());
    walk::look_up(a, map, walk::DST, Ask::Protocol, no_service);
    a.jump_if(R1, If::AnyBit, VIRTUAL, drop);

    a.place(no_service);
    walk::look_up(a, map, walk::DST, Ask::Address, foreign);
    a.jump_if(R1, If::AnyBit, OWN, pass);
    a.jump_if(R1, If::AnyBit, LOCAL, drop);

    a.place(foreign);
    walk::look_up(a, map, walk::SRC, Ask::Protocol, pass);
    a.jump_if(R1, If::AnyBit, REPLY, drop);
    a.jump(pass);
}

/// Jumps if the port that lies at `port` is outside the local range of the value at `R0` (which is empty
/// unless the address is a local one of FullNAT). `R1` stays, the port is in `R2` in host order.
pub(super) fn if_port_outside(a: &mut Asm, port: i16, to: Label) {
    a.load(Size::H, R2, R10, port);
    a.swap_be(R2, 16);
    a.load(Size::H, R3, R0, VALUE_LOW);
    a.jump_if(R2, If::Less, R3, to);
    a.load(Size::H, R3, R0, VALUE_HIGH);
    a.jump_if(R2, If::Greater, R3, to);
}
