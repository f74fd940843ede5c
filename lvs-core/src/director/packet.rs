//! One packet's decision, in the order IPVS takes it: follow its connection, else schedule a new one.

use std::time::Duration;

use super::burst::Context;
use crate::addr::Endpoint;
use crate::conn::{Conn, Found, Shard};
use crate::dest::Method;
use crate::sched::Arrival;
use crate::segment::{Kind, Protocol, Segment, TcpFlags};
use crate::service::Service;
use crate::state::State;
use crate::verdict::{Direction, DropReason, Forward, PassReason, Rewrite, Verdict};

/// The source port of an FTP server's data connections; never scheduled (IPVS).
const FTP_DATA: u16 = 20;

pub(super) fn decide(
    cx: &Context<'_>,
    shard: &mut Shard,
    found: Option<Found>,
    s: &Segment,
) -> Verdict {
    if let Some(f) = found
        && let Some(conn) = shard.get_mut(f.id)
    {
        if conn.deadline <= cx.now {
            shard.remove(f.id);
        } else if !reopens(cx, s, f.direction, conn) {
            return follow(cx, shard, f, s);
        } else if let Some(service) = cx.config.service_for(s) {
            return schedule(cx, shard, service, Some(f), s);
        }
    }
    match cx.config.service_for(s) {
        Some(service) => admit(cx, shard, service, s),
        None => Verdict::Pass(PassReason::NotOurs),
    }
}

/// Whether a client opens anew a connection that is only remembered (IPVS: `conn_reuse_mode` 1), or one whose
/// server has been removed.
fn reopens(cx: &Context<'_>, s: &Segment, direction: Direction, conn: &Conn) -> bool {
    direction == Direction::In
        && s.kind == Kind::Packet
        && s.protocol == Protocol::TCP
        && s.flags.has(TcpFlags::SYN)
        && !s.flags.has(TcpFlags::RST)
        && (conn.state.is_ended()
            || cx.config.sysctls().reopen_removed && !conn.dest.is_available())
}

/// A packet of a known connection. Of a removed real server's, only what it sends itself goes on: it is
/// translated, and no longer counted in statistics (IPVS).
fn follow(cx: &Context<'_>, shard: &mut Shard, found: Found, s: &Segment) -> Verdict {
    let Found { id, direction } = found;
    let Some(conn) = shard.get_mut(id) else {
        return Verdict::Pass(PassReason::NotOurs);
    };
    if conn.dest.is_available() {
        count(conn, direction, cx.stripe, s.len);
    } else if direction == Direction::In {
        return Verdict::Drop(DropReason::DestinationRemoved);
    }
    let verdict = carry(conn, direction);
    match s.kind {
        Kind::Packet => {
            shard.touch(id, direction, Some(s), cx.config.timeouts(), cx.now);
        }
        Kind::LaterFragment => shard.touch(id, direction, None, cx.config.timeouts(), cx.now),
        Kind::IcmpError => {}
    }
    verdict
}

fn count(conn: &Conn, direction: Direction, stripe: usize, len: u32) {
    for stats in [conn.dest.stats(), conn.dest.service().stats()] {
        match direction {
            Direction::In => stats.count_in(stripe, len),
            Direction::Out => stats.count_out(stripe, len),
        }
    }
}

/// How the forwarding method carries a packet.
fn carry(conn: &Conn, direction: Direction) -> Verdict {
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
        helper: None,
    })
}

/// A packet to a service, of no known connection: may it open one?
fn admit(cx: &Context<'_>, shard: &mut Shard, service: &Service, s: &Segment) -> Verdict {
    match s.kind {
        Kind::LaterFragment => return Verdict::Drop(DropReason::FragmentUnknown),
        Kind::IcmpError => return Verdict::Pass(PassReason::OtherProtocol),
        Kind::Packet => {}
    }
    let opens = match s.protocol {
        Protocol::TCP => s.flags.has(TcpFlags::SYN) && !s.flags.has(TcpFlags::RST),
        _ => true,
    };
    if !opens || s.src.port == FTP_DATA {
        return Verdict::Pass(PassReason::NoConnection);
    }
    schedule(cx, shard, service, None, s)
}

/// Opens a connection, in place of `old` if there is one. The old one still counts while the scheduler
/// chooses, as it does in IPVS.
fn schedule(
    cx: &Context<'_>,
    shard: &mut Shard,
    service: &Service,
    old: Option<Found>,
    s: &Segment,
) -> Verdict {
    let picked = service
        .scheduler
        .pick(&service.dests, &Arrival::new(s, cx.now))
        .and_then(|i| service.dests.get(i));
    if let Some(old) = old {
        shard.remove(old.id);
    }
    let Some(dest) = picked else {
        return Verdict::Drop(DropReason::NoDestination);
    };
    if shard.is_full() {
        return Verdict::Drop(DropReason::TableFull);
    }
    let dest_addr = match dest.addr() {
        Endpoint { ip, port: 0 } => Endpoint::new(ip, s.dst.port),
        addr => addr,
    };
    let local = if dest.method() == Method::FullNat {
        let start = s.src.port as usize / cx.director.shards.len();
        match shard.take_port(s.protocol, dest_addr, &service.options.local_addrs, start) {
            Some(local) => local,
            None => return Verdict::Drop(DropReason::NoLocalPort),
        }
    } else {
        s.src
    };
    let mut conn = Conn {
        client: s.src,
        virt: s.dst,
        dest_addr,
        local,
        deadline: cx.now,
        dest: dest.live.clone(),
        method: dest.method(),
        protocol: s.protocol,
        state: State::initial(s.protocol),
        in_only: !dest.method().translates(),
    };
    // The opening packet moves the state before the connection is bound, so that it is counted once.
    conn.state = conn.state.after(s, Direction::In, conn.in_only, false);
    let timeout: Duration = cx.config.timeouts().of(conn.state);
    conn.deadline = cx.now + timeout;
    for stats in [dest.live.stats(), service.live.stats()] {
        stats.count_conn(cx.stripe);
    }
    count(&conn, Direction::In, cx.stripe, s.len);
    let verdict = carry(&conn, Direction::In);
    match shard.insert(conn, cx.now) {
        Some(_) => verdict,
        None => Verdict::Drop(DropReason::TableFull),
    }
}
