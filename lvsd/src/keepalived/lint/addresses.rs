//! VIPs and servers: can packets get there?

use std::net::IpAddr;

use lvs_core::{Endpoint, Ip, Method, ServiceKey};

use super::{Lint, Scene, vips};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{Address, Prefix, VirtualServer};
use crate::keepalived::place::Span;

pub(super) const LINTS: &[Lint] = &[
    Lint::error(
        "service-address",
        service_address,
        "A virtual service has an address that no client can connect to: unspecified, multicast or broadcast.",
    ),
    Lint::warning(
        "service-on-loopback",
        service_on_loopback,
        "A virtual service has a loopback address: packets to it never leave the host, so that lvsd does not see them.",
    ),
    Lint::error(
        "server-address",
        server_address,
        "A server has an address that no single host can have: unspecified, multicast or broadcast.",
    ),
    Lint::error(
        "server-family",
        server_family,
        "A server of a group is of another family than one of the group's services. Only tunnels carry one family in the other.",
    ),
    Lint::error(
        "server-is-vip",
        server_is_vip,
        "A server has the address of its own virtual service, so that packets would come back to the director.",
    ),
    Lint::warning(
        "server-is-virtual",
        server_is_virtual,
        "A server is another virtual service of the same file. Packets that the director sends are not balanced again.",
    ),
    Lint::warning(
        "server-is-local",
        server_is_local,
        "A server is the director itself, as this host is now, and a program there would get nothing: the host does not hold the \
         VIP, or packets would have to be rewritten.",
    ),
    Lint::warning(
        "server-off-link",
        server_off_link,
        "A server of direct routing is in no network of the director's interfaces. Direct routing only changes MAC addresses, so \
         that a router in between would send the packets back.",
    ),
    Lint::error(
        "service-twice",
        service_twice,
        "Two virtual_server blocks, or a group's range and another block, stand for the same address, port and protocol.",
    ),
    Lint::warning(
        "vip-without-interface",
        vip_without_interface,
        "Nothing in the file puts a virtual service's address on an interface, and the host does not have it.",
    ),
    Lint::warning(
        "vip-in-two-instances",
        vip_in_two_instances,
        "Two instances of VRRP have the same VIP. The one that becomes backup takes it from the one that is master.",
    ),
    Lint::warning(
        "vip-static-too",
        vip_static_too,
        "An address is static, so that the host always has it, and a VIP, which only one host may have at a time.",
    ),
];

/// Servers and sorry servers of a service: address, forwarding method, place, and what they are.
fn servers(
    service: &VirtualServer,
) -> impl Iterator<Item = (Endpoint, Method, Span, &'static str)> {
    let real = service
        .servers
        .iter()
        .map(|s| (s.addr, s.options.method, s.span.span, "server"));
    let sorry = service
        .sorry
        .iter()
        .map(|s| (s.addr, s.options.method, s.span.span, "sorry server"));
    real.chain(sorry)
}

/// Why no single host can have an address.
fn no_host(ip: Ip) -> Option<&'static str> {
    if ip.as_v4() == Some([255; 4]) {
        Some("the broadcast address")
    } else if ip.is_multicast() {
        Some("a multicast address")
    } else if IpAddr::from(ip).is_unspecified() {
        Some("no address of a host")
    } else {
        None
    }
}

fn service_address(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        for vip in vips(service) {
            let ip = Ip::from(vip);
            if let Some(what) = no_host(ip) {
                let found = s.found(
                    service.span.span,
                    format!("the virtual service's address {vip} is {what}"),
                );
                out.push(found.help("name the address that clients connect to"));
            }
        }
    }
}

fn service_on_loopback(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        if let Some(vip) = vips(service).into_iter().find(IpAddr::is_loopback) {
            let message = format!(
                "the virtual service's address {vip} is a loopback address, where lvsd sees no packets"
            );
            out.push(
                s.found(service.span.span, message)
                    .help("name the address that clients connect to"),
            );
        }
    }
}

fn server_address(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        for (addr, _, span, what) in servers(service) {
            if let Some(why) = no_host(addr.ip) {
                let found = s.found(span, format!("the {what}'s address {} is {why}", addr.ip));
                out.push(found.help("name the server's own address"));
            } else if let Some(broadcast) = broadcast_of(s, addr.ip.into()) {
                let message = format!(
                    "the {what}'s address {} is the broadcast address of {broadcast}",
                    addr.ip
                );
                out.push(s.found(span, message).help("name the server's own address"));
            }
        }
    }
}

/// The host's network of which an address is the last.
fn broadcast_of(s: &Scene<'_>, ip: IpAddr) -> Option<Prefix> {
    let IpAddr::V4(v4) = ip else { return None };
    let networks = s.interfaces.iter().flatten().flat_map(|i| &i.addrs);
    networks
        .filter(|(_, len)| *len < 31)
        .map(|(ip, len)| Prefix { ip: *ip, len: *len })
        .find(|network| {
            let hosts = u32::MAX.checked_shr(u32::from(network.len)).unwrap_or(0);
            network.contains(ip) && v4.to_bits() & hosts == hosts
        })
}

