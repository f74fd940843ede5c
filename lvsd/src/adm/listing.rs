//! Services, statistics and connections as ipvsadm and the kernel list them.
//!
//! Layouts are ipvsadm's to the blank, since scripts read them. So is the order: services by mark (those of addresses
//! have none and come first), family, protocol, address and port; servers by address and port.

use std::cmp::Ordering;
use std::fmt::Write as _;

use lvs_core::stats::Totals;
use lvs_core::{
    Config, ConnInfo, Dest, Director, Family, Ip, Persistence, Protocol, Service, ServiceKey, Time,
};

/// The services and servers with their counts: `ipvsadm -Ln` below its headings.
pub fn services(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for service in in_order(config) {
        lines.push(service_line(service));
        for dest in dests_in_order(service) {
            lines.push(format!(
                "  -> {:<28} {:<7} {:<6} {:<10} {:<10}",
                dest.addr().to_string(),
                dest.method().name(),
                dest.weight(),
                dest.active(),
                dest.inactive()
            ));
        }
    }
    lines
}

/// The services' and servers' totals: `ipvsadm -Ln --stats --exact` below its headings.
pub fn stats(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for service in in_order(config) {
        let name = key(&service.key());
        lines.push(stats_line(&name, &service.live().stats().totals()));
        for dest in dests_in_order(service) {
            let name = format!("  -> {:<28}", dest.addr().to_string());
            lines.push(stats_line(&name, &dest.live().stats().totals()));
        }
    }
    lines
}

/// All connections and templates, in no particular order.
pub fn connections(director: &Director, now: Time) -> Vec<ConnInfo> {
    let mut all = Vec::new();
    director.connections(now, |conn| all.push(conn));
    all
}

/// A protocol's name in listings of connections; templates for a mark, which are for all protocols, are of "IP".
pub fn protocol_name(protocol: Protocol) -> String {
    match protocol {
        Protocol(0) => "IP".to_owned(),
        other => other.to_string(),
    }
}

fn in_order(config: &Config) -> Vec<&Service> {
    let all: Vec<&Service> = config.services().into_iter().map(|s| &**s).collect();
    let order = |s: &&Service| match s.key() {
        ServiceKey::Addr { protocol, addr } => {
            let protocol = u32::from(protocol.0);
            (0, addr.ip.family(), protocol, words(addr.ip), addr.port)
        }
        ServiceKey::Mark { family, mark } => (mark, family, 0, [0; 4], 0),
    };
    merge_sort(all, &|a, b| {
        let ((mark, family, protocol, ip, port), other) = (order(a), order(b));
        difference(mark, other.0)
            .then(family.cmp(&other.1))
            .then(protocol.cmp(&other.2))
            .then_with(|| differences(ip, other.3))
            .then(port.cmp(&other.4))
    })
}

fn dests_in_order(service: &Service) -> Vec<&Dest> {
    let all: Vec<&Dest> = service.dests().iter().collect();
    merge_sort(all, &|a, b| {
        let (a, b) = (a.addr(), b.addr());
        differences(words(a.ip), words(b.ip)).then(a.port.cmp(&b.port))
    })
}

/// An address as ipvsadm compares it: IPv4 is its first word alone.
fn words(ip: Ip) -> [u32; 4] {
    let word = |b: &[u8]| u32::from_be_bytes(b.try_into().unwrap_or([0; 4]));
    match ip.as_v4() {
        Some(v4) => [u32::from_be_bytes(v4), 0, 0, 0],
        None => {
            let mut words = [0; 4];
            for (w, bytes) in words.iter_mut().zip(ip.bytes().chunks_exact(4)) {
                *w = word(bytes);
            }
            words
        }
    }
}

fn differences(a: [u32; 4], b: [u32; 4]) -> Ordering {
    let each = a.into_iter().zip(b).map(|(a, b)| difference(a, b));
    each.fold(Ordering::Equal, Ordering::then)
}

