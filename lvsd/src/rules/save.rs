//! Rules as `ipvsadm -Sn` prints them, and what it leaves out: thresholds, timeouts, settings, and what is only ours.

use std::fmt;
use std::net::Ipv4Addr;

use lvs_core::dest::GueChecksum;
use lvs_core::service::LocalAddr;
use lvs_core::{Encapsulation, Family, Method, Protocol, ServiceKey, Sysctls};

use super::{MarkRule, RuleSet, ServerRule, ServiceRule, SetTimeouts, marks};

/// How a line names a service.
pub(super) fn written(key: ServiceKey) -> Vec<String> {
    let words = |option: &str, value: String| vec![option.to_owned(), value];
    match key {
        ServiceKey::Mark { family, mark } => {
            let mut words = words("-f", mark.to_string());
            if family == Family::V6 {
                words.push("-6".to_owned());
            }
            words
        }
        ServiceKey::Addr { protocol, addr } => match protocol {
            Protocol::UDP => words("-u", addr.to_string()),
            Protocol::SCTP => words("--sctp-service", addr.to_string()),
            _ => words("-t", addr.to_string()),
        },
    }
}

/// The line of a service, with this command.
pub(super) fn service_words(verb: &str, rule: &ServiceRule) -> Vec<String> {
    let mut line = Line::new(verb);
    line.0.extend(written(rule.key));
    line.option("-s", &rule.scheduler);
    if let Some(p) = rule.options.persistence {
        line.option("-p", p.timeout.as_secs());
        match rule.key.family() {
            Family::V4 if p.prefix < 32 => {
                line.option("-M", Ipv4Addr::from_bits(!(u32::MAX >> p.prefix)));
            }
            Family::V6 if p.prefix < 128 => line.option("-M", p.prefix),
            _ => {}
        }
        if let Some(engine) = p.engine {
            line.option("--pe", engine.name());
        }
    }
    if let Some(engine) = &rule.unknown_engine {
        line.option("--pe", engine);
    }
    if rule.options.one_packet {
        line.flag("-o");
    }
    let flags = rule.flags.all_names(&rule.scheduler);
    if !flags.is_empty() {
        line.option("-b", flags.join(","));
    }
    for LocalAddr {
        ip,
        first_port,
        last_port,
    } in &*rule.options.local_addrs
    {
        let ip = match ip.family() {
            Family::V4 => ip.to_string(),
            Family::V6 => format!("[{ip}]"),
        };
        line.option("--local-address", format!("{ip}:{first_port}-{last_port}"));
    }
    let own = rule.options.timeouts;
    for (option, timeout) in [
        ("--tcp-timeout", own.tcp),
        ("--tcpfin-timeout", own.tcp_fin),
        ("--udp-timeout", own.udp),
    ] {
        if let Some(timeout) = timeout {
            line.option(option, timeout.as_secs());
        }
    }
    line.0
}

/// The line of a server, with this command.
pub(super) fn server_words(verb: &str, key: ServiceKey, server: &ServerRule) -> Vec<String> {
    let o = &server.options;
    let mut line = Line::new(verb);
    line.0.extend(written(key));
    line.option("-r", server.addr);
    line.flag(match o.method {
        Method::Nat => "-m",
        Method::Tunnel => "-i",
        Method::FullNat => "--fullnat",
        _ => "-g",
    });
    line.option("-w", o.weight);
    if o.upper != 0 {
        line.option("-x", o.upper);
    }
    if o.lower != 0 {
        line.option("-y", o.lower);
    }
    if o.method != Method::Tunnel {
        return line.0;
    }
    match o.encapsulation {
        Encapsulation::Gre { checksum } => {
            line.option("--tun-type", "gre");
            line.flag(match checksum {
                true => "--tun-csum",
                false => "--tun-nocsum",
            });
        }
        Encapsulation::Gue { port, checksum } => {
            line.option("--tun-type", "gue");
            line.option("--tun-port", port);
            line.flag(match checksum {
                GueChecksum::None => "--tun-nocsum",
                GueChecksum::Full => "--tun-csum",
                GueChecksum::Remote => "--tun-remcsum",
            });
        }
        _ => line.option("--tun-type", "ipip"),
    }
    line.0
}

/// The line of a rule for marks, with this command.
pub(super) fn mark_words(verb: &str, mark: &MarkRule) -> Vec<String> {
    let rule = &mark.rule;
    let mut line = Line::new(verb);
    line.flag(&rule.mark.to_string());
    if let Some(source) = rule.source {
        line.option("--source", source);
    }
    if let Some(destination) = rule.destination {
        line.option("--destination", destination);
    }
    if let Some(name) = rule.protocol.and_then(marks::protocol_name) {
        line.option("--protocol", name);
    }
    for (option, ports) in [
        ("--source-port", &rule.source_ports),
        ("--destination-port", &rule.destination_ports),
    ] {
        match ports {
            Some(ports) if ports.start() == ports.end() => line.option(option, ports.start()),
            Some(ports) => line.option(option, format!("{}-{}", ports.start(), ports.end())),
            None => {}
        }
    }
    if let Some(interface) = &mark.interface {
        line.option("--interface", interface);
    }
    line.0
}

/// A line's words as they are put together.
struct Line(Vec<String>);

impl Line {
    fn new(verb: &str) -> Self {
        Self(vec![verb.to_owned()])
    }

    fn flag(&mut self, word: &str) {
        self.0.push(word.to_owned());
    }

    fn option(&mut self, option: &str, value: impl fmt::Display) {
        self.0.extend([option.to_owned(), value.to_string()]);
    }
}

impl fmt::Display for ServiceRule {
    /// The service's line and those of its servers, as [`parse`](super::parse) reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", service_words("-A", self).join(" "))?;
        self.servers
            .iter()
            .try_for_each(|s| writeln!(f, "{}", server_words("-a", self.key, s).join(" ")))
    }
}

impl fmt::Display for MarkRule {
    /// The line, as [`parse`](super::parse) reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", mark_words("--mark", self).join(" "))
    }
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
