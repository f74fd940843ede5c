//! One packet's decision, in the order IPVS takes it: follow its connection, else schedule a new one.

use super::burst::Context;
use super::schedule::{self, Choice};
use crate::conn::{Conn, Found, Shard, Tuple};
use crate::dest::Method;
use crate::segment::{Chunk, Kind, Protocol, Segment, TcpFlags, port};
use crate::service::Service;
use crate::state::State;
use crate::sysctl::Sysctls;
use crate::verdict::{Direction, DropReason, Forward, PassReason, Rewrite, Verdict};

/// Bit of `conn_reuse_mode`: a new connection may take the place of one in FIN_WAIT, if only the client is seen.
const REUSE_IN_FIN_WAIT: u32 = 2;

/// What becomes of a known connection when one of its packets arrives.
pub(super) enum Fate {
    /// It goes on.
    Follow,
    /// It has expired.
    Expired,
    /// It ends, and the packet is treated as one of no known connection.
    Anew,
    /// It stays, but the packet goes no further.
    Drop(DropReason),
    /// It stays, but its service stands by.
    Rest,
}

pub(super) fn decide(
    cx: &Context<'_>,
    shard: &mut Shard,
    found: Option<Found>,
    s: &Segment,
) -> Verdict {
    if !cx.config.serves(s.dst.ip.family()) {
        return Verdict::Pass(PassReason::NotOurs);
    }
    let mut old = None;
    if let Some(f) = found
        && let Some(conn) = shard.get_mut(f.id)
    {
        match fate(cx, conn, f.direction, s) {
            Fate::Follow => return follow(cx, shard, f, s),
            Fate::Drop(reason) => return Verdict::Drop(reason),
            Fate::Rest => return REST,
            Fate::Expired => shard.remove(f.id),
            Fate::Anew => old = Some(f),
        }
    } else if let Some(f) = expected(cx, shard, s) {
        return match shard.get_mut(f.id) {
            Some(conn) if rests(cx, conn) => REST,
            _ => follow(cx, shard, f, s),
        };
    }
    let Some(service) = cx.config.service_for(s) else {
        old.iter().for_each(|f| shard.remove(f.id));
        return Verdict::Pass(PassReason::NotOurs);
    };
    if cx.config.standby().covers(&service.key(), &s.dst.ip) {
        return REST;
    }
    // An old connection still counts while the scheduler chooses, as it does in IPVS.
    let drops_one = || cx.director.defence.drops_one();
    let choice = admit(cx, s, drops_one)
        .and_then(|()| schedule::reaches(service, s))
        .and_then(|()| schedule::choose(cx, service, s));
    old.iter().for_each(|f| shard.remove(f.id));
    match choice {
        Ok(choice) => open(cx, shard, service, choice, s),
        Err(verdict) => verdict,
    }
}

/// What becomes of a packet of a service that stands by.
const REST: Verdict = Verdict::Pass(PassReason::Standby);

/// Whether the connection's service stands by.
pub(super) fn rests(cx: &Context<'_>, conn: &Conn) -> bool {
    let standby = cx.config.standby();
    !standby.is_empty() && standby.covers(&conn.dest.service().key(), &conn.virt.ip)
}

pub(super) fn fate(cx: &Context<'_>, conn: &Conn, direction: Direction, s: &Segment) -> Fate {
    if rests(cx, conn) {
        return Fate::Rest;
    }
    if conn.deadline <= cx.now && !conn.is_needed() {
        return Fate::Expired;
    }
    if direction == Direction::Out || s.kind == Kind::IcmpError {
        return Fate::Follow;
    }
    let sysctls = cx.config.sysctls();
    if s.opens() && is_reopened(sysctls, conn) {
        return Fate::Anew;
    }
    match conn.dest.is_available() {
        true => Fate::Follow,
        false if sysctls.expire_nodest_conn || sysctls.reopen_removed && s.opens() => Fate::Anew,
        false => Fate::Drop(DropReason::DestinationRemoved),
    }
}

/// Whether an opening packet of known endpoints begins another connection (IPVS: `conn_reuse_mode`).
fn is_reopened(sysctls: &Sysctls, conn: &Conn) -> bool {
    if sysctls.expire_nodest_conn && conn.dest.weight() == 0 {
        return true;
    }
    let mode = sysctls.conn_reuse_mode;
    let in_fin_wait = || conn.state == State::FinWait && conn.in_only;
    mode != 0
        && conn.lease.is_none()
        && (conn.state.is_ended() || mode & REUSE_IN_FIN_WAIT != 0 && in_fin_wait())
}

/// A connection that a helper announced without knowing the client's port, and whose first packet this is.
fn expected(cx: &Context<'_>, shard: &mut Shard, s: &Segment) -> Option<Found> {
    let mut conn = cx.director.expected.take(&Tuple::from(s), cx.now)?;
    (conn.client, conn.local) = (s.src, s.src);
    let id = shard.place(conn, cx.now)?;
    let direction = Direction::In;
    Some(Found { id, direction })
}

/// A packet of a known connection. Of a removed real server's, only what it sends itself goes on: it is
/// translated, and no longer counted in statistics (IPVS).
fn follow(cx: &Context<'_>, shard: &mut Shard, found: Found, s: &Segment) -> Verdict {
    let Found { id, direction } = found;
    let Some(conn) = shard.get_mut(id) else {
        return Verdict::Pass(PassReason::NotOurs);
    };
    count(cx, conn, direction, s.len);
    let verdict = carry(conn, direction);
    if s.kind != Kind::IcmpError {
        let timeout = |state, dest: &_| cx.config.timeout(state, dest);
        shard.touch(id, direction, s, cx.secure, timeout, cx.now);
    }
    verdict
}

