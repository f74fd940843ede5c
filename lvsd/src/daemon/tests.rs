//! A director whose virtual addresses come and go, in a network of its own. Needs root.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lvs_core::{Endpoint, Family, Ip, Method};
use lvs_fwd::hidden::Entry;
use lvs_fwd::io::netlink::Config;

use super::*;
use crate::control::desk::Plane as _;
use crate::demo::host::Host;
use crate::demo::http::Server;
use crate::demo::lan::{FAMILIES, Lan, SERVERS, Side};
use crate::demo::{load, plan, trial};
use crate::rules::{self, SystemNames};

/// How long a busy machine may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(60);
const ROUTER: &str = "00:00:5e:00:01:33";
const SERVED: [&str; SERVERS] = ["rs1", "rs2", "rs3"];
/// The host's own web server.
const HOST: [&str; 1] = ["director"];

/// A network with a running director.
struct Stage {
    method: Method,
    /// Where the virtual addresses are put.
    interface: &'static str,
    daemon: Daemon,
    lan: Lan,
    _servers: Vec<Server>,
}

impl Stage {
    /// Services by this method and others, none of which is governed yet. `interface` is made before if there is none.
    fn set(method: Method, interface: &'static str) -> Self {
        let lan = Lan::build(&plan::vips_on_servers()).unwrap();
        let mut servers: Vec<Server> = (0..SERVERS)
            .flat_map(|i| trial::start_server(&lan, i).unwrap())
            .collect();
        if method == Method::Nat {
            lan.reply_through_director(true).unwrap();
        }
        // Each interface answers for what it has itself.
        lan.director
            .sysctl("net/ipv4/conf/all/arp_ignore", "1")
            .unwrap();
        for name in ["all", "default", "eth0"] {
            let name = format!("net/ipv4/conf/{name}/rp_filter");
            lan.director.sysctl(&name, "0").unwrap();
        }
        if interface != "eth0" {
            let make = format!(
                "link add link eth0 name {interface} address {ROUTER} type macvlan mode private"
            );
            ip(&lan.director, &make);
            ip(&lan.director, &format!("link set {interface} up"));
        }
        let own = lan.director.run(|| Server::start("director", 80)).unwrap();
        servers.push(own);
        let rules = read(&plan::rules(None));
        let daemon = start(&lan.director, rules);
        Self {
            method,
            interface,
            daemon,
            lan,
            _servers: servers,
        }
    }

    fn vip(&self, family: Family) -> Ip {
        plan::vip(self.method, family)
    }

    fn govern(&self, held: bool) {
        let governed: HashSet<Ip> = FAMILIES.map(|f| self.vip(f)).into();
        let held = if held {
            governed.clone()
        } else {
            HashSet::new()
        };
        let addresses = VirtualAddresses { governed, held };
        self.daemon.live.virtual_addresses(Arc::new(addresses));
    }

    /// Puts the virtual addresses on their interface, or takes them off.
    fn put(&self, there: bool) {
        let vips = FAMILIES.map(|f| self.vip(f));
        let interface = self.interface;
        let put = move || {
            let mut config = Config::new()?;
            vips.into_iter().try_for_each(|vip| {
                let len = if vip.is_v4() { 32 } else { 128 };
                match there {
                    true => config.add_address(interface, vip, len),
                    false => config.remove_address(interface, vip, len),
                }
            })
        };
        self.lan.director.run(put).unwrap();
    }

    /// Who answers at the virtual address, asked so often that each server has its turn. Nobody asked twice.
    fn asked(&self, family: Family) -> io::Result<BTreeSet<String>> {
        let target = SocketAddr::new(self.vip(family).into(), 80);
        let ask = move || (0..12).map(|_| load::ask(target)).collect();
        self.lan.client.run(ask)
    }

    /// Asserts that these answer, from now on.
    #[track_caller]
    fn is_served_by<const N: usize>(&self, names: [&str; N]) {
        for family in FAMILIES {
            let got = self.asked(family).map_err(|e| format!("{family:?}: {e}"));
            assert_eq!(got, Ok(names.map(str::to_owned).into()), "{family:?}");
        }
    }

