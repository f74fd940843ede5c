//! A command's options and their values, each checked as it is read.

use std::ops::RangeInclusive;

use lvs_core::{Endpoint, Family, Ip, LocalAddr, Method, Protocol, ServiceKey, ServiceTimeouts};

use super::super::address::local_address;
use super::super::options::{Checksum, Meaning, Opt, Verb};
use super::super::words::Word;
use super::super::{MarkRule, Names};
use super::address::{host, host_port, leading_number, number};
use super::popt::{self, Given, Head, Item};
use super::{CommandError, MAX_SECONDS, Role, SetTimeouts, SyncDaemon};

/// The weights and thresholds there are.
const AMOUNT: RangeInclusive<u32> = 0..=i32::MAX as u32;

/// A command as far as its words say; what is not said has ipvsadm's default.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) verb: Verb,
    /// The options that are there; [`Self::given`] asks.
    given: Vec<Given<'a>>,
    pub(super) service: Option<ServiceKey>,
    pub(super) scheduler: &'a str,
    pub(super) flags: &'a str,
    /// Persistence's timeout in seconds, 0 without persistence.
    pub(super) timeout: u32,
    /// The mask of IPv4 clients.
    pub(super) mask: u32,
    /// The prefix length of IPv6 clients.
    pub(super) prefix: u8,
    /// The name of the persistence engine, empty without one.
    pub(super) engine: &'a str,
    pub(super) local_addrs: Vec<LocalAddr>,
    pub(super) own_timeouts: ServiceTimeouts,
    pub(super) server: Endpoint,
    pub(super) method: Method,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) tunnel: Tunnel,
    pub(super) tunnel_port: u16,
    pub(super) checksum: Checksum,
    pub(super) timeouts: SetTimeouts,
    pub(super) daemon: SyncDaemon,
    pub(super) mark: MarkRule,
}

/// The kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    Ipip,
    Gue,
    Gre,
}

