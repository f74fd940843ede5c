//! Services by firewall mark, and services of all ports: what is grouped goes to one server, and the director's own
//! kernel neither answers nor forwards it, but keeps all that is its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use tests::capture::{Capture, Packet, duplicates};
use tests::process::Process;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan};

/// A rule file with a service of mark 7.
struct Marks(String);

impl Marks {
    /// With these options of the service, and all servers of `lan` at the port that a packet is for.
    fn new(lan: &Lan, method: Method, family: Family, options: &str) -> Self {
        let six = match family {
            Family::V4 => "",
            Family::V6 => " -6",
        };
        let (option, local) = match method {
            Method::Nat => ("-m", String::new()),
            Method::Dr => ("-g", String::new()),
            Method::Tun => ("-i", String::new()),
            Method::FullNat => ("--fullnat", format!(" --local-address {}", family.lip())),
        };
        let mut text = format!("-A -f 7{six} -s rr{local} {options}\n");
        for server in lan.server_addresses(family) {
            let _ = writeln!(text, "-a -f 7{six} -r {server} {option}");
        }
        Self(text)
    }

    /// Marks what this asks for.
    fn mark(mut self, asks: impl std::fmt::Display) -> Self {
        let _ = writeln!(self.0, "--mark 7 {asks}");
        self
    }

    fn mark_port(self, destination: impl std::fmt::Display, port: u16) -> Self {
        let what = format!("--protocol tcp --destination-port {port}");
        self.mark(format!("--destination {destination} {what}"))
    }
}

/// nginx at ports 80 and 443 of every server, and what unwraps tunnels.
fn backends(lan: &Lan, method: Method) -> Vec<Process> {
    let mut running: Vec<_> = lan.servers.iter().map(|s| s.web(&[80, 443])).collect();
    if method == Method::Tun {
        running.extend(lan.decap());
    }
    running
}

/// Who served these.
fn served(lan: &Lan, ip: IpAddr, port: &str, count: usize) -> BTreeSet<String> {
    lan.client
        .fetch(&url(ip, port), count)
        .into_iter()
        .collect()
}

fn resets_and_twins(seen: &[Packet]) -> Vec<&Packet> {
    let resets = seen.iter().filter(|p| p.is_rst());
    resets.chain(duplicates(seen)).collect()
}

/// Two ports as one group: a client has one server for both. Nothing of it meets the host.
fn two_ports_are_one_service(method: Method, vip_on_director: bool, ip_forward: bool) {
    for family in Family::BOTH {
        let lan = Plan::of(method, 2)
            .vip_on_director(vip_on_director)
            .ip_forward(ip_forward)
            .build();
        let _servers = backends(&lan, method);
        let vip = family.vip();
        let rules = Marks::new(&lan, method, family, "-p 60")
            .mark_port(vip, 80)
            .mark_port(vip, 443);
        let _lvsd = Lvsd::start(&lan, rules.0);
        let capture = Capture::start(&lan.client, "eth0", "tcp");
        let who = served(&lan, vip, "/", 5);
        assert_eq!(who.len(), 1, "persistent: {who:?}");
        assert_eq!(served(&lan, vip, ":443/", 5), who);
        let seen = capture.stop();
        assert!(seen.len() > 50);
        let strays = resets_and_twins(&seen);
        assert!(strays.is_empty(), "{family:?}: {strays:#?}");
    }
}

macro_rules! two_ports_are_one_service {
    ($($name:ident $method:ident)+) => {$(
        mod $name {
            use super::{Method::$method, two_ports_are_one_service};

            #[test]
            fn vip_elsewhere_host() {
                two_ports_are_one_service($method, false, false);
            }

            #[test]
            fn vip_elsewhere_router() {
                two_ports_are_one_service($method, false, true);
            }

            #[test]
            fn vip_on_host() {
                two_ports_are_one_service($method, true, false);
            }

            #[test]
            fn vip_on_router() {
                two_ports_are_one_service($method, true, true);
            }
        }
    )+};
}

two_ports_are_one_service!(grouped_nat Nat grouped_dr Dr grouped_tun Tun grouped_fullnat FullNat);

/// With the other guard, and spread over workers.
#[test]
fn two_workers_and_nftables_do_as_well() {
    for family in Family::BOTH {
        let lan = Plan::of(Method::Nat, 2)
            .vip_on_director(true)
            .ip_forward(true)
            .build();
        let _servers = backends(&lan, Method::Nat);
        let vip = family.vip();
        let rules = || {
            let marks = Marks::new(&lan, Method::Nat, family, "");
            marks.mark_port(vip, 80).mark_port(vip, 443).0
        };
        let two = Lvsd::with(&lan, rules()).workers(2);
        let nftables = Lvsd::with(&lan, rules()).without(&["bpf"]);
        for start in [two, nftables] {
            let _lvsd = start.start();
            let capture = Capture::start(&lan.client, "eth0", "tcp");
            for port in ["/", ":443/"] {
                let who = served(&lan, vip, port, 20);
                assert_eq!(who, BTreeSet::from(["r1".into(), "r2".into()]));
            }
            let seen = capture.stop();
            let strays = resets_and_twins(&seen);
            assert!(strays.is_empty(), "{family:?}: {strays:#?}");
        }
    }
}

