//! The virtual LAN: a client, a director and real servers, joined by switches.
//!
//! ```text
//!  two arms (NAT, FullNAT)                           one arm (DR, TUN)
//!
//!  client ── 10.9.0.0/24 ── director                 client ─┬─ 10.9.0.0/24 ─┬─ director
//!   .2       fd00:9::/64     .1   │ eth1              .2     │  fd00:9::/64  │   .1
//!                                .1                          r1 .11          r2 .12 …
//!                        10.10.0.0/24                        each with the VIP on lo
//!                        fd00:10::/64
//!                          ┌─────┴─────┐
//!                         r1 .11      r2 .12 …
//! ```
//!
//! The virtual address (VIP) is 10.9.0.100 or fd00:9::100 in both. There may be a second director, with the same arms and 3 where
//! the first one's addresses have 1.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::command::{eventually, run};
use crate::node::Node;
use crate::process::PATIENCE;
use crate::rules::Method;

/// The IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The client.
    pub fn client(self) -> IpAddr {
        self.on_client_side(2, 2)
    }

    /// The director, as the client sees it.
    pub fn director(self) -> IpAddr {
        self.on_client_side(1, 1)
    }

    /// The virtual address.
    pub fn vip(self) -> IpAddr {
        self.on_client_side(100, 0x100)
    }

    /// An address on the server side of a two-armed director that nobody holds: FullNAT's local address.
    pub fn lip(self) -> IpAddr {
        self.on_server_side(250, 0x250)
    }

    fn on_client_side(self, v4: u8, v6: u16) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 9, 0, v4).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, v6).into(),
        }
    }

    fn on_server_side(self, v4: u8, v6: u16) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 10, 0, v4).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, v6).into(),
        }
    }
}

/// What the LAN shall be like.
#[derive(Clone, Debug)]
pub struct Plan {
    servers: usize,
    aliases: usize,
    one_arm: bool,
    gateway: bool,
    offloads: bool,
    vip_on_director: bool,
    ip_forward: bool,
    second: bool,
}

impl Plan {
    /// `servers` real servers behind a director with two arms, their default gateway.
    pub fn two_arms(servers: usize) -> Self {
        Self {
            servers,
            aliases: 0,
            one_arm: false,
            gateway: true,
            offloads: true,
            vip_on_director: false,
            ip_forward: false,
            second: false,
        }
    }

    /// `servers` real servers in the client's own network, each with the VIP on its loopback interface.
    pub fn one_arm(servers: usize) -> Self {
        Self {
            one_arm: true,
            gateway: false,
            ..Self::two_arms(servers)
        }
    }

    /// The layout `method` is made for. With FullNAT the servers know no way to the client but through
    /// the director's local address.
    pub fn of(method: Method, servers: usize) -> Self {
        match method {
            Method::Nat => Self::two_arms(servers),
            Method::FullNat => Self {
                gateway: false,
                ..Self::two_arms(servers)
            },
            Method::Dr | Method::Tun => Self::one_arm(servers),
        }
    }

    /// Gives the servers this many addresses more, round robin: 10.10.0.101 is r1's, .102 is r2's …
    #[must_use]
    pub fn aliases(self, aliases: usize) -> Self {
        Self { aliases, ..self }
    }

    /// Every host computes and verifies every checksum itself, and nothing is aggregated.
    #[must_use]
    pub fn without_offloads(self) -> Self {
        Self {
            offloads: false,
            ..self
        }
    }

    /// The director's interface holds the VIP, as under VRRP.
    #[must_use]
    pub fn vip_on_director(self, vip_on_director: bool) -> Self {
        Self {
            vip_on_director,
            ..self
        }
    }

    /// The director's kernel is a router.
    #[must_use]
    pub fn ip_forward(self, ip_forward: bool) -> Self {
        Self { ip_forward, ..self }
    }

    /// There is a second director: see [`Lan::second`].
    #[must_use]
    pub fn two_directors(self) -> Self {
        Self {
            second: true,
            ..self
        }
    }

    /// Builds it.
    ///
    /// # Panics
    /// Without root, without the tools, or if anything else hinders.
    pub fn build(&self) -> Lan {
        Lan::build(self)
    }
}

/// The hosts of a virtual LAN.
#[derive(Debug)]
pub struct Lan {
    /// The client.
    pub client: Node,
    /// The host lvsd runs on.
    pub director: Node,
    /// The real servers: r1, r2 …
    pub servers: Vec<Node>,
    second: Option<Node>,
    plan: Plan,
    switch: Node,
    _dir: TempDir,
}

