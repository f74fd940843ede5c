//! Which server a client gets again: persistence on one port, on all ports, by network and by firewall mark; and what
//! else a service can ask for: thresholds, one-packet scheduling, timeouts.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use tests::command::{eventually, text};
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, Process, UdpAsk, spread};

/// Lines of a service and of all servers of `lan`, at `port` if there is one to write.
fn service(lan: &Lan, method: Method, family: Family, options: &str, port: Option<u16>) -> String {
    let (option, local) = match method {
        Method::Nat => ("-m", String::new()),
        Method::Dr => ("-g", String::new()),
        Method::Tun => ("-i", String::new()),
        Method::FullNat => ("--fullnat", format!(" --local-address {}", family.lip())),
    };
    let (name, rest) = options.split_once(" -s ").expect("a scheduler");
    let mut lines = format!("-A {name} -s {rest}{local}\n");
    for server in lan.server_addresses(family) {
        let server = at(server, port);
        let _ = writeln!(lines, "-a {name} -r {server} {option}");
    }
    lines
}

/// An address as rules have it, with a port or without.
fn at(ip: IpAddr, port: Option<u16>) -> String {
    match (ip, port) {
        (_, None) => ip.to_string(),
        (IpAddr::V4(_), Some(port)) => format!("{ip}:{port}"),
        (IpAddr::V6(_), Some(port)) => format!("[{ip}]:{port}"),
    }
}

/// Further addresses of the client: the last byte of each.
fn more_clients(lan: &Lan, family: Family, hosts: &[u8]) -> Vec<IpAddr> {
    let (length, suffix) = match family {
        Family::V4 => (24, ""),
        Family::V6 => (64, " nodad"),
    };
    let address = |host: &u8| -> IpAddr {
        let text = match family {
            Family::V4 => format!("10.9.0.{host}"),
            Family::V6 => format!("fd00:9::{host:x}"),
        };
        text.parse().expect("an address")
    };
    let all: Vec<_> = hosts.iter().map(address).collect();
    for ip in &all {
        let line = format!("addr add {ip}/{length} dev eth0{suffix}\n");
        lan.client.ip(&line);
    }
    all
}

/// Who serves this client address, over some connections one after the other.
fn served(lan: &Lan, client: IpAddr, url: &str) -> BTreeSet<String> {
    let client = client.to_string();
    let fixed = ["--interface", &client, "-H", "Connection: close", "--fail"];
    let out = lan.client.curl(&[fixed.as_slice(), &[url; 5]].concat());
    assert!(out.status.success(), "{url}: {}", text(&out.stderr));
    text(&out.stdout).lines().map(str::to_owned).collect()
}

/// The one server of this client.
#[track_caller]
fn only(lan: &Lan, client: IpAddr, url: &str) -> String {
    let mut all = served(lan, client, url);
    assert_eq!(all.len(), 1, "{client} at {url}: {all:?}");
    all.pop_first().unwrap_or_default()
}

/// Each of three clients keeps a server of its own, at the persistent port; at another, all servers take turns.
fn a_client_keeps_its_server(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let vip = family.vip();
    let on = |port| at(vip, Some(port));
    let mut rules = service(
        &lan,
        method,
        family,
        &format!("-t {} -s rr -p 300", on(80)),
        Some(80),
    );
    rules += &service(
        &lan,
        method,
        family,
        &format!("-t {} -s rr", on(8080)),
        Some(8080),
    );
    let _lvsd = Lvsd::start(&lan, rules);
    let clients = more_clients(&lan, family, &[31, 32, 33]);
    let find = |client: &IpAddr| only(&lan, *client, &url(vip, "/"));
    let first: Vec<_> = clients.iter().map(find).collect();
    let different: BTreeSet<_> = first.iter().collect();
    assert_eq!(different.len(), 3, "{first:?}");
    let again: Vec<_> = clients.iter().map(find).collect();
    assert_eq!(again, first);
    assert_eq!(served(&lan, clients[0], &url(vip, ":8080/")).len(), 3);
}

tests::for_each_method!(a_client_keeps_its_server);

/// A service of port 0: every port of the address, and for one client always one server.
fn all_ports_go_to_one_server(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let vip = family.vip();
    let name = format!("-t {} -s rr -p 300", at(vip, Some(0)));
    let _lvsd = Lvsd::start(&lan, service(&lan, method, family, &name, Some(0)));
    let clients = more_clients(&lan, family, &[31, 32, 33]);
    let on = |client: &IpAddr, port: &str| only(&lan, *client, &url(vip, port));
    let first: Vec<_> = clients.iter().map(|c| on(c, "/")).collect();
    let different: BTreeSet<_> = first.iter().collect();
    assert_eq!(different.len(), 3, "{first:?}");
    let other: Vec<_> = clients.iter().map(|c| on(c, ":8080/")).collect();
    assert_eq!(other, first);
}

