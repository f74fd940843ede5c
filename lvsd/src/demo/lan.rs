//! The virtual LAN of the demonstration.
//!
//! ```text
//!  client .2 ────┬──────────── clients' network 10.9.0.0/24, fd00:9::/64 ───┐
//!                │                                                          │ eth0
//!         eth0 .1│                                                 rs1 .11  rs2 .12  rs3 .13
//!            director                                                       │ eth1
//!         eth1 .1│                                                          │
//!                └──────────── servers' network 10.10.0.0/24, fd00:10::/64 ─┘
//! ```
//!
//! Every forwarding method has virtual addresses of its own in the clients' network, which nobody holds
//! but the director's data plane, and for DR and TUN the real servers on their loopback interfaces. With
//! NAT and FullNAT the director meets the servers in their own network; with DR in the clients' network,
//! since the frame must reach them unchanged; a tunnel's outer packets go to their own network and their
//! replies straight to the client. Whether replies to the client go through the director is switched by
//! [`Lan::reply_through_director`].

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use lvs_core::{Family, Ip};
use lvs_fwd::io::netlink::{Config, VethEnd};
use lvs_fwd::route::Mac;

use super::host::Host;

/// Both families.
pub const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
/// How many real servers there are.
pub const SERVERS: usize = 3;

const MTU: u32 = 1500;
/// Each server's two ports at the switch.
const SIDES: [Side; 2] = [Side::Clients, Side::Servers];

/// One of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where the client is, and the virtual addresses are.
    Clients,
    /// Where the servers are.
    Servers,
}

impl Side {
    /// The address of host `n` there.
    pub fn ip(self, family: Family, n: u8) -> Ip {
        let (v4, v6) = match self {
            Self::Clients => (9, 9),
            Self::Servers => (10, 0x10),
        };
        // Written as it is spoken: host 11 is 10.9.0.11 and fd00:9::11.
        let spoken = u16::from(n / 100) << 8 | u16::from(n / 10 % 10) << 4 | u16::from(n % 10);
        match family {
            Family::V4 => Ipv4Addr::new(10, v4, 0, n).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, v6, 0, 0, 0, 0, 0, spoken).into(),
        }
    }

    const fn bridge(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Servers => "servers",
        }
    }

    /// The name of a host's interface there.
    const fn interface(self) -> &'static str {
        match self {
            Self::Clients => "eth0",
            Self::Servers => "eth1",
        }
    }

    const fn prefix_len(family: Family) -> u8 {
        match family {
            Family::V4 => 24,
            Family::V6 => 64,
        }
    }
}

/// Hosts, joined.
#[derive(Debug)]
pub struct Lan {
    /// The client.
    pub client: Host,
    /// The director, two-armed, that forwards nothing by itself.
    pub director: Host,
    /// The real servers.
    pub servers: Vec<Host>,
    switch: Host,
}

impl Lan {
    /// The client's number.
    pub const CLIENT: u8 = 2;
    /// The director's number.
    pub const DIRECTOR: u8 = 1;

    /// The number of the `index`th server.
    pub const fn server(index: usize) -> u8 {
        11 + index as u8
    }

    /// Builds it. `vips` are the virtual addresses that the real servers hold too.
    pub fn build(vips: &[Ip]) -> io::Result<Self> {
        let lan = Self {
            client: Host::new("client")?,
            director: Host::new("director")?,
            servers: (1..=SERVERS)
                .map(|n| Host::new(&format!("rs{n}")))
                .collect::<io::Result<_>>()?,
            switch: Host::new("switch")?,
        };
        lan.switch.run(|| {
            let mut config = Config::new()?;
            for side in SIDES {
                config.bridge(side.bridge())?;
                config.set_up(side.bridge(), true)?;
            }
            Ok(())
        })?;
        for host in lan.hosts() {
            // Addresses can be used at once: nobody else is on this LAN.
            host.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
            host.sysctl("net/ipv6/conf/default/dad_transmits", "0")?;
            host.run(|| Config::new()?.set_up("lo", true))?;
        }
        lan.director.sysctl("net/ipv4/ip_forward", "0")?;
        lan.director.sysctl("net/ipv6/conf/all/forwarding", "0")?;
        lan.client
            .sysctl("net/ipv4/ip_local_port_range", "1024 65535")?;
        for server in &lan.servers {
            // A virtual address is there to be served, not to be found.
            server.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
            server.sysctl("net/ipv4/conf/all/arp_announce", "2")?;
        }

        lan.connect(&lan.client, Self::CLIENT, Side::Clients)?;
        for side in SIDES {
            lan.connect(&lan.director, Self::DIRECTOR, side)?;
            for (i, server) in lan.servers.iter().enumerate() {
                lan.connect(server, Self::server(i), side)?;
            }
        }
        for server in &lan.servers {
            let vips = vips.to_vec();
            server.run(move || {
                let mut config = Config::new()?;
                vips.iter()
                    .try_for_each(|&vip| config.add_address("lo", vip, full_length(vip)))
            })?;
        }
        Ok(lan)
    }

    /// Sends the servers' replies to the client through the director, as NAT needs it, or straight.
    pub fn reply_through_director(&self, yes: bool) -> io::Result<()> {
        for server in &self.servers {
            server.run(move || {
                let mut config = Config::new()?;
                for family in FAMILIES {
                    let client = Side::Clients.ip(family, Self::CLIENT);
                    let dst = (client, full_length(client));
                    let gateway = Some(Side::Servers.ip(family, Self::DIRECTOR));
                    match yes {
                        true => config.add_route(dst, gateway, None)?,
                        false => config.remove_route(dst, gateway, None)?,
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Plugs the `index`th server's cables in, or out.
    pub fn plug(&self, index: usize, plugged: bool) -> io::Result<()> {
        let Some(server) = self.servers.get(index) else {
            return Ok(());
        };
        let ports = SIDES.map(|side| port_name(server, side));
        self.switch.run(move || {
            let mut config = Config::new()?;
            ports.iter().try_for_each(|p| config.set_up(p, plugged))
        })
    }

    fn hosts(&self) -> impl Iterator<Item = &Host> {
        [&self.client, &self.director]
            .into_iter()
            .chain(&self.servers)
    }

    /// Joins a host to one of the networks and gives it its addresses there.
    fn connect(&self, host: &Host, n: u8, side: Side) -> io::Result<()> {
        let namespace = host.namespace()?;
        let port = port_name(host, side);
        self.switch.run(move || {
            let mut config = Config::new()?;
            let here = VethEnd {
                name: &port,
                mac: None,
                namespace: None,
            };
            let there = VethEnd {
                name: side.interface(),
                mac: Some(Mac([2, 0, 0, 0, side as u8, n])),
                namespace: Some(namespace.as_fd()),
            };
            config.veth(here, there, MTU)?;
            config.set_bridge(&port, side.bridge())?;
            config.set_up(&port, true)
        })?;
        host.run(move || {
            let mut config = Config::new()?;
            config.set_up(side.interface(), true)?;
            FAMILIES.into_iter().try_for_each(|family| {
                let len = Side::prefix_len(family);
                config.add_address(side.interface(), side.ip(family, n), len)
            })
        })
    }
}

fn port_name(host: &Host, side: Side) -> String {
    format!("{}-{}", host.name(), side.interface())
}

fn full_length(ip: Ip) -> u8 {
    if ip.is_v4() { 32 } else { 128 }
}