    /// The same once the network has settled.
    #[track_caller]
    fn comes_to_be_served_by<const N: usize>(&self, names: [&str; N]) {
        let names: BTreeSet<String> = names.map(str::to_owned).into();
        for family in FAMILIES {
            let come = || self.asked(family).is_ok_and(|got| got == names);
            assert!(eventually(come), "{family:?}: {:?}", self.asked(family));
        }
    }

    #[track_caller]
    fn is_nowhere(&self) {
        for family in FAMILIES {
            let error = self.asked(family).expect_err("somebody answers");
            assert_ne!(error.kind(), ErrorKind::ConnectionRefused);
        }
    }

    /// The link-layer address that the client has in mind for the virtual one.
    fn neighbour(&self, family: Family) -> String {
        let vip = self.vip(family);
        let shown = ip(&self.lan.client, &format!("neigh show {vip}"));
        let mac = shown.split("lladdr ").nth(1);
        let mac = mac.and_then(|rest| rest.split(' ').next());
        mac.unwrap_or(&shown).to_owned()
    }

    fn hidden(&self) -> HashSet<Entry> {
        let guard = guard::lock(&self.daemon.live.guard);
        guard.hidden().entries().copied().collect()
    }
}

fn read(text: &str) -> RuleSet {
    rules::parse(text, &SystemNames::default()).unwrap()
}

fn start(host: &Host, rules: RuleSet) -> Daemon {
    let options = Options {
        rules,
        ..Options::default()
    };
    let start = move || Daemon::start(options).map_err(io::Error::other);
    host.run(start).unwrap()
}

