//! Which real server a new connection goes to: by the client's persistence template, or else by the scheduler.

use std::sync::Arc;
use std::time::Duration;

use super::burst::Context;
use crate::addr::{Endpoint, Family, Ip};
use crate::conn::{Extra, Fresh, Lease, TemplateKey, covers_one_port};
use crate::dest::{Dest, DestLive, Method};
use crate::sched::Arrival;
use crate::segment::{Kind, Protocol, Segment, port};
use crate::service::{Engine, Persistence, Service, ServiceKey};
use crate::verdict::{DropReason, PassReason, Verdict};

/// How long a connection is kept that no packet of its own has opened (IPVS: 3 s).
pub(super) const FIRST_TIMEOUT: Duration = Duration::from_secs(3);

/// The server of a new connection.
pub(super) struct Choice {
    pub(super) dest: Arc<DestLive>,
    /// Where exactly: its address and the port the packet gets.
    pub(super) addr: Endpoint,
    pub(super) method: Method,
    pub(super) lease: Option<Lease>,
}

/// Whether a packet that was led to this service may be scheduled by it: a service of all ports, or FTP's for its data
/// connections, does so only if it is persistent (IPVS).
pub(super) fn reaches(service: &Service, s: &Segment) -> Result<(), Verdict> {
    match service.key() {
        ServiceKey::Addr { addr, .. } if addr.port != s.dst.port => {
            match (&service.options.persistence, addr.port) {
                (Some(_), _) => Ok(()),
                (None, port::FTP) => Err(Verdict::Pass(PassReason::NoConnection)),
                (None, _) => Err(Verdict::Drop(DropReason::NoDestination)),
            }
        }
        _ => Ok(()),
    }
}

/// Chooses the server.
pub(super) fn choose(cx: &Context<'_>, service: &Service, s: &Segment) -> Result<Choice, Verdict> {
    let choice = match &service.options.persistence {
        Some(persistence) if lacks_tag(persistence, s) => {
            return Err(Verdict::Drop(DropReason::Unsupported));
        }
        Some(persistence) => follow_template(cx, service, persistence, s),
        None => pick(cx, service, s).map(|dest| Choice {
            dest: dest.live.clone(),
            addr: with_port(dest.addr(), s.dst.port),
            method: dest.method(),
            lease: None,
        }),
    };
    choice
        .or_else(|| bypass(cx, service, s))
        .ok_or_else(|| without_server(service, s))
}

/// A server whose port is not given gets the packet's.
pub(super) const fn with_port(addr: Endpoint, port: u16) -> Endpoint {
    match addr.port {
        0 => Endpoint::new(addr.ip, port),
        _ => addr,
    }
}

/// What a persistence engine cannot read goes nowhere (IPVS).
pub(super) fn lacks_tag(persistence: &Persistence, s: &Segment) -> bool {
    match persistence.engine {
        Some(Engine::Sip) => s.protocol != Protocol::UDP || s.tag == 0,
        None => false,
    }
}

fn pick<'a>(cx: &Context<'_>, service: &'a Service, s: &Segment) -> Option<&'a Dest> {
    let i = service.scheduler.pick(&service.dests, &arrival(cx, s))?;
    service.dests.get(i)
}

/// What a scheduler is told of the packet.
pub(super) fn arrival<'a>(cx: &Context<'_>, s: &'a Segment) -> Arrival<'a> {
    let sysctls = cx.config.sysctls();
    Arrival {
        packet: s,
        now: cx.now,
        random: cx.random(),
        lblc_expiration: sysctls.lblc_expiration,
        lblcr_expiration: sysctls.lblcr_expiration,
    }
}

fn follow_template(
    cx: &Context<'_>,
    service: &Service,
    persistence: &Persistence,
    s: &Segment,
) -> Option<Choice> {
    let key = TemplateKey::new(service.key(), persistence, s);
    let one_port = covers_one_port(service.key(), s);
    let fresh = || {
        let dest = pick(cx, service, s)?;
        Some(Fresh {
            dest: dest.live.clone(),
            dest_port: if one_port { dest.addr().port } else { 0 },
            timeout: persistence.timeout,
            one_packet: service.options.one_packet,
        })
    };
    let quiescent = cx.config.sysctls().expire_quiescent_template;
    let (dest, lease) = cx
        .director
        .templates
        .follow(key, cx.now, quiescent, fresh)?;
    Some(Choice {
        addr: template_addr(service, &dest, s),
        method: dest.method(),
        lease: Some(lease),
        dest,
    })
}

/// Where the server of a template gets a packet: only one to the service's own port is led to the server's own port.
pub(super) fn template_addr(service: &Service, dest: &DestLive, s: &Segment) -> Endpoint {
    match s.dst.port == service.key().port() {
        true => with_port(dest.addr(), s.dst.port),
        false => Endpoint::new(dest.addr().ip, s.dst.port),
    }
}

/// For want of a server, a firewall-mark service sends packets to where they were going anyway (IPVS:
/// `cache_bypass`).
fn bypass(cx: &Context<'_>, service: &Service, s: &Segment) -> Option<Choice> {
    may_bypass(cx, service, s).then(|| Choice {
        dest: service.bypass().clone(),
        addr: nowhere(s.dst.ip.family()),
        method: Method::Bypass,
        lease: None,
    })
}

pub(super) fn may_bypass(cx: &Context<'_>, service: &Service, s: &Segment) -> bool {
    let ip = s.dst.ip;
    let is_remote = || !ip.is_multicast() && !ip.is_loopback() && !cx.config.owns(&ip);
    cx.config.sysctls().cache_bypass
        && matches!(service.key(), ServiceKey::Mark { .. })
        && s.kind == Kind::Packet
        && is_remote()
}

/// What stands for the server of a bypassed connection.
pub(super) fn nowhere(family: Family) -> Endpoint {
    let ip = match family {
        Family::V4 => Ip::v4([0; 4]),
        Family::V6 => Ip::UNSPECIFIED,
    };
    Endpoint::new(ip, 0)
}

/// What becomes of a packet to a service that has no server for it.
pub(super) fn without_server(service: &Service, s: &Segment) -> Verdict {
    match service.key().port() {
        port::FTP if s.dst.port != port::FTP => Verdict::Pass(PassReason::NoConnection),
        _ => Verdict::Drop(DropReason::NoDestination),
    }
}

/// What a connection with a helper has.
pub(super) fn helped(helper: u8) -> Box<Extra> {
    Box::new(Extra {
        helper,
        ..Extra::default()
    })
}