impl Lan {
    fn build(plan: &Plan) -> Self {
        static SWEEP: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            run(&["id", "-u"]).trim() == "0",
            "these tests build network namespaces and need root: sudo scripts/test"
        );
        SWEEP.call_once(sweep);
        let prefix = format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed)
        );
        let dir = TempDir::new(&prefix);
        let node = |title: &str| Node::new(&prefix, title, &dir.0);
        let lan = Self {
            client: node("client"),
            director: node("director"),
            servers: (1..=plan.servers).map(|i| node(&format!("r{i}"))).collect(),
            second: plan.second.then(|| node("second")),
            plan: plan.clone(),
            switch: node("switch"),
            _dir: dir,
        };
        lan.cable();
        lan.address();
        lan.settle();
        lan
    }

    /// Switches, and a cable from each host to its own.
    fn cable(&self) {
        let switch = &self.switch;
        switch.sysctl(&[("net.ipv6.conf.default.disable_ipv6", "1")]);
        // A switch looks at no IP header; Linux's does where br_netfilter is there, and drops bad ones.
        for tables in ["iptables", "ip6tables", "arptables"] {
            let name = format!("net.bridge.bridge-nf-call-{tables}");
            switch.output(&["sysctl", "-qw", &format!("{name}=0")]);
        }
        let mut batch = String::new();
        for bridge in ["clients", "servers"] {
            batch += &format!("link add {bridge} type bridge mcast_snooping 0\n");
            batch += &format!("link set {bridge} up\n");
        }
        let mut plug = |node: &Node, dev: &str, bridge: &str| {
            let port = format!("{}-{dev}", node.title());
            let ns = node.ns();
            batch += &format!("link add {port} type veth peer name {dev} netns {ns}\n");
            batch += &format!("link set {port} master {bridge} up\n");
        };
        plug(&self.client, "eth0", "clients");
        for director in self.directors() {
            plug(director, "eth0", "clients");
            if !self.plan.one_arm {
                plug(director, "eth1", "servers");
            }
        }
        for server in &self.servers {
            let bridge = if self.plan.one_arm {
                "clients"
            } else {
                "servers"
            };
            plug(server, "eth0", bridge);
        }
        switch.ip(&batch);
    }

    /// Takes a host's cable out, but leaves it the interface: nobody there answers, not even ARP.
    pub fn unplug(&self, node: &Node, dev: &str) {
        let port = format!("{}-{dev}", node.title());
        self.switch.ip(&format!("link set {port} down\n"));
    }

    /// Puts it back.
    pub fn plug(&self, node: &Node, dev: &str) {
        let port = format!("{}-{dev}", node.title());
        self.switch.ip(&format!("link set {port} up\n"));
    }

    /// From now on these hosts hear nothing of each other, though everybody else hears them.
    pub fn part(&self, nodes: &[&Node]) {
        self.isolate(nodes, "on");
    }

    /// They hear each other again.
    pub fn heal(&self, nodes: &[&Node]) {
        self.isolate(nodes, "off");
    }

    fn isolate(&self, nodes: &[&Node], isolated: &str) {
        for node in nodes {
            for dev in self.devices(node) {
                let port = format!("{}-{dev}", node.title());
                let words = ["bridge", "link", "set", "dev", &port, "isolated", isolated];
                self.switch.run(&words);
            }
        }
    }

    fn address(&self) {
        self.client.ip("link set eth0 up\n\
             addr add 10.9.0.2/24 dev eth0\n\
             addr add fd00:9::2/64 dev eth0 nodad\n\
             route add default via 10.9.0.1\n\
             route add default via fd00:9::1\n");
        for (director, n) in self.directors().zip([1, 3]) {
            director.ip(&format!(
                "link set eth0 up\n\
                 addr add 10.9.0.{n}/24 dev eth0\n\
                 addr add fd00:9::{n}/64 dev eth0 nodad\n"
            ));
            if !self.plan.one_arm {
                director.ip(&format!(
                    "link set eth1 up\n\
                     addr add 10.10.0.{n}/24 dev eth1\n\
                     addr add fd00:10::{n}/64 dev eth1 nodad\n"
                ));
            }
        }
        if self.plan.vip_on_director {
            self.director
                .ip("addr add 10.9.0.100/32 dev eth0\naddr add fd00:9::100/128 dev eth0 nodad\n");
        }
        for (i, server) in self.servers.iter().enumerate() {
            let mut batch = "link set eth0 up\n".to_owned();
            for family in Family::BOTH {
                let (length, suffix) = match family {
                    Family::V4 => (24, ""),
                    Family::V6 => (64, " nodad"),
                };
                let own = self.server(family, i);
                let aliases = (i..self.plan.aliases).step_by(self.servers.len());
                for ip in [own]
                    .into_iter()
                    .chain(aliases.map(|n| self.alias(family, n)))
                {
                    batch += &format!("addr add {ip}/{length} dev eth0{suffix}\n");
                }
            }
            if self.plan.one_arm {
                // Held, but never claimed on the network.
                server.sysctl(&[
                    ("net.ipv4.conf.all.arp_ignore", "1"),
                    ("net.ipv4.conf.all.arp_announce", "2"),
                ]);
                batch += "addr add 10.9.0.100/32 dev lo\naddr add fd00:9::100/128 dev lo nodad\n";
            }
            if self.plan.gateway {
                batch += "route add default via 10.10.0.1\nroute add default via fd00:10::1\n";
            }
            server.ip(&batch);
        }
    }

    fn settle(&self) {
        // A machine may be so busy that its switches begin to forward only after neighbours have given up looking.
        let forwards = || !self.switch.run(&["bridge", "link"]).contains("disabled");
        assert!(eventually(PATIENCE, forwards), "a switch does not forward");
        // Likewise the kernel routes to its own IPv6 addresses a moment after it has taken them.
        for node in self.hosts() {
            let knows_itself = || {
                let routes = run(&[
                    "ip",
                    "-n",
                    node.ns(),
                    "-6",
                    "route",
                    "show",
                    "table",
                    "local",
                ]);
                let own = node.addresses().into_iter().filter(|ip| ip.contains(':'));
                own.map(|ip| format!("local {ip} "))
                    .all(|route| routes.contains(&route))
            };
            assert!(eventually(PATIENCE, knows_itself), "{}", node.title());
        }
        let forward = if self.plan.ip_forward { "1" } else { "0" };
        for director in self.directors() {
            director.sysctl(&[
                ("net.ipv4.ip_forward", forward),
                ("net.ipv6.conf.all.forwarding", forward),
            ]);
        }
        if !self.plan.offloads {
            for node in self.hosts() {
                for dev in self.devices(node) {
                    let off = "tx off rx off tso off gso off gro off";
                    let words = off.split(' ');
                    node.run(
                        &["ethtool", "-K", dev]
                            .into_iter()
                            .chain(words)
                            .collect::<Vec<_>>(),
                    );
                }
            }
        }
    }

    fn devices(&self, node: &Node) -> &'static [&'static str] {
        let is_director = self.directors().any(|d| d.ns() == node.ns());
        if is_director && !self.plan.one_arm {
            &["eth0", "eth1"]
        } else {
            &["eth0"]
        }
    }

    /// The second director.
    ///
    /// # Panics
    /// If the plan has none.
    pub fn second(&self) -> &Node {
        let second = self.second.as_ref();
        second.expect("the plan has two directors")
    }

    fn directors(&self) -> impl Iterator<Item = &Node> {
        [&self.director].into_iter().chain(&self.second)
    }

    /// All but the switch.
    fn hosts(&self) -> impl Iterator<Item = &Node> {
        let others = self.servers.iter().chain([&self.client]);
        others.chain(self.directors())
    }

    /// The address of the real server with this index (0 is r1).
    pub fn server(&self, family: Family, index: usize) -> IpAddr {
        let n = 1 + u8::try_from(index).expect("few servers");
        if self.plan.one_arm {
            family.on_client_side(10 + n, 0x10 + u16::from(n))
        } else {
            family.on_server_side(10 + n, 0x10 + u16::from(n))
        }
    }

    /// The additional server address with this index.
    pub fn alias(&self, family: Family, index: usize) -> IpAddr {
        let n = 1 + u8::try_from(index).expect("few aliases");
        family.on_server_side(100 + n, 0x100 + u16::from(n))
    }

    /// The real servers' addresses, r1's first.
    pub fn server_addresses(&self, family: Family) -> Vec<IpAddr> {
        (0..self.servers.len())
            .map(|i| self.server(family, i))
            .collect()
    }
}

/// What the names of our namespaces and folders begin with; the process id follows.
const PREFIX: &str = "lvs-e2e-";

/// Removes what a run that was killed has left behind.
fn sweep() {
    for line in run(&["ip", "netns", "list"]).lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let owner = name.strip_prefix(PREFIX).and_then(|r| r.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            run(&["ip", "netns", "del", name]);
        }
    }
}

/// A folder that is removed when dropped.
#[derive(Debug)]
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("the temporary folder can be written to");
        Self(dir)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Left for the system to clean up if it cannot be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}
