//! The order of services and servers.
//!
//! Services stand by mark (those of addresses have none and come first), family, protocol, address and port; servers by
//! address and port.

use std::cmp::Ordering;

use lvs_core::{Family, Ip, ServiceKey};

use crate::control::table::{Server, Service};

/// Puts services and their servers into ipvsadm's order.
pub fn sort(services: &mut Vec<Service>) {
    for service in services.iter_mut() {
        let servers = std::mem::take(&mut service.servers);
        service.servers = merge_sort(servers, &|a: &Server, b: &Server| {
            differences(words(a.address), words(b.address)).then(a.port.cmp(&b.port))
        });
    }
    *services = merge_sort(std::mem::take(services), &|a, b| {
        let ((mark, family, protocol, ip, port), other) = (place(a), place(b));
        difference(mark, other.0)
            .then(family.cmp(&other.1))
            .then(protocol.cmp(&other.2))
            .then_with(|| differences(ip, other.3))
            .then(port.cmp(&other.4))
    });
}

fn place(service: &Service) -> (u32, Family, u8, [u32; 4], u16) {
    match service.key.into() {
        ServiceKey::Addr { protocol, addr } => {
            let ip = addr.ip;
            (0, ip.family(), protocol.0, words(ip), addr.port)
        }
        ServiceKey::Mark { family, mark } => (mark, family, 0, [0; 4], 0),
    }
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
fn merge_sort<T>(mut items: Vec<T>, order: &dyn Fn(&T, &T) -> Ordering) -> Vec<T> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::Desk;

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

    /// Likewise.
    #[test]
    fn services_stand_in_ipvsadms_order() {
        let lines = "-A -f 5\n-A -f 4294967295\n-A -f 3 -6\n-A -u 10.0.0.1:80\n-A -t 10.0.0.1:80\n-A -t 172.16.0.1:80\n\
             -A -t [2001:db8::1]:80\n-A -t [2001:db8::1]:79\n-A --sctp-service 10.0.0.1:80";
        let desk = Desk::open();
        desk.apply(lines);
        let mut services = desk.client().table().unwrap().services;
        sort(&mut services);
        let keys: Vec<String> = services
            .iter()
            .map(|s| ServiceKey::from(s.key).to_string())
            .collect();
        let seen = [
            "FWM 4294967295",
            "TCP 172.16.0.1:80",
            "TCP 10.0.0.1:80",
            "UDP 10.0.0.1:80",
            "SCTP 10.0.0.1:80",
            "TCP [2001:db8::1]:79",
            "TCP [2001:db8::1]:80",
            "FWM 3 IPv6",
            "FWM 5",
        ];
        assert_eq!(keys, seen);
    }
}
