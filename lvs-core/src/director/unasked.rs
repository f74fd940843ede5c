//! Calls that a real server begins itself (IPVS: connections made by the persistence engine, SIP's only).
//!
//! Either side of a call may send the next request. One from the server, of no known connection, would reach the client
//! from an address it has never heard of. So it opens a connection the other way round: from the service's address, under
//! the template of its Call-ID, so that the client's answers find the same server.

use super::burst::Context;
use super::{lock, packet};
use crate::conn::{Conn, Fresh, TemplateKey};
use crate::dest::{Dest, Method};
use crate::segment::{Kind, Protocol, Segment};
use crate::service::Service;
use crate::state::State;
use crate::steer::client_shard;
use crate::verdict::{Direction, DropReason, Verdict};

/// The service and the real server of such a call.
pub(super) fn caller<'a>(cx: &Context<'a>, s: &Segment) -> Option<(&'a Service, &'a Dest)> {
    if s.kind != Kind::Packet || s.protocol != Protocol::UDP || s.tag == 0 {
        return None;
    }
    let (service, dest) = cx.config.caller(s)?;
    let rests = cx.config.standby().includes(&service.key());
    (!rests).then_some((service, dest))
}

/// What becomes of such a call; `None` if the packet is none.
pub(super) fn open(cx: &Context<'_>, s: &Segment) -> Option<Verdict> {
    let (service, dest) = caller(cx, s)?;
    let persistence = service.options.persistence.as_ref()?;
    let (client, virt) = (s.dst, service.key().addr()?);
    let answer = Segment {
        tag: s.tag,
        ..Segment::new(s.protocol, client, virt)
    };
    let key = TemplateKey::new(service.key(), persistence, &answer);
    let fresh = || {
        Some(Fresh {
            dest: dest.live.clone(),
            dest_port: dest.addr().port,
            timeout: persistence.timeout,
            one_packet: service.options.one_packet,
        })
    };
    let (_, lease) = cx.director.templates.follow(key, cx.now, false, fresh)?;
    let conn = Conn {
        client,
        virt,
        dest_addr: s.src,
        local: client,
        deadline: cx.now + cx.config.timeout(State::Udp, &dest.live),
        dest: dest.live.clone(),
        lease: Some(lease),
        extra: None,
        in_packets: 0,
        method: Method::Nat,
        protocol: s.protocol,
        state: State::Udp,
        in_only: false,
    };
    let total = &cx.director.stats;
    for stats in [dest.live.stats(), service.live.stats(), total] {
        stats.count_conn(cx.stripe);
    }
    packet::count(cx, &conn, Direction::Out, s.len);
    let verdict = packet::carry(&conn, Direction::Out);
    if service.options.one_packet {
        return Some(verdict);
    }
    let number = client_shard(client.ip, client.port, cx.director.shards.len() as u32);
    let mut shard = lock(&cx.director.shards[number as usize]);
    Some(match shard.insert(conn, cx.now) {
        Some(_) => verdict,
        None => Verdict::Drop(DropReason::TableFull),
    })
}