fn server_family(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        for (addr, method, span, what) in servers(service) {
            let odd = service.keys.iter().find(|k| k.family() != addr.ip.family());
            if let Some(key) = odd.filter(|_| method != Method::Tunnel) {
                let message = format!(
                    "the {what} {} is of another family than the service {key}",
                    addr.ip
                );
                let found = s
                    .found(span, message)
                    .also(service.span.span, "the virtual service");
                out.push(found.help(
                    "make a group and a `virtual_server` for each family, or use `lvs_method TUN`",
                ));
            }
        }
    }
}

fn server_is_vip(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let vips = vips(service);
        for (addr, method, span, what) in servers(service) {
            if vips.contains(&addr.ip.into()) && !is_rewritten(service, addr, method) {
                let message = format!("the {what} {addr} has the virtual service's own address");
                let found = s
                    .found(span, message)
                    .also(service.span.span, "the virtual service");
                out.push(found.help(
                    "name the server's own address (servers of direct routing hold the VIP besides, on an interface that \
                     answers no ARP), or 127.0.0.1 where a program of this host is meant",
                ));
            }
        }
    }
}

/// Whether packets of a service would have to be rewritten for a server that is this host itself.
fn is_rewritten(service: &VirtualServer, addr: Endpoint, method: Method) -> bool {
    service.keys.iter().any(|key| method.rewrites(*key, addr))
}

fn server_is_virtual(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let keys = |v: &VirtualServer| -> Vec<Endpoint> {
        v.keys.iter().filter_map(ServiceKey::addr).collect()
    };
    let all: Vec<(Endpoint, &VirtualServer)> = s
        .services()
        .flat_map(|v| keys(v).into_iter().map(move |k| (k, v)))
        .collect();
    for service in s.services() {
        for (addr, _, span, what) in servers(service) {
            let other = all
                .iter()
                .find(|(key, v)| *key == addr && !std::ptr::eq(*v, service));
            if let Some((_, other)) = other.filter(|_| !vips(service).contains(&addr.ip.into())) {
                let message = format!("the {what} {addr} is itself a virtual service");
                let found = s
                    .found(span, message)
                    .also(other.span.span, "the other virtual service");
                out.push(
                    found.help("name that service's servers here too; packets are balanced once"),
                );
            }
        }
    }
}

fn server_is_local(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let vips = vips(service);
        for (addr, method, span, what) in servers(service) {
            let ip: IpAddr = addr.ip.into();
            let rewritten = is_rewritten(service, addr, method);
            let carried = s.carriers(ip).unwrap_or_default();
            let on = match carried.first() {
                _ if vips.contains(&ip) && !rewritten => continue, // said already
                _ if vips.contains(&ip) => " (it is the VIP)".to_owned(),
                _ if addr.ip.is_loopback() => String::new(),
                Some(interface) => format!(" (it is on `{}`)", interface.name),
                None => continue,
            };
            let itself = format!("the {what} {addr} is this host itself{on}");
            let missing = vips.iter().find(|vip| !is_held(s, **vip));
            let (message, help) = if rewritten {
                let port = match service.keys.iter().find_map(ServiceKey::addr) {
                    Some(asked) if addr.ip.is_loopback() => {
                        format!("give it the service's port {}, or ", asked.port)
                    }
                    _ => String::new(),
                };
                (
                    format!(
                        "{itself}, whose own programs get packets only as they come: it is refused here"
                    ),
                    format!(
                        "{port}use `lvs_method DR` for it, and let the program listen at the service's address and port"
                    ),
                )
            } else if let Some(vip) = missing {
                (
                    format!(
                        "{itself}, which gets packets only if it holds the virtual service's address {vip}"
                    ),
                    format!(
                        "put {vip} on an interface of this host: `static_ipaddress`, or `virtual_ipaddress` of a `vrrp_instance`"
                    ),
                )
            } else {
                continue;
            };
            out.push(s.found(span, message).help(help));
        }
    }
}

/// Whether the host holds an address, or the file will have it hold it; true if nobody knows.
fn is_held(s: &Scene<'_>, ip: IpAddr) -> bool {
    let vrrp = &s.config.vrrp;
    let mut of_file = vrrp
        .addresses
        .iter()
        .chain(vrrp.instances.iter().flat_map(|i| i.addresses()));
    let carriers = s.carriers(ip);
    carriers.is_none_or(|carriers| !carriers.is_empty()) || of_file.any(|a| a.addr.ip == ip)
}