/// A network behind the director, of which nobody holds an address but where the test says so.
fn far(family: Family, host: u8) -> IpAddr {
    let text = match family {
        Family::V4 => format!("10.20.0.{host}"),
        Family::V6 => format!("fd00:20::{host}"),
    };
    text.parse().expect("an address")
}

fn far_network(family: Family) -> &'static str {
    match family {
        Family::V4 => "10.20.0.0/24",
        Family::V6 => "fd00:20::/64",
    }
}

/// Connections through the director to any address of a network are served by the real servers (a transparent
/// proxy, say); whatever else goes there is the host's.
fn a_whole_network_is_a_service(method: Method, ip_forward: bool) {
    for family in Family::BOTH {
        let lan = Plan::of(method, 2).ip_forward(ip_forward).build();
        let _servers = backends(&lan, method);
        let network = far_network(family);
        if method == Method::Dr {
            // Servers of direct routing hold the addresses that they are asked for.
            for server in &lan.servers {
                server.ip(&format!("route add local {network} dev lo\n"));
            }
        }
        let held = far(family, 200);
        lan.director.ip(&format!("addr add {held} dev lo\n"));
        let _own = lan.director.web(&[80, 8081]);
        let rules = Marks::new(&lan, method, family, "").mark_port(network, 80);
        let _lvsd = Lvsd::start(&lan, rules.0);
        let capture = Capture::start(&lan.client, "eth0", "tcp port 80");
        for host in [1, 77, 200] {
            let who = served(&lan, far(family, host), "/", 4);
            assert_eq!(who, BTreeSet::from(["r1".into(), "r2".into()]), "{host}");
        }
        let seen = capture.stop();
        let strays = resets_and_twins(&seen);
        assert!(strays.is_empty(), "{family:?}: {strays:#?}");
        assert_eq!(lan.client.fetch(&url(held, ":8081/"), 3), ["director"; 3]);
        lan.client.run(&["ping", "-c1", "-W2", &held.to_string()]);
    }
}

#[test]
fn a_whole_network_is_a_service_by_nat() {
    a_whole_network_is_a_service(Method::Nat, false);
    a_whole_network_is_a_service(Method::Nat, true);
}

#[test]
fn a_whole_network_is_a_service_by_direct_routing() {
    a_whole_network_is_a_service(Method::Dr, false);
    a_whole_network_is_a_service(Method::Dr, true);
}

/// The same address and port, marked on one interface and not on the other.
#[test]
fn the_interface_decides() {
    for family in Family::BOTH {
        let lan = Plan::of(Method::Nat, 2).ip_forward(true).build();
        let _servers = backends(&lan, Method::Nat);
        let held = far(family, 200);
        lan.director.ip(&format!("addr add {held} dev lo\n"));
        let _own = lan.director.web(&[80]);
        let what = format!("--interface eth0 --destination {held} --protocol tcp");
        let rules = Marks::new(&lan, Method::Nat, family, "").mark(what);
        let _lvsd = Lvsd::start(&lan, rules.0);
        assert_eq!(
            served(&lan, held, "/", 4),
            BTreeSet::from(["r1".into(), "r2".into()])
        );
        for server in &lan.servers {
            assert_eq!(server.fetch(&url(held, "/"), 2), ["director"; 2]);
        }
    }
}

#[test]
fn an_interface_that_is_not_there_is_refused() {
    let lan = Plan::of(Method::Nat, 1).build();
    let rules = Marks::new(&lan, Method::Nat, Family::V4, "").mark("--interface wan7");
    let refused = Lvsd::with(&lan, rules.0).refused();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("wan7"), "{said}");
}

/// The first rule that matches decides.
#[test]
fn mark_0_takes_packets_out() {
    let lan = Plan::of(Method::Nat, 1).vip_on_director(true).build();
    let _servers = backends(&lan, Method::Nat);
    let _own = lan.director.web(&[80]);
    for family in Family::BOTH {
        let vip = family.vip();
        let rules = Marks::new(&lan, Method::Nat, family, "").mark(format!("--destination {vip}"));
        let out = format!("--mark 0 --source {} --protocol tcp\n", family.client());
        let lvsd = Lvsd::start(&lan, format!("{out}{}", rules.0));
        assert_eq!(
            served(&lan, vip, "/", 2),
            BTreeSet::from(["director".into()])
        );
        lvsd.kill();
        let _lvsd = Lvsd::start(&lan, format!("{}{out}", rules.0));
        assert_eq!(served(&lan, vip, "/", 2), BTreeSet::from(["r1".into()]));
    }
}

