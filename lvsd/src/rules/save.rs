//! Rules as `ipvsadm -Sn` prints them, and what it leaves out: thresholds, timeouts, settings, and what is only ours.

use std::fmt;
use std::net::Ipv4Addr;

use lvs_core::dest::GueChecksum;
use lvs_core::service::LocalAddr;
use lvs_core::{Encapsulation, Family, Method, ServiceKey, Sysctls};

use super::service::written;
use super::{RuleSet, ServerRule, ServiceRule, SetTimeouts};

impl fmt::Display for ServiceRule {
    /// The service's line and those of its servers, as [`parse`](super::parse) reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-A {} -s {}", written(self.key), self.scheduler)?;
        if let Some(p) = self.options.persistence {
            write!(f, " -p {}", p.timeout.as_secs())?;
            match self.key.family() {
                Family::V4 if p.prefix < 32 => {
                    let mask = Ipv4Addr::from_bits(!(u32::MAX >> p.prefix));
                    write!(f, " -M {mask}")?;
                }
                Family::V6 if p.prefix < 128 => write!(f, " -M {}", p.prefix)?,
                _ => {}
            }
            if let Some(engine) = p.engine {
                write!(f, " --pe {}", engine.name())?;
            }
        }
        if self.options.one_packet {
            f.write_str(" -o")?;
        }
        let flags = self.flags.all_names(&self.scheduler);
        if !flags.is_empty() {
            write!(f, " -b {}", flags.join(","))?;
        }
        for LocalAddr {
            ip,
            first_port,
            last_port,
        } in &*self.options.local_addrs
        {
            match ip.family() {
                Family::V4 => write!(f, " --local-address {ip}:{first_port}-{last_port}")?,
                Family::V6 => write!(f, " --local-address [{ip}]:{first_port}-{last_port}")?,
            }
        }
        f.write_str("\n")?;
        self.servers
            .iter()
            .try_for_each(|server| server_line(f, self.key, server))
    }
}

fn server_line(f: &mut fmt::Formatter<'_>, key: ServiceKey, server: &ServerRule) -> fmt::Result {
    let o = &server.options;
    let method = match o.method {
        Method::Nat => "-m",
        Method::Tunnel => "-i",
        Method::FullNat => "--fullnat",
        _ => "-g",
    };
    write!(
        f,
        "-a {} -r {} {method} -w {}",
        written(key),
        server.addr,
        o.weight
    )?;
    if o.upper != 0 {
        write!(f, " -x {}", o.upper)?;
    }
    if o.lower != 0 {
        write!(f, " -y {}", o.lower)?;
    }
    if o.method == Method::Tunnel {
        match o.encapsulation {
            Encapsulation::Gre { checksum } => {
                let sum = if checksum { "csum" } else { "nocsum" };
                write!(f, " --tun-type gre --tun-{sum}")?;
            }
            Encapsulation::Gue { port, checksum } => {
                let sum = match checksum {
                    GueChecksum::None => "nocsum",
                    GueChecksum::Full => "csum",
                    GueChecksum::Remote => "remcsum",
                };
                write!(f, " --tun-type gue --tun-port {port} --tun-{sum}")?;
            }
            _ => f.write_str(" --tun-type ipip")?,
        }
    }
    f.write_str("\n")
}

impl fmt::Display for RuleSet {
    /// The whole, as [`parse`](super::parse) reads it; settings only if they differ from the defaults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Sysctls::default();
        for known in Sysctls::NAMES {
            let value = self.sysctls.get(known.name);
            if let Some(value) = value.filter(|v| usual.get(known.name).as_ref() != Some(v)) {
                writeln!(f, "net.ipv4.vs.{} = {value}", known.name)?;
            }
        }
        if self.timeouts != SetTimeouts::default() {
            let SetTimeouts { tcp, tcp_fin, udp } = self.timeouts;
            writeln!(f, "--set {tcp} {tcp_fin} {udp}")?;
        }
        self.marks.iter().try_for_each(|mark| mark.fmt(f))?;
        self.services.iter().try_for_each(|service| service.fmt(f))
    }
}