tests::for_each_method!(all_ports_go_to_one_server);

/// With a mask, neighbours count as one client.
#[test]
fn a_network_keeps_its_server() {
    for (family, mask) in [(Family::V4, "255.255.255.254"), (Family::V6, "127")] {
        let lan = Plan::two_arms(3).build();
        let _servers = lan.web();
        let vip = family.vip();
        let name = format!("-t {} -s rr -p 300 -M {mask}", at(vip, Some(80)));
        let _lvsd = Lvsd::start(&lan, service(&lan, Method::Nat, family, &name, Some(80)));
        let clients = more_clients(&lan, family, &[32, 33, 34, 35]);
        let find = |client: &IpAddr| only(&lan, *client, &url(vip, "/"));
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| find(&clients[i]));
        assert_eq!((&a, &c), (&b, &d), "{family:?}");
        assert_ne!(a, c, "{family:?}");
    }
}

/// A mark makes one service of two TCP ports and a UDP port: a client has one server for all of them.
#[test]
fn what_a_mark_groups_goes_to_one_server() {
    for family in Family::BOTH {
        let lan = Plan::two_arms(3).build();
        let mut servers: Vec<Process> = lan.servers.iter().map(|s| s.web(&[80, 443])).collect();
        servers.extend(lan.echo(&[7000]));
        let vip = family.vip();
        let six = if family == Family::V6 { " -6" } else { "" };
        let name = format!("-f 7{six} -s rr -p 300");
        let mut rules = service(&lan, Method::Nat, family, &name, None);
        for what in [
            "tcp --destination-port 80",
            "tcp --destination-port 443",
            "udp",
        ] {
            let _ = writeln!(rules, "--mark 7 --destination {vip} --protocol {what}");
        }
        let _lvsd = Lvsd::start(&lan, rules);
        let own = only(&lan, family.client(), &url(vip, "/"));
        assert_eq!(only(&lan, family.client(), &url(vip, ":443/")), own);
        let echoed = UdpAsk::new(vip, 7000).flows(6).from(&lan.client);
        assert_eq!(spread(&echoed), [(&*own, 6)].into(), "{family:?}");
        // Others have others, at both ports.
        let mut all = BTreeSet::from([own]);
        for client in more_clients(&lan, family, &[31, 32]) {
            let first = only(&lan, client, &url(vip, ":443/"));
            assert_eq!(only(&lan, client, &url(vip, "/")), first);
            all.insert(first);
        }
        assert_eq!(all.len(), 3, "{family:?}");
    }
}

/// Servers take as many connections as their upper threshold says. Those over are refused, until some have ended.
#[test]
fn a_server_has_no_more_connections_than_its_threshold() {
    for family in Family::BOTH {
        let lan = Plan::two_arms(2).build();
        let _servers = lan.echo(&[7000]);
        let (vip, name) = (family.vip(), format!("-u {}", at(family.vip(), Some(7000))));
        let mut rules = format!("--set 0 0 3\n-A {name} -s rr\n");
        for (server, limit) in lan.server_addresses(family).iter().zip([2, 4]) {
            let _ = writeln!(rules, "-a {name} -r {server} -m -x {limit} -y {limit}");
        }
        let _lvsd = Lvsd::start(&lan, rules);
        let served = UdpAsk::new(vip, 7000).flows(10).from(&lan.client);
        let expected = [("r1", 2), ("r2", 4), ("ECONNREFUSED", 4)];
        assert_eq!(spread(&served), expected.into(), "{family:?}");
        let ask = || UdpAsk::new(vip, 7000).from(&lan.client);
        let came_back = eventually(PATIENCE, || ask() != ["ECONNREFUSED"]);
        assert!(
            came_back,
            "{family:?}: connections end 3 s after their last packet"
        );
    }
}

/// With one-packet scheduling the datagrams of one socket go to all servers in turn.
#[test]
fn every_datagram_is_scheduled_anew() {
    for family in Family::BOTH {
        let lan = Plan::one_arm(3).build();
        let _servers = lan.echo(&[7000]);
        let name = format!("-u {} -s rr -o", at(family.vip(), Some(7000)));
        let _lvsd = Lvsd::start(&lan, service(&lan, Method::Dr, family, &name, Some(7000)));
        let ask = UdpAsk::new(family.vip(), 7000).rounds(9);
        let served = ask.from(&lan.client);
        let evenly = [("r1", 3), ("r2", 3), ("r3", 3)].into();
        assert_eq!(spread(&served), evenly, "{family:?}: {served:?}");
        assert!(served.windows(2).all(|w| w[0] != w[1]), "{served:?}");
    }
}
