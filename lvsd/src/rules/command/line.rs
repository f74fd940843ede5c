//! A command's options and their values, each checked as it is read.

use lvs_core::{Endpoint, Family, Ip, LocalAddr, Method, Protocol, ServiceKey};

use super::super::Names;
use super::super::address::local_address;
use super::super::options::{Checksum, Meaning, Opt, Verb};
use super::super::words::Word;
use super::address::{host, host_port, number};
use super::popt::{self, Item, usage};
use super::{CommandError, MAX_SECONDS, SetTimeouts};

/// The greatest weight and threshold.
const MAX: u32 = i32::MAX as u32;

/// A command as far as its words say; what is not said has ipvsadm's default.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) verb: Verb,
    /// The options that are there, by ipvsadm's names; [`Self::has`] asks.
    given: Vec<&'static str>,
    pub(super) service: Option<ServiceKey>,
    pub(super) scheduler: &'a str,
    pub(super) flags: &'a str,
    /// Persistence's timeout in seconds, 0 without persistence.
    pub(super) timeout: u32,
    /// The mask of IPv4 clients.
    pub(super) mask: u32,
    /// The prefix length of IPv6 clients.
    pub(super) prefix: u8,
    pub(super) engine: Option<&'a str>,
    pub(super) local_addrs: Vec<LocalAddr>,
    pub(super) server: Endpoint,
    pub(super) method: Method,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) tunnel: Tunnel,
    pub(super) tunnel_port: u16,
    pub(super) checksum: Checksum,
    pub(super) timeouts: SetTimeouts,
}

/// The kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    Ipip,
    Gue,
    Gre,
}