pub(super) fn count(cx: &Context<'_>, conn: &Conn, direction: Direction, len: u32) {
    if !conn.dest.is_available() || conn.method == Method::Bypass {
        return;
    }
    let total = &cx.director.stats;
    for stats in [conn.dest.stats(), conn.dest.service().stats(), total] {
        match direction {
            Direction::In => stats.count_in(cx.stripe, len),
            Direction::Out => stats.count_out(cx.stripe, len),
        }
    }
}

/// How the forwarding method carries a packet.
pub(super) fn carry(conn: &Conn, direction: Direction) -> Verdict {
    let rewrite = match (conn.method, direction) {
        (Method::Nat, Direction::In) => Rewrite::Nat {
            src: None,
            dst: Some(conn.dest_addr),
        },
        (Method::Nat, Direction::Out) => Rewrite::Nat {
            src: Some(conn.virt),
            dst: None,
        },
        (Method::FullNat, Direction::In) => Rewrite::Nat {
            src: Some(conn.local),
            dst: Some(conn.dest_addr),
        },
        (Method::FullNat, Direction::Out) => Rewrite::Nat {
            src: Some(conn.virt),
            dst: Some(conn.client),
        },
        (Method::DirectRoute, Direction::In) => Rewrite::Route {
            next_hop: conn.dest_addr.ip,
        },
        (Method::Bypass, Direction::In) => Rewrite::Route {
            next_hop: conn.virt.ip,
        },
        (Method::Tunnel, Direction::In) => Rewrite::Tunnel {
            remote: conn.dest_addr.ip,
            encapsulation: conn.dest.encapsulation(),
        },
        // Nothing to translate: the host routes it as any other packet.
        (Method::DirectRoute | Method::Tunnel | Method::Bypass, Direction::Out) => {
            return Verdict::Pass(PassReason::NotOurs);
        }
    };
    Verdict::Forward(Forward {
        direction,
        rewrite,
        helper: conn.extra.as_ref().map(|e| e.helper),
    })
}

/// A packet to a service, of no known connection: may it open one? `drops_one` says whether the defence drops it.
pub(super) fn admit(
    cx: &Context<'_>,
    s: &Segment,
    drops_one: impl FnOnce() -> bool,
) -> Result<(), Verdict> {
    let sysctls = cx.config.sysctls();
    let opens = match s.kind {
        Kind::LaterFragment => return Err(Verdict::Drop(DropReason::FragmentUnknown)),
        Kind::IcmpError if sysctls.schedule_icmp => s.protocol.is_balanced(),
        Kind::IcmpError => false,
        Kind::Packet => match s.protocol {
            Protocol::TCP => s.opens() || sysctls.sloppy_tcp && !s.flags.has(TcpFlags::RST),
            Protocol::SCTP => s.opens() || sysctls.sloppy_sctp && s.chunk != Chunk::Abort,
            Protocol::UDP => true,
            _ => return Err(Verdict::Pass(PassReason::OtherProtocol)),
        },
    };
    if !opens {
        return Err(Verdict::Pass(match s.kind {
            Kind::IcmpError => PassReason::OtherProtocol,
            _ => PassReason::NoConnection,
        }));
    }
    if drops_one() {
        return Err(Verdict::Drop(DropReason::Defence));
    }
    if s.src.port == port::FTP_DATA {
        return Err(Verdict::Pass(PassReason::NoConnection));
    }
    Ok(())
}

/// Opens a connection to the chosen server.
fn open(
    cx: &Context<'_>,
    shard: &mut Shard,
    service: &Service,
    choice: Choice,
    s: &Segment,
) -> Verdict {
    let Choice {
        dest,
        addr,
        method,
        lease,
    } = choice;
    let method = method.towards(addr, s.dst);
    let one_packet = service.options.one_packet && s.protocol == Protocol::UDP;
    if !one_packet && !shard.make_room(cx.now) {
        return Verdict::Drop(DropReason::TableFull);
    }
    let local = if method == Method::FullNat {
        let start = s.src.port as usize / cx.director.shards.len();
        match shard.take_port(s.protocol, addr, &service.options.local_addrs, start) {
            Some(local) => local,
            None => return Verdict::Drop(DropReason::NoLocalPort),
        }
    } else {
        s.src
    };
    let helper = match method {
        Method::Nat => cx.director.helper_for(s.protocol, s.dst.port),
        _ => None,
    };
    let mut conn = Conn {
        client: s.src,
        virt: s.dst,
        dest_addr: addr,
        local,
        deadline: cx.now,
        dest,
        lease,
        extra: helper.map(schedule::helped),
        in_packets: 1,
        method,
        protocol: s.protocol,
        state: State::initial(s.protocol),
        in_only: !method.translates(),
    };
    let mut timeout = schedule::FIRST_TIMEOUT;
    if s.kind == Kind::Packet {
        // The opening packet moves the state before the connection is bound, so that it is counted once.
        conn.state = conn.state.after(s, Direction::In, conn.in_only, cx.secure);
        conn.assure();
        timeout = cx.config.timeout(conn.state, &conn.dest);
    }
    conn.deadline = cx.now + timeout;
    if method != Method::Bypass {
        let total = &cx.director.stats;
        for stats in [conn.dest.stats(), service.live.stats(), total] {
            stats.count_conn(cx.stripe);
        }
    }
    count(cx, &conn, Direction::In, s.len);
    let verdict = carry(&conn, Direction::In);
    if one_packet {
        // Bound for a moment: this may set the overload flag, as it does in IPVS.
        conn.dest.bind(false, 1);
        conn.dest.bind(false, -1);
        return verdict;
    }
    match shard.insert(conn, cx.now) {
        Some(_) => verdict,
        None => Verdict::Drop(DropReason::TableFull),
    }
}