fn eventually(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !what() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Runs `ip` on a host and returns what it prints.
#[track_caller]
fn ip(host: &Host, words: &str) -> String {
    let argv: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let output = host.run(move || Command::new("ip").args(argv).output());
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The whole life of an address: on no host, put on an interface before and after it is held, held without being there,
/// given up again.
fn services_follow(method: Method, interface: &'static str) {
    let stage = Stage::set(method, interface);
    assert_eq!(stage.daemon.live.interfaces, ["eth0", "eth1"]);
    stage.comes_to_be_served_by(SERVED);

    stage.govern(false);
    for family in FAMILIES {
        let vip = stage.vip(family);
        let forget = format!("neigh del {vip} dev eth0");
        assert!(eventually(|| {
            ip(&stage.lan.client, &forget);
            stage.asked(family).is_err()
        }));
    }
    stage.is_nowhere();
    let other = SocketAddr::new(plan::vip(Method::FullNat, Family::V4).into(), 80);
    stage.lan.client.run(move || load::ask(other)).unwrap();

    stage.put(true);
    stage.comes_to_be_served_by(HOST);
    let mac = match interface {
        "eth0" => "02:00:00:00:00:01",
        _ => ROUTER,
    };
    assert_eq!(FAMILIES.map(|f| stage.neighbour(f)), [mac; 2]);

    stage.govern(true);
    stage.is_served_by(SERVED);
    stage.put(false);
    stage.is_served_by(SERVED);
    stage.put(true);
    stage.is_served_by(SERVED);
    assert_eq!(FAMILIES.map(|f| stage.neighbour(f)), [mac; 2]);

    for _ in 0..5 {
        stage.govern(false);
        stage.is_served_by(HOST);
        stage.govern(true);
        stage.is_served_by(SERVED);
    }
    stage.put(false);
    stage.govern(false);
    stage.is_nowhere();
    let vips = FAMILIES.map(|f| stage.vip(f));
    let of_ours = |e: &Entry| matches!(e, Entry::Virtual { addr, .. } if vips.contains(&addr.ip));
    // The other services' servers send no replies.
    let of_nat = |e: &Entry| method == Method::Nat && matches!(e, Entry::Reply { .. });
    let is_ours = |e: &Entry| of_ours(e) || of_nat(e);
    assert!(eventually(|| !stage.hidden().iter().any(is_ours)));

    // What is changed meanwhile stands by too.
    let more = FAMILIES.map(|f| {
        let at = Endpoint::new(stage.vip(f), 8080);
        let server = Endpoint::new(Side::Servers.ip(f, Lan::server(0)), 8080);
        format!("-A -t {at} -s rr\n-a -t {at} -r {server} -m\n")
    });
    let rules = plan::rules(None) + &more.concat();
    stage.daemon.replace_rules(read(&rules)).unwrap();
    assert!(!stage.hidden().iter().any(of_ours));
    stage.govern(true);
    let at = |f| Entry::Virtual {
        protocol: lvs_core::Protocol::TCP,
        addr: Endpoint::new(stage.vip(f), 8080),
    };
    assert!(FAMILIES.iter().all(|f| stage.hidden().contains(&at(*f))));
    stage.put(true);
    stage.comes_to_be_served_by(SERVED);
}

#[test]
fn by_nat_services_follow_their_virtual_addresses() {
    services_follow(Method::Nat, "eth0");
}

#[test]
fn by_direct_routing_services_follow_their_virtual_addresses() {
    services_follow(Method::DirectRoute, "eth0");
}

#[test]
fn by_nat_services_follow_addresses_on_a_macvlan() {
    services_follow(Method::Nat, "vrrp.51");
}

#[test]
fn by_direct_routing_services_follow_addresses_on_a_macvlan() {
    services_follow(Method::DirectRoute, "vrrp.51");
}

/// Connections rest as long as another director has the address, and go on if it comes back in time.
#[test]
fn connections_outlast_a_pause() {
    let stage = Stage::set(Method::Nat, "eth0");
    stage.govern(true);
    stage.put(true);
    stage.comes_to_be_served_by(SERVED);
    let target = SocketAddr::new(stage.vip(Family::V4).into(), 80);
    let mut stream = stage
        .lan
        .client
        .run(move || TcpStream::connect_timeout(&target, PATIENCE))
        .unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stage.put(false);
    let director = stage.daemon.live.director.clone();
    let connections = director.connection_count();
    stage.govern(false);
    // A host without the address drops what comes; the client's kernel sends it again.
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let rested = || {
        stage
            .daemon
            .summary()
            .counts()
            .passed(lvs_core::PassReason::Standby)
    };
    assert!(eventually(|| rested() > 0 || !is_hidden(&stage)));
    assert!(director.connection_count() <= connections && director.connection_count() > 0);
    stage.govern(true);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

fn is_hidden(stage: &Stage) -> bool {
    let vip = stage.vip(Family::V4);
    let hides = |e: &Entry| matches!(e, Entry::Virtual { addr, .. } if addr.ip == vip);
    stage.hidden().iter().any(hides)
}

/// A director may be a real server of the other one: as long as that is master it serves what it gets, and balances none
/// of it back.
#[test]
fn a_backup_that_is_a_real_server_serves() {
    let vips = FAMILIES.map(|f| plan::vip(Method::DirectRoute, f));
    let lan = Lan::build(&plan::vips_on_servers()).unwrap();
    let _servers = trial::start_server(&lan, 0).unwrap();
    let _own = lan.director.run(|| Server::start("director", 80)).unwrap();
    lan.director
        .sysctl("net/ipv4/conf/all/arp_ignore", "1")
        .unwrap();
    let mut rules = String::new();
    for (family, vip) in FAMILIES.into_iter().zip(vips) {
        let at = Endpoint::new(vip, 80);
        rules += &format!("-A -t {at} -s rr\n");
        for n in [Lan::server(0), Lan::DIRECTOR] {
            let server = Endpoint::new(Side::Clients.ip(family, n), 80);
            rules += &format!("-a -t {at} -r {server} -g\n");
        }
        let len = if vip.is_v4() { 32 } else { 128 };
        let add = move || Config::new()?.add_address("lo", vip, len);
        lan.director.run(add).unwrap();
        let resolve = format!("neigh replace {vip} lladdr 02:00:00:00:00:01 dev eth0");
        ip(&lan.client, &resolve);
    }
    let daemon = start(&lan.director, read(&rules));
    let stage = Stage {
        method: Method::DirectRoute,
        interface: "lo",
        daemon,
        lan,
        _servers: Vec::new(),
    };
    stage.comes_to_be_served_by(["director", "rs1"]);
    stage.govern(false);
    stage.is_served_by(HOST);
    stage.govern(true);
    stage.is_served_by(["director", "rs1"]);
    stage.govern(false);
    stage.is_served_by(HOST);
}