impl<'a> Line<'a> {
    pub(super) fn read(words: &'a [&'a str], names: &dyn Names) -> Result<Self, CommandError> {
        let (verb, mut items) = popt::read(words)?;
        let mut line = Self {
            verb,
            given: Vec::new(),
            service: None,
            scheduler: "wlc",
            flags: "",
            timeout: 0,
            mask: u32::MAX,
            prefix: 128,
            engine: None,
            local_addrs: Vec::new(),
            server: Endpoint::new(Ip::UNSPECIFIED, 0),
            method: Method::DirectRoute,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: Tunnel::Ipip,
            tunnel_port: 0,
            checksum: Checksum::None,
            timeouts: SetTimeouts::default(),
        };
        let mut words = Vec::new();
        while let Some(item) = items.next()? {
            match item {
                Item::Option(option, value) => line.option(option, value, names)?,
                Item::Word(word) => words.push(word),
            }
        }
        let mut words = words.as_slice();
        if verb == Verb::Set {
            let [tcp, tcp_fin, udp, rest @ ..] = words else {
                return Err(usage("--set option requires 3 timeout values"));
            };
            line.timeouts = SetTimeouts {
                tcp: seconds(tcp, 0)?,
                tcp_fin: seconds(tcp_fin, 0)?,
                udp: seconds(udp, 0)?,
            };
            words = rest;
        }
        match words.first() {
            Some(word) => Err(usage(format!("unexpected argument {word}"))),
            None => Ok(line),
        }
    }

    /// Whether an option of this name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    fn option(
        &mut self,
        option: &'static Opt,
        value: Option<&'a str>,
        names: &dyn Names,
    ) -> Result<(), CommandError> {
        self.give(option)?;
        let text = value.unwrap_or_default();
        match option.meaning {
            Meaning::Service(protocol) => self.service_address(protocol, text, names)?,
            Meaning::MarkService => {
                let mark = number(text, 1, u32::MAX);
                let refused = || usage(format!("invalid fwmark value `{text}' specified"));
                let (family, mark) = (Family::V4, mark.ok_or_else(refused)?);
                self.service = Some(ServiceKey::Mark { family, mark });
            }
            Meaning::Ipv6 => match self.service {
                Some(ServiceKey::Mark { mark, .. }) => {
                    let family = Family::V6;
                    self.service = Some(ServiceKey::Mark { family, mark });
                    self.prefix = 128;
                }
                _ => return Err(usage("-6 used before -f")),
            },
            Meaning::Scheduler if text.is_empty() => {}
            Meaning::Scheduler => self.scheduler = cut(text, 15),
            Meaning::SchedulerFlags => self.flags = text,
            Meaning::Persistent => {
                self.timeout = match value {
                    None => super::DEFAULT_PERSISTENCE,
                    Some(text) => seconds(text, 1)?,
                }
            }
            Meaning::Netmask => self.netmask(text, names)?,
            Meaning::Engine => self.engine = Some(cut(text, 16)),
            Meaning::OnePacket => {}
            Meaning::LocalAddress => {
                let word = Word {
                    text,
                    line: 1,
                    column: 1,
                };
                let local = local_address(word).map_err(|p| usage(p.message))?;
                self.local_addrs.push(local);
            }
            Meaning::RealServer => {
                // A mark's packets count as TCP here.
                let protocol = self.service.map(|s| s.protocol().unwrap_or(Protocol::TCP));
                let refused = || usage("illegal real server address[:port] specified");
                let (ip, port) = host_port(text, protocol, names).ok_or_else(refused)?;
                let usual = self.service.map_or(0, |s| s.port());
                self.server = Endpoint::new(ip, port.unwrap_or(usual));
            }
            Meaning::Method(method) => self.method = method,
            Meaning::Weight => self.weight = value_of(text, 0, MAX, "weight")?,
            Meaning::Upper => self.upper = value_of(text, 0, MAX, "u_threshold")?,
            Meaning::Lower => self.lower = value_of(text, 0, MAX, "l_threshold")?,
            Meaning::TunnelType => {
                self.tunnel = match text {
                    "ipip" => Tunnel::Ipip,
                    "gue" => Tunnel::Gue,
                    "gre" => Tunnel::Gre,
                    _ => return Err(usage("illegal tunnel type specified")),
                }
            }
            Meaning::TunnelPort => {
                let port = value_of(text, 1, u32::from(u16::MAX), "tunnel port")?;
                self.tunnel_port = u16::try_from(port).unwrap_or_default();
            }
            Meaning::TunnelChecksum(checksum) => self.checksum = checksum,
            Meaning::Match(_) | Meaning::Elsewhere => {}
        }
        Ok(())
    }

    /// Notes that an option is there: once only, but for those that ipvsadm does not count.
    fn give(&mut self, option: &'static Opt) -> Result<(), CommandError> {
        let may_repeat = matches!(option.meaning, Meaning::Ipv6 | Meaning::LocalAddress)
            || option.long == "sort";
        if self.has(option.name) && !may_repeat {
            let name = option.name;
            return Err(usage(format!("multiple '{name}' options specified")));
        }
        self.given.push(option.name);
        Ok(())
    }

    fn service_address(
        &mut self,
        protocol: Protocol,
        text: &str,
        names: &dyn Names,
    ) -> Result<(), CommandError> {
        let refused = || usage("illegal virtual server address[:port] specified");
        let (ip, port) = host_port(text, Some(protocol), names).ok_or_else(refused)?;
        let addr = Endpoint::new(ip, port.unwrap_or(0));
        self.service = Some(ServiceKey::new(protocol, addr));
        if !ip.is_v4() {
            self.prefix = 128;
        }
        Ok(())
    }

    /// What a mask means depends on the service that has been named before it.
    fn netmask(&mut self, text: &str, names: &dyn Names) -> Result<(), CommandError> {
        if self.service.is_some_and(|s| s.family() == Family::V6) {
            let refused = || usage("illegal ipv6 netmask specified");
            let prefix = number(text, 1, 128).ok_or_else(refused)?;
            self.prefix = u8::try_from(prefix).unwrap_or(128);
            return Ok(());
        }
        let refused = || usage("illegal virtual server persistent mask specified");
        let mask = host(text, names)
            .and_then(|ip| ip.as_v4())
            .ok_or_else(refused)?;
        self.mask = u32::from_be_bytes(mask);
        Ok(())
    }
}

/// Seconds of a timeout.
fn seconds(text: &str, least: u32) -> Result<u32, CommandError> {
    let refused = || usage(format!("invalid timeout value `{text}' specified"));
    number(text, least, MAX_SECONDS).ok_or_else(refused)
}

fn value_of(text: &str, least: u32, most: u32, what: &str) -> Result<u32, CommandError> {
    number(text, least, most).ok_or_else(|| usage(format!("illegal {what} specified")))
}

/// The first characters, as many as fit into that many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