impl<'a> Line<'a> {
    /// Reads the words of a command; of `-h` and `-v` only these.
    pub(super) fn read(words: &'a [&'a str], names: &dyn Names) -> Result<Self, CommandError> {
        let (head, mut items) = popt::read(words)?;
        let mut line = Self {
            verb: head.verb,
            given: Vec::new(),
            service: None,
            scheduler: "wlc",
            flags: "",
            timeout: 0,
            mask: u32::MAX,
            prefix: 128,
            engine: "",
            local_addrs: Vec::new(),
            own_timeouts: ServiceTimeouts::default(),
            server: Endpoint::new(Ip::UNSPECIFIED, 0),
            method: Method::DirectRoute,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: Tunnel::Ipip,
            tunnel_port: 0,
            checksum: Checksum::None,
            timeouts: SetTimeouts::default(),
            daemon: SyncDaemon::default(),
            mark: MarkRule::default(),
        };
        if let Verb::Help | Verb::Version = head.verb {
            return Ok(line);
        }
        line.head(head).map_err(|e| e.at(head.value_at))?;
        let mut words = Vec::new();
        while let Some(item) = items.next()? {
            match item {
                Item::Option(given) => {
                    line.give(given)?;
                    line.option(given, names)
                        .map_err(|e| e.at(given.value_at))?;
                }
                Item::Word(word, at) => words.push((word, at)),
            }
        }
        let mut words = words.as_slice();
        if head.verb == Verb::Set {
            let [tcp, tcp_fin, udp, rest @ ..] = words else {
                let message = "--set option requires 3 timeout values";
                return Err(CommandError::usage(message));
            };
            let read = |(text, at): &(&str, usize)| seconds(text, 0).map_err(|e| e.at(*at));
            line.timeouts = SetTimeouts {
                tcp: read(tcp)?,
                tcp_fin: read(tcp_fin)?,
                udp: read(udp)?,
            };
            words = rest;
        }
        match words.first() {
            Some((word, at)) => {
                Err(CommandError::usage(format!("unexpected argument {word}")).at(*at))
            }
            None => Ok(line),
        }
    }

    /// The option of this name (ipvsadm's, which several can share), if it is there.
    pub(super) fn given(&self, name: &str) -> Option<&Given<'a>> {
        self.given.iter().find(|given| given.option.name == name)
    }

    /// All options that are there, in their order.
    pub(super) fn all_given(&self) -> std::slice::Iter<'_, Given<'a>> {
        self.given.iter()
    }

    /// Whether an option of this name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// Where the value of the option of this name stands.
    pub(super) fn place(&self, name: &str) -> usize {
        self.given(name).map_or(0, |given| given.value_at)
    }

    /// The value of the command itself.
    fn head(&mut self, head: Head<'_>) -> Result<(), CommandError> {
        let role = |refusal| Role::read(head.value).ok_or_else(|| CommandError::usage(refusal));
        match head.verb {
            Verb::StartDaemon => {
                self.daemon.role = role("illegal start-daemon parameter specified")?
            }
            // This is what ipvsadm says.
            Verb::StopDaemon => self.daemon.role = role("illegal start_daemon specified")?,
            Verb::Mark | Verb::Unmark => {
                let mark = self.mark.set_mark(word(head.value));
                mark.map_err(|problem| CommandError::usage(problem.message))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes that an option is there: once only, but for those that ipvsadm does not count.
    fn give(&mut self, given: Given<'a>) -> Result<(), CommandError> {
        let name = given.option.name;
        if self.has(name) && !may_repeat(given.option) {
            let message = format!("multiple '{name}' options specified");
            return Err(CommandError::usage(message).at(given.at));
        }
        self.given.push(given);
        Ok(())
    }

    fn option(&mut self, given: Given<'a>, names: &dyn Names) -> Result<(), CommandError> {
        let text = given.value.unwrap_or_default();
        match given.option.meaning {
            Meaning::Service(protocol) => self.service_address(protocol, text, names)?,
            Meaning::MarkService => {
                let mark = number(text, 1, u32::MAX).ok_or_else(|| {
                    CommandError::usage(format!("invalid fwmark value `{text}' specified"))
                })?;
                let family = Family::V4;
                self.service = Some(ServiceKey::Mark { family, mark });
            }
            Meaning::Ipv6 => match self.service {
                Some(ServiceKey::Mark { mark, .. }) => {
                    let family = Family::V6;
                    self.service = Some(ServiceKey::Mark { family, mark });
                    self.prefix = 128;
                }
                _ => return Err(CommandError::usage("-6 used before -f")),
            },
            Meaning::Scheduler if text.is_empty() => {}
            Meaning::Scheduler => self.scheduler = cut(text, 15),
            Meaning::SchedulerFlags => self.flags = text,
            Meaning::Persistent => {
                self.timeout = match given.value {
                    None => super::DEFAULT_PERSISTENCE,
                    Some(text) => seconds(text, 1)?,
                }
            }
            Meaning::Netmask => self.netmask(text, names)?,
            Meaning::Engine => self.engine = cut(text, 16),
            Meaning::OnePacket => {}
            Meaning::LocalAddress => {
                let local = local_address(word(text));
                let local = local.map_err(|problem| CommandError::usage(problem.message))?;
                self.local_addrs.push(local);
            }
            Meaning::Timeout(which) => which.set(&mut self.own_timeouts, seconds(text, 1)?),
            Meaning::RealServer => {
                // A mark's packets count as TCP here.
                let protocol = self.service.map(|s| s.protocol().unwrap_or(Protocol::TCP));
                let refused =
                    || CommandError::usage("illegal real server address[:port] specified");
                let (ip, port) = host_port(text, protocol, names).ok_or_else(refused)?;
                let usual = self.service.map_or(0, |s| s.port());
                self.server = Endpoint::new(ip, port.unwrap_or(usual));
            }
            Meaning::Method(method) => self.method = method,
            Meaning::Weight => self.weight = value_of(text, AMOUNT, "weight")?,
            Meaning::Upper => self.upper = value_of(text, AMOUNT, "u_threshold")?,
            Meaning::Lower => self.lower = value_of(text, AMOUNT, "l_threshold")?,
            Meaning::TunnelType => {
                self.tunnel = match text {
                    "ipip" => Tunnel::Ipip,
                    "gue" => Tunnel::Gue,
                    "gre" => Tunnel::Gre,
                    _ => return Err(CommandError::usage("illegal tunnel type specified")),
                }
            }
            Meaning::TunnelPort => self.tunnel_port = value_of(text, 1..=65535, "tunnel port")?,
            Meaning::TunnelChecksum(checksum) => self.checksum = checksum,
            Meaning::Sync(option) => self.daemon.set(option, text)?,
            Meaning::Match(criterion) => {
                let set = self.mark.set(criterion, word(text));
                set.map_err(|problem| CommandError::usage(problem.message))?;
            }
            Meaning::Elsewhere => {}
        }
        Ok(())
    }

    fn service_address(
        &mut self,
        protocol: Protocol,
        text: &str,
        names: &dyn Names,
    ) -> Result<(), CommandError> {
        let refused = || CommandError::usage("illegal virtual server address[:port] specified");
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
            let refused = || CommandError::usage("illegal ipv6 netmask specified");
            let prefix = leading_number(text, 1, 128).ok_or_else(refused)?;
            self.prefix = u8::try_from(prefix).unwrap_or(128);
            return Ok(());
        }
        let refused = || CommandError::usage("illegal virtual server persistent mask specified");
        let mask = host(text, names)
            .and_then(|ip| ip.as_v4())
            .ok_or_else(refused)?;
        self.mask = u32::from_be_bytes(mask);
        Ok(())
    }
}

fn may_repeat(option: &Opt) -> bool {
    matches!(option.meaning, Meaning::Ipv6 | Meaning::LocalAddress) || option.long == "sort"
}

/// A word whose place is known otherwise.
fn word(text: &str) -> Word<'_> {
    Word {
        text,
        line: 1,
        column: 1,
    }
}

/// Seconds of a timeout.
fn seconds(text: &str, least: u32) -> Result<u32, CommandError> {
    let refused = || CommandError::usage(format!("invalid timeout value `{text}' specified"));
    number(text, least, MAX_SECONDS).ok_or_else(refused)
}

/// The number that an option has as its value.
pub(super) fn value_of<T: TryFrom<u32>>(
    text: &str,
    range: RangeInclusive<u32>,
    what: &str,
) -> Result<T, CommandError> {
    let number = number(text, *range.start(), *range.end());
    let value = number.and_then(|number| T::try_from(number).ok());
    value.ok_or_else(|| CommandError::usage(format!("illegal {what} specified")))
}

/// The first characters, as many as fit into that many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