/// ipvsadm compares by difference, which it takes for signed: 172.16.0.1 stands before 10.0.0.1. That is not an order
/// in the strict sense (three addresses can each stand before the next all round).
fn difference(a: u32, b: u32) -> Ordering {
    (a.wrapping_sub(b) as i32).cmp(&0)
}

/// The sort of the C library under ipvsadm. Where the order is none, the result depends on the algorithm; and ours in
/// the standard library may refuse to work.
fn merge_sort<T: Copy>(mut items: Vec<T>, order: &dyn Fn(&T, &T) -> Ordering) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let right = merge_sort(items.split_off(items.len() / 2), order);
    let left = merge_sort(items, order);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let first = if order(l, r) == Ordering::Greater {
            &mut right
        } else {
            &mut left
        };
        merged.extend(first.next());
    }
    merged.extend(left.chain(right));
    merged
}

/// `TCP  10.0.0.1:80`, `FWM  1 IPv6`.
fn key(key: &ServiceKey) -> String {
    match key {
        ServiceKey::Addr { protocol, addr } => format!("{:<4} {addr}", protocol.to_string()),
        ServiceKey::Mark { family, mark } => {
            let family = match family {
                Family::V4 => "",
                Family::V6 => " IPv6",
            };
            format!("FWM  {}{family}", *mark as i32)
        }
    }
}

fn service_line(service: &Service) -> String {
    let mut line = format!("{} {}", key(&service.key()), service.scheduler().name());
    let flags = service.scheduler().flags();
    // Writing to a string cannot fail.
    if !flags.is_empty() {
        let _ = write!(line, " ({})", flags.join(","));
    }
    if let Some(p) = &service.options().persistence {
        let _ = write!(line, " persistent {}", p.timeout.as_secs());
        if let Some(mask) = mask(p, service.key().family()) {
            let _ = write!(line, " mask {mask}");
        }
        if let Some(engine) = p.engine {
            let _ = write!(line, " pe {}", engine.name());
        }
    }
    if service.options().one_packet {
        line.push_str(" ops");
    }
    line
}

/// The persistence mask, unless it is the full one.
fn mask(p: &Persistence, family: Family) -> Option<String> {
    match (family, p.prefix) {
        (Family::V4, 32..) | (Family::V6, 128..) => None,
        (Family::V4, n) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(n)).unwrap_or(0);
            Some(std::net::Ipv4Addr::from(mask).to_string())
        }
        (Family::V6, n) => Some(n.to_string()),
    }
}

fn stats_line(name: &str, t: &Totals) -> String {
    format!(
        "{name:<33} {:>8} {:>8} {:>8} {:>8} {:>8}",
        t.conns, t.in_packets, t.out_packets, t.in_bytes, t.out_bytes
    )
}

#[cfg(test)]
mod tests {
    use lvs_core::dest::Encapsulation;
    use lvs_core::service::Engine;
    use lvs_core::{DestOptions, Method, ServiceOptions, Settings};

    use super::*;

    fn order(addrs: &[&str]) -> Vec<String> {
        let ips: Vec<Ip> = addrs.iter().map(|a| a.parse().unwrap()).collect();
        let sorted = merge_sort(ips, &|a, b| differences(words(*a), words(*b)));
        sorted.iter().map(Ip::to_string).collect()
    }

    /// As ipvsadm 1.31 was seen to list them.
    #[test]
    fn addresses_stand_in_ipvsadms_order() {
        let servers = order(&[
            "10.1.0.1",
            "172.16.0.9",
            "192.168.0.9",
            "2001:db8::1",
            "fd00::2",
            "fe80::2",
            "1::1",
        ]);
        let seen = [
            "172.16.0.9",
            "192.168.0.9",
            "fd00::2",
            "fe80::2",
            "1::1",
            "10.1.0.1",
            "2001:db8::1",
        ];
        assert_eq!(servers, seen);
    }

    fn director(services: &[(ServiceKey, ServiceOptions)]) -> std::sync::Arc<Director> {
        let d = Director::new(&Settings::default());
        d.edit(|draft| {
            services.iter().try_for_each(|(key, options)| {
                let rr = lvs_sched::build("rr").unwrap();
                draft.add_service(*key, rr, options.clone())
            })
        })
        .unwrap();
        d
    }

