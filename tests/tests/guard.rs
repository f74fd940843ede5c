//! The director's own kernel sees every packet too, and must keep out of what lvsd handles; and only of
//! that.

use tests::capture::{Capture, Packet, Payload, duplicates};
use tests::command::peer;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, Rules, UdpAsk};

const CONNECTIONS: usize = 50;

/// Not one reset, error message, twin or unchanged address on the wire, on either side.
fn nothing_strays(method: Method, vip_on_director: bool, ip_forward: bool) {
    for family in Family::BOTH {
        let lan = Plan::of(method, 2)
            .vip_on_director(vip_on_director)
            .ip_forward(ip_forward)
            .build();
        let _servers = lan.backends(method);
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
        let nodes = [&lan.client, &lan.servers[0], &lan.servers[1]];
        let captures = nodes.map(|node| Capture::start(node, "eth0", "ip or ip6"));

        let served = lan.client.fetch(&url(family.vip(), "/"), CONNECTIONS);
        assert_eq!(served.len(), CONNECTIONS);
        let served = UdpAsk::new(family.vip(), 7000)
            .flows(CONNECTIONS)
            .from(&lan.client);
        assert!(!served.contains(&"lost".to_owned()), "{served:?}");

        let [client, r1, r2] = captures.map(Capture::stop);
        for (place, seen) in [("client", &client), ("r1", &r1), ("r2", &r2)] {
            assert!(!seen.is_empty());
            let strays: Vec<_> = seen.iter().filter(|p| p.is_rst() || is_error(p)).collect();
            assert!(strays.is_empty(), "{family:?}, at {place}: {strays:#?}");
            let twins = duplicates(seen);
            assert!(twins.is_empty(), "{family:?}, at {place}: {twins:#?}");
        }
        for server in lan.server_addresses(family) {
            let bare: Vec<_> = client.iter().filter(|p| p.involves(server)).collect();
            assert!(bare.is_empty(), "{family:?}: {bare:#?}");
        }
        if method != Method::Tun {
            assert_eq!(opened(&r1) + opened(&r2), CONNECTIONS, "{family:?}");
        }
    }
}

/// An ICMP message other than echo or neighbour discovery.
fn is_error(packet: &Packet) -> bool {
    let v6 = packet.ip.as_ref().is_some_and(|ip| ip.src.is_ipv6());
    match packet.payload() {
        Some(Payload::Icmp { kind, .. }) if v6 => *kind < 128 || *kind == 137,
        Some(Payload::Icmp { kind, .. }) => !matches!(kind, 0 | 8),
        _ => false,
    }
}

/// How many TCP connections these packets open.
fn opened(packets: &[Packet]) -> usize {
    let is_open = |p: &&Packet| {
        matches!(
            p.payload(),
            Some(Payload::Tcp {
                syn: true,
                dst: 80,
                ..
            })
        )
    };
    packets.iter().filter(is_open).count()
}

macro_rules! nothing_strays {
    ($($name:ident $method:ident)+) => {$(
        mod $name {
            use super::{Method::$method, nothing_strays};

            #[test]
            fn vip_elsewhere_host() {
                nothing_strays($method, false, false);
            }

            #[test]
            fn vip_elsewhere_router() {
                nothing_strays($method, false, true);
            }

            #[test]
            fn vip_on_host() {
                nothing_strays($method, true, false);
            }

            #[test]
            fn vip_on_router() {
                nothing_strays($method, true, true);
            }
        }
    )+};
}

nothing_strays!(nothing_strays_nat Nat nothing_strays_dr Dr nothing_strays_tun Tun nothing_strays_fullnat FullNat);

/// The host's own web server, at a port of the VIP that is no service, and at its own address.
fn host_serves(lan: &Lan, family: Family) {
    for ip in [family.vip(), family.director()] {
        assert_eq!(lan.client.fetch(&url(ip, ":8081/"), 2), ["director"; 2]);
    }
}

/// The answer of a kernel at whose port nobody listens. (Without an answer curl would time out.)
fn is_refused(lan: &Lan, family: Family) -> bool {
    const COULD_NOT_CONNECT: i32 = 7;
    let out = lan
        .client
        .curl(&["--max-time", "3", &url(family.vip(), "/")]);
    out.status.code() == Some(COULD_NOT_CONNECT)
}

/// No program, no table of ours is left in the kernel.
fn is_clean(lan: &Lan) -> bool {
    let attached = |dev| lan.director.run(&[&peer(), "tcx", dev]) != "0\n";
    !attached("eth0")
        && !attached("eth1")
        && lan.director.run(&["nft", "list", "tables"]).is_empty()
}

fn host_is_as_before(method: Method, end: impl Fn(Lvsd)) {
    for family in Family::BOTH {
        let plan = Plan::of(method, 2).vip_on_director(true).ip_forward(true);
        let lan = plan.build();
        let _servers = lan.backends(method);
        let _own = lan.director.web(&[8081]);
        assert!(is_refused(&lan, family));
        host_serves(&lan, family);

        let lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
        assert_eq!(lan.client.fetch(&url(family.vip(), "/"), 10).len(), 10);
        host_serves(&lan, family);

        end(lvsd);
        assert!(is_clean(&lan));
        assert!(is_refused(&lan, family));
        host_serves(&lan, family);
    }
}

#[test]
fn killed_it_leaves_the_host_as_before() {
    host_is_as_before(Method::Nat, Lvsd::kill);
    host_is_as_before(Method::FullNat, Lvsd::kill);
}

#[test]
fn stopped_it_leaves_the_host_as_before() {
    host_is_as_before(Method::Nat, |lvsd| {
        assert!(lvsd.stop("TERM").0.success());
    });
}

/// The director itself may talk to its real servers (health checks) while it forwards for them.
#[test]
fn the_host_reaches_its_real_servers() {
    for method in [Method::Nat, Method::FullNat] {
        let lan = Plan::of(method, 2)
            .vip_on_director(true)
            .ip_forward(true)
            .build();
        let _servers = lan.backends(method);
        for family in Family::BOTH {
            let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
            let server = lan.server(family, 0);
            assert_eq!(lan.director.fetch(&url(server, "/"), 5), ["r1"; 5]);
            assert_eq!(UdpAsk::new(server, 7000).from(&lan.director), ["r1"]);
            assert_eq!(lan.client.fetch(&url(family.vip(), "/"), 10).len(), 10);
        }
    }
}

/// A router goes on routing what is not balanced.
#[test]
fn a_router_goes_on_routing() {
    let lan = Plan::of(Method::Nat, 1).ip_forward(true).build();
    let _servers = lan.backends(Method::Nat);
    for family in Family::BOTH {
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
        let server = lan.server(family, 0);
        assert_eq!(lan.client.fetch(&url(server, ":8080/"), 3), ["r1"; 3]);
        // Past the service, but from its server's port.
        assert_eq!(lan.client.fetch(&url(server, "/"), 3), ["r1"; 3]);
        lan.client.run(&["ping", "-c1", "-W2", &server.to_string()]);
    }
}

/// A VIP that the host holds is still the host's to ping.
#[test]
fn the_host_answers_ping_at_the_vip() {
    let lan = Plan::of(Method::Nat, 1).vip_on_director(true).build();
    for family in Family::BOTH {
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
        lan.client
            .run(&["ping", "-c1", "-W2", &family.vip().to_string()]);
    }
}