/// Killed, lvsd leaves the marked packets to the host's own server.
#[test]
fn killed_it_gives_the_host_its_packets_back() {
    for family in Family::BOTH {
        let lan = Plan::of(Method::Nat, 2)
            .vip_on_director(true)
            .ip_forward(true)
            .build();
        let _servers = backends(&lan, Method::Nat);
        let _own = lan.director.web(&[80]);
        let (vip, network) = (
            family.vip(),
            match family {
                Family::V4 => "10.9.0.0/24",
                Family::V6 => "fd00:9::/64",
            },
        );
        let director = BTreeSet::from(["director".to_owned()]);
        assert_eq!(served(&lan, vip, "/", 2), director);
        let rules = Marks::new(&lan, Method::Nat, family, "").mark_port(network, 80);
        let lvsd = Lvsd::start(&lan, rules.0);
        assert_eq!(served(&lan, vip, "/", 4).len(), 2);
        assert_eq!(
            served(&lan, family.director(), "/", 4).len(),
            2,
            "also in the network"
        );
        lvsd.kill();
        assert_eq!(served(&lan, vip, "/", 2), director);
    }
}

/// A persistent service of all ports; its servers are also clients of others, by way of the director.
fn all_ports_are_one_service(vip_on_director: bool) {
    for family in Family::BOTH {
        let lan = Plan::of(Method::Nat, 2)
            .vip_on_director(vip_on_director)
            .ip_forward(true)
            .build();
        let _servers = backends(&lan, Method::Nat);
        let (_own, _clients) = (lan.director.web(&[8081]), lan.client.web(&[80]));
        let vip = match family {
            Family::V4 => format!("{}:0", family.vip()),
            Family::V6 => format!("[{}]:0", family.vip()),
        };
        let mut rules = format!("-A -t {vip} -s rr -p 60\n");
        for server in lan.server_addresses(family) {
            let _ = writeln!(rules, "-a -t {vip} -r {server} -m");
        }
        let mut lvsd = Lvsd::start(&lan, rules);
        let capture = Capture::start(&lan.client, "eth0", "tcp");
        let who = served(&lan, family.vip(), "/", 5);
        assert_eq!(who.len(), 1);
        assert_eq!(served(&lan, family.vip(), ":443/", 5), who);
        let strays_at = |seen: &[Packet]| resets_and_twins(seen).len();
        assert_eq!(strays_at(&capture.stop()), 0);
        // The host's own port of the VIP is the service's now; its other address is its own.
        let at_vip = lan
            .client
            .curl(&["--max-time", "2", &url(family.vip(), ":8081/")]);
        assert!(
            !at_vip.status.success(),
            "nobody listens at the servers' port 8081"
        );
        assert_eq!(
            lan.client.fetch(&url(family.director(), ":8081/"), 2),
            ["director"; 2]
        );
        for server in &lan.servers {
            assert_eq!(server.fetch(&url(family.client(), "/"), 3), ["client"; 3]);
        }
        lan.director.fetch(&url(lan.server(family, 0), "/"), 1);
        let summary = lvsd.summary("given back");
        assert!(summary.contains("persistence templates: 1"), "{summary}");
    }
}

#[test]
fn all_ports_are_one_service_where_nobody_holds_the_vip() {
    all_ports_are_one_service(false);
}

#[test]
fn all_ports_are_one_service_on_a_host_with_the_vip() {
    all_ports_are_one_service(true);
}

/// FTP's data connections may come to any high port. What is none goes to the host's own servers there.
#[test]
fn beside_an_ftp_service_the_host_keeps_its_ports() {
    let lan = Plan::of(Method::Nat, 1)
        .vip_on_director(true)
        .ip_forward(true)
        .build();
    let (_own, _clients) = (lan.director.web(&[8081]), lan.client.web(&[80]));
    for family in Family::BOTH {
        let service = std::net::SocketAddr::new(family.vip(), 21);
        let server = std::net::SocketAddr::new(lan.server(family, 0), 21);
        let rules = format!("-A -t {service} -s rr\n-a -t {service} -r {server} -m\n");
        let _lvsd = Lvsd::start(&lan, rules);
        assert_eq!(
            lan.client.fetch(&url(family.vip(), ":8081/"), 20),
            vec!["director"; 20]
        );
        // Connections that the host itself makes from the VIP, too.
        let from_vip = ["-sS", "-g", "--max-time", "5", "--interface"];
        let vip = family.vip().to_string();
        let page = url(family.client(), "/");
        let argv = [&["curl"], &from_vip[..], &[&vip, &page]].concat();
        assert_eq!(lan.director.run(&argv), "client\n");
        assert_eq!(
            lan.servers[0].fetch(&url(family.client(), "/"), 20),
            vec!["client"; 20]
        );
    }
}