fn server_off_link(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let Some(interfaces) = &s.interfaces else {
        return;
    };
    // Networks that VRRP or the file itself will add count as well.
    let vrrp = &s.config.vrrp;
    let added = vrrp
        .addresses
        .iter()
        .chain(vrrp.instances.iter().flat_map(|i| i.addresses()));
    let networks: Vec<Prefix> = interfaces
        .iter()
        .filter(|i| !i.loopback)
        .flat_map(|i| {
            i.addrs
                .iter()
                .map(|(ip, len)| Prefix { ip: *ip, len: *len })
        })
        .chain(added.map(|a| a.addr))
        .filter(|p| p.is_network())
        .collect();
    for service in s.services() {
        for (addr, method, span, what) in servers(service) {
            let ip: IpAddr = addr.ip.into();
            let other_lint = no_host(addr.ip).is_some() || addr.ip.is_loopback();
            if method != Method::DirectRoute || other_lint || vips(service).contains(&ip) {
                continue;
            }
            let same_family = networks.iter().any(|p| p.ip.is_ipv4() == ip.is_ipv4());
            if same_family && !networks.iter().any(|p| p.contains(ip)) {
                let message = format!(
                    "the {what} {ip} is in no network of this host's interfaces, and direct routing reaches no further"
                );
                out.push(s.found(span, message).help("let the director have an interface in the server's network, or use `lvs_method TUN` or `NAT`"));
            }
        }
    }
}

fn service_twice(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let mut seen: std::collections::HashMap<ServiceKey, &VirtualServer> = Default::default();
    for service in s.services() {
        let mut common = Vec::new();
        let mut first = None;
        for key in &service.keys {
            let before = *seen.entry(*key).or_insert(service);
            if !std::ptr::eq(before, service) {
                common.push(*key);
                first.get_or_insert(before);
            }
        }
        let (Some(first), Some(key)) = (first, common.first()) else {
            continue;
        };
        let more = match common.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let message = format!("the virtual service {key}{more} is configured twice");
        let found = s
            .found(service.span.span, message)
            .also(first.span.span, "first here");
        out.push(
            found
                .help("keep one of the two, with the servers of both, or narrow the group's range"),
        );
    }
}

fn vip_without_interface(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let Some(interfaces) = &s.interfaces else {
        return;
    };
    let vrrp = &s.config.vrrp;
    let ours: Vec<&Address> = vrrp
        .addresses
        .iter()
        .chain(vrrp.instances.iter().flat_map(|i| i.addresses()))
        .collect();
    let held = |ip: IpAddr| {
        interfaces
            .iter()
            .flat_map(|i| &i.addrs)
            .any(|(addr, _)| *addr == ip)
    };
    let near = |ip: IpAddr| {
        let mut networks = interfaces.iter().flat_map(|i| &i.addrs);
        networks.any(|(addr, len)| {
            Prefix {
                ip: *addr,
                len: *len,
            }
            .contains(ip)
        })
    };
    let mut said: Vec<IpAddr> = Vec::new();
    for service in s.services() {
        let mut missing = vips(service);
        missing.retain(|vip| {
            let in_file = ours.iter().any(|a| a.addr.ip == *vip);
            let other_lint = no_host((*vip).into()).is_some() || vip.is_loopback();
            // Without VRRP, lvsd answers for addresses in its networks that no interface holds.
            let answered = vrrp.instances.is_empty() && near(*vip);
            !held(*vip) && !in_file && !other_lint && !answered && !said.contains(vip)
        });
        let Some(vip) = missing.first() else { continue };
        let and_more = match missing.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let (message, help) = if vrrp.instances.is_empty() {
            (
                format!(
                    "the virtual service's address {vip}{and_more} is on no interface and in no network of one: only what a router \
                     sends here arrives"
                ),
                format!("add {vip} to `static_ipaddress`, or have it routed to this host"),
            )
        } else {
            (
                format!(
                    "no `vrrp_instance` has the virtual service's address {vip}{and_more}: nothing moves it to another director"
                ),
                format!("add {vip} to a `virtual_ipaddress` block"),
            )
        };
        out.push(s.found(service.span.span, message).help(help));
        said.append(&mut missing);
    }
}

fn vip_in_two_instances(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let instances = &s.config.vrrp.instances;
    for (nr, instance) in instances.iter().enumerate() {
        for address in instance.addresses() {
            let ip = address.addr.ip;
            let earlier = instances[..nr].iter().find_map(|other| {
                let twin = other.addresses().find(|a| a.addr.ip == ip)?;
                let same_link = other.interface_of(twin) == instance.interface_of(address);
                // Link-local addresses are of one link each.
                (same_link || !Ip::from(ip).is_link_local_v6()).then_some((other, twin))
            });
            if let Some((other, twin)) = earlier {
                let message = format!("{ip} is in `{}` already", other.name.value);
                let found = s
                    .found(address.span.span, message)
                    .also(twin.span.span, "first here");
                out.push(found.help("keep it in one of the two instances"));
            }
        }
    }
}

fn vip_static_too(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    for instance in &vrrp.instances {
        for address in instance.addresses() {
            let ip = address.addr.ip;
            if let Some(fixed) = vrrp.addresses.iter().find(|a| a.addr.ip == ip) {
                let message = format!(
                    "{ip} is a VIP of `{}` and a static address at once",
                    instance.name.value
                );
                let found = s
                    .found(address.span.span, message)
                    .also(fixed.span.span, "static here");
                out.push(found.help("remove it from `static_ipaddress`"));
            }
        }
    }
}