    #[test]
    fn services_stand_in_ipvsadms_order() {
        let mark = |family, mark| (ServiceKey::Mark { family, mark }, ServiceOptions::default());
        let addr = |protocol, a: &str| {
            let key = ServiceKey::new(protocol, a.parse().unwrap());
            (key, ServiceOptions::default())
        };
        let d = director(&[
            mark(Family::V4, 5),
            mark(Family::V4, u32::MAX),
            mark(Family::V6, 3),
            addr(Protocol::UDP, "10.0.0.1:80"),
            addr(Protocol::TCP, "10.0.0.1:80"),
            addr(Protocol::TCP, "172.16.0.1:80"),
            addr(Protocol::TCP, "[2001:db8::1]:80"),
            addr(Protocol::TCP, "[2001:db8::1]:79"),
        ]);
        let seen = [
            "FWM  -1 rr",
            "TCP  172.16.0.1:80 rr",
            "TCP  10.0.0.1:80 rr",
            "UDP  10.0.0.1:80 rr",
            "TCP  [2001:db8::1]:79 rr",
            "TCP  [2001:db8::1]:80 rr",
            "FWM  3 IPv6 rr",
            "FWM  5 rr",
        ];
        assert_eq!(services(&d.config()), seen);
    }

    #[test]
    fn a_services_options_follow_its_scheduler() {
        let persistence = |seconds, prefix, engine| {
            let timeout = std::time::Duration::from_secs(seconds);
            Some(Persistence {
                timeout,
                prefix,
                engine,
            })
        };
        let of = |persistence, one_packet| ServiceOptions {
            persistence,
            one_packet,
            ..ServiceOptions::default()
        };
        let udp = |a: &str| ServiceKey::udp(a.parse().unwrap());
        let v6 = ServiceKey::Mark {
            family: Family::V6,
            mark: 2,
        };
        let d = director(&[
            (
                udp("10.0.0.1:5060"),
                of(persistence(60, 16, Some(Engine::Sip)), true),
            ),
            (udp("10.0.0.2:53"), of(persistence(360, 32, None), false)),
            (v6, of(persistence(100, 64, None), false)),
        ]);
        let seen = [
            "UDP  10.0.0.1:5060 rr persistent 60 mask 255.255.0.0 pe sip ops",
            "UDP  10.0.0.2:53 rr persistent 360",
            "FWM  2 IPv6 rr persistent 100 mask 64",
        ];
        assert_eq!(services(&d.config()), seen);
    }

    #[test]
    fn columns_are_padded_and_long_names_push_them() {
        let key = ServiceKey::tcp("[2001:db8::80]:443".parse().unwrap());
        let d = director(&[(key, ServiceOptions::default())]);
        let tunnel = DestOptions {
            encapsulation: Encapsulation::Gre { checksum: true },
            ..DestOptions::new(Method::Tunnel, 7)
        };
        d.edit(|draft| {
            draft.add_dest(key, "10.0.0.9:443".parse().unwrap(), &tunnel)?;
            let long = "[2001:db8:1111:2222:3333:4444:5555:7777]:65535";
            draft.add_dest(
                key,
                long.parse().unwrap(),
                &DestOptions::new(Method::DirectRoute, 1),
            )
        })
        .unwrap();
        let seen = [
            "TCP  [2001:db8::80]:443 rr",
            "  -> 10.0.0.9:443                 Tunnel  7      0          0         ",
            "  -> [2001:db8:1111:2222:3333:4444:5555:7777]:65535 Route   1      0          0         ",
        ];
        assert_eq!(services(&d.config()), seen);
        let seen = [
            "TCP  [2001:db8::80]:443                  0        0        0        0        0",
            "  -> 10.0.0.9:443                        0        0        0        0        0",
            "  -> [2001:db8:1111:2222:3333:4444:5555:7777]:65535        0        0        0        0        0",
        ];
        assert_eq!(stats(&d.config()), seen);
    }
}
