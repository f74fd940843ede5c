//! Rule files for lvsd: `ipvsadm -S` format, with its extension for FullNAT.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::lan::{Family, Lan};

/// A forwarding method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Destination address and port replaced, and put back in replies.
    Nat,
    /// Only the link-layer destination replaced; replies go straight to the client.
    Dr,
    /// Wrapped into another IP packet; replies go straight to the client.
    Tun,
    /// As NAT, with the source replaced by a local address as well.
    FullNat,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nat, Self::Dr, Self::Tun, Self::FullNat];

    const fn option(self) -> &'static str {
        match self {
            Self::Nat => "-m",
            Self::Dr => "-g",
            Self::Tun => "-i",
            Self::FullNat => "--fullnat",
        }
    }
}

/// A rule file in the making.
///
/// ```
/// use tests::{Method, Rules};
/// let vip = "10.9.0.100".parse().unwrap();
/// let rules = Rules::new().tcp(vip, 80).server("10.10.0.11".parse().unwrap(), 8080, Method::Nat);
/// assert_eq!(
///     rules.to_string(),
///     "-A -t 10.9.0.100:80 -s rr\n-a -t 10.9.0.100:80 -r 10.10.0.11:8080 -m -w 1\n"
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Service>);

#[derive(Clone, Debug)]
struct Service {
    key: String,
    scheduler: String,
    local: Option<IpAddr>,
    tunnel: String,
    servers: Vec<(SocketAddr, Method, u32)>,
}

impl Rules {
    /// No services yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the tests use unless they say otherwise: TCP port 80 and UDP port 7000 of the VIP, spread
    /// over all real servers of `lan` in turn.
    pub fn of(lan: &Lan, method: Method, family: Family) -> Self {
        let (vip, servers) = (family.vip(), lan.server_addresses(family));
        Self::new()
            .tcp(vip, 80)
            .servers(&servers, 80, method)
            .udp(vip, 7000)
            .servers(&servers, 7000, method)
    }

    /// Adds a TCP service with scheduler rr.
    #[must_use]
    pub fn tcp(self, vip: IpAddr, port: u16) -> Self {
        self.service("-t", vip, port)
    }

    /// Adds a UDP service with scheduler rr.
    #[must_use]
    pub fn udp(self, vip: IpAddr, port: u16) -> Self {
        self.service("-u", vip, port)
    }

    /// Adds an SCTP service with scheduler rr.
    #[must_use]
    pub fn sctp(self, vip: IpAddr, port: u16) -> Self {
        self.service("--sctp-service", vip, port)
    }

    fn service(mut self, protocol: &str, vip: IpAddr, port: u16) -> Self {
        self.0.push(Service {
            key: format!("{protocol} {}", SocketAddr::new(vip, port)),
            scheduler: "rr".to_owned(),
            local: None,
            tunnel: String::new(),
            servers: Vec::new(),
        });
        self
    }

    /// Gives the last service another scheduler.
    #[must_use]
    pub fn scheduler(mut self, name: &str) -> Self {
        self.last().scheduler = name.to_owned();
        self
    }

    /// Gives the tunnels of all services so far options of their own, such as `--tun-type gre`.
    #[must_use]
    pub fn tunnel(mut self, options: &str) -> Self {
        for service in &mut self.0 {
            options.clone_into(&mut service.tunnel);
        }
        self
    }

    /// Adds a real server to the last service.
    #[must_use]
    pub fn server(self, ip: IpAddr, port: u16, method: Method) -> Self {
        self.weighted(ip, port, method, 1)
    }

    /// Adds a real server with a weight to the last service.
    #[must_use]
    pub fn weighted(mut self, ip: IpAddr, port: u16, method: Method, weight: u32) -> Self {
        let service = self.last();
        service
            .servers
            .push((SocketAddr::new(ip, port), method, weight));
        if method == Method::FullNat {
            let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
            service.local = Some(family.lip());
        }
        self
    }

    /// Adds real servers to the last service.
    #[must_use]
    pub fn servers(self, ips: &[IpAddr], port: u16, method: Method) -> Self {
        ips.iter()
            .fold(self, |rules, ip| rules.server(*ip, port, method))
    }

    fn last(&mut self) -> &mut Service {
        self.0.last_mut().expect("there is a service")
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for service in &self.0 {
            write!(f, "-A {} -s {}", service.key, service.scheduler)?;
            if let Some(local) = service.local {
                write!(f, " --local-address {local}")?;
            }
            writeln!(f)?;
            for (addr, method, weight) in &service.servers {
                let option = method.option();
                write!(f, "-a {} -r {addr} {option}", service.key)?;
                if *method == Method::Tun && !service.tunnel.is_empty() {
                    write!(f, " {}", service.tunnel)?;
                }
                writeln!(f, " -w {weight}")?;
            }
        }
        Ok(())
    }
}
