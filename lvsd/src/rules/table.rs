//! From command lines to a [`RuleSet`]: what each line asks for, and whether the lines go together.

use std::collections::{HashMap, HashSet};

use lvs_core::dest::Method;
use lvs_core::service::{LocalAddr, ServiceKey};
use lvs_core::{DestOptions, Endpoint, Family, Ip, Protocol, ServiceOptions};

use super::address::{self, HostPort, check_unicast, decimal};
use super::command_line::{CommandLine, Given};
use super::names::{Names, Remembered};
use super::options::{Command, Meaning};
use super::problem::{Problem, quoted};
use super::words::Word;
use super::{RuleSet, SchedulerFlags, ServerRule, ServiceRule};

/// The greatest weight, as in IPVS.
const MAX_WEIGHT: u32 = i32::MAX as u32;

/// IPVS's schedulers: to tell a name that will work some day from one that never will.
const IPVS_SCHEDULERS: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

/// Help on how a line names its service.
const UNNAMED: Endpoint = Endpoint::new(Ip::UNSPECIFIED, 0);
const BY_ADDRESS: &str = "name the service with `-t ADDRESS:PORT` (TCP) or `-u ADDRESS:PORT` (UDP)";

/// The services of the lines read so far. Reading goes on after a problem, to find the others.
pub(super) struct Table<'n> {
    names: Remembered<'n>,
    services: Vec<Draft>,
    by_key: HashMap<ServiceKey, usize>,
    /// Local addresses, to be compared with all virtual ones in the end.
    local_addrs: Vec<(Ip, Problem)>,
    pub(super) problems: Vec<Problem>,
}

/// A service and what is needed to check the lines that follow.
struct Draft {
    rule: ServiceRule,
    line: usize,
    /// The lines of its servers.
    servers: HashMap<Endpoint, usize>,
    /// Whether some local address could not be read.
    lacks_local_addrs: bool,
}

impl<'n> Table<'n> {
    pub(super) fn new(names: &'n dyn Names) -> Self {
        Self {
            names: Remembered::new(names),
            services: Vec::new(),
            by_key: HashMap::new(),
            local_addrs: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Takes in one line.
    pub(super) fn line(&mut self, words: &[Word<'_>]) {
        let Some(mut line) = CommandLine::read(words, &mut self.problems) else {
            return;
        };
        self.check_options(&mut line);
        match line.command {
            Command::AddService => self.add_service(&line),
            Command::AddServer => self.add_server(&line),
        }
    }

    /// The result, after the checks that need the whole file.
    pub(super) fn finish(mut self) -> Result<RuleSet, Vec<Problem>> {
        let virtual_addrs: HashSet<Ip> = self
            .by_key
            .keys()
            .filter_map(|key| key.addr().map(|a| a.ip))
            .collect();
        let local = self.local_addrs.into_iter();
        let clashes = local.filter(|(ip, _)| virtual_addrs.contains(ip));
        self.problems.extend(clashes.map(|(_, problem)| problem));
        if self.problems.is_empty() {
            let services = self.services.into_iter().map(|draft| draft.rule).collect();
            return Ok(RuleSet {
                services,
                ..RuleSet::default()
            });
        }
        self.problems.sort_by_key(|p| (p.line, p.column));
        Err(self.problems)
    }

    /// Refuses the options that do not belong to the command, can't be done yet, or were given before.
    fn check_options(&mut self, line: &mut CommandLine<'_>) {
        let mut accepted: Vec<Given<'_>> = Vec::new();
        for option in line.options.iter_mut().filter(|o| !o.is_refused) {
            match refusal(option, line.command, &accepted) {
                None => accepted.push(*option),
                Some((message, help)) => {
                    option.is_refused = true;
                    self.problems.push(Problem::at(option.at, message, help));
                }
            }
        }
    }

    fn add_service(&mut self, line: &CommandLine<'_>) {
        let scheduler = self.scheduler(line);
        let local_addrs = self.local_addrs(line);
        let written = |o: &&Given<'_>| o.meaning == Meaning::LocalAddress;
        let lacks_local_addrs = local_addrs.len() < line.options.iter().filter(written).count();
        let Some((key, word)) = self.service(line) else {
            return;
        };
        if let Some(&first) = self.by_key.get(&key) {
            let first = self.services.get(first).map_or(0, |draft| draft.line);
            let message = format!("the service {key} is already there");
            let help = format!("line {first} adds it; put everything about it there");
            self.problems.push(Problem::at(word, message, help));
            return;
        }
        self.by_key.insert(key, self.services.len());
        self.services.push(Draft {
            rule: ServiceRule {
                key,
                scheduler,
                flags: SchedulerFlags::NONE,
                options: ServiceOptions::with_local_addrs(&local_addrs),
                servers: Vec::new(),
            },
            line: line.at.line,
            servers: HashMap::new(),
            lacks_local_addrs,
        });
    }

    fn add_server(&mut self, line: &CommandLine<'_>) {
        let service = self.service(line);
        let protocol = service.map_or(Protocol::TCP, |(key, _)| {
            key.protocol().unwrap_or(Protocol::TCP)
        });
        let server = self.real_server(line, protocol);
        let method = self.method(line);
        let weight = self.weight(line);
        let Some((key, service_word)) = service else {
            return;
        };
        let draft = self.by_key.get(&key).copied();
        let Some(draft) = draft.and_then(|index| self.services.get_mut(index)) else {
            let message = format!("there is no service {key} above this line");
            let protocol = match key.protocol().unwrap_or(Protocol::TCP) {
                Protocol::UDP => "-u",
                _ => "-t",
            };
            let help = format!(
                "add it first: `-A {protocol} {}`",
                key.addr().unwrap_or(UNNAMED)
            );
            self.problems.push(Problem::at(service_word, message, help));
            return;
        };
        let (Some((host, word)), Some((method, method_word))) = (server, method) else {
            return;
        };
        match draft.server(host, word, method, method_word) {
            Ok(addr) => draft.rule.servers.push(ServerRule {
                addr,
                options: DestOptions::new(method, weight),
            }),
            Err(problem) => self.problems.push(problem),
        }
    }

    /// The service that a line names, and the word that names it.
    fn service<'a>(&mut self, line: &CommandLine<'a>) -> Option<(ServiceKey, Word<'a>)> {
        let is_service = |m| matches!(m, Meaning::Service(_) | Meaning::LaterService(_));
        let Some(option) = find(line, is_service) else {
            let message = format!("{} needs a service", quoted(line.at.text));
            self.problems
                .push(Problem::at(line.at, message, BY_ADDRESS));
            return None;
        };
        let Meaning::Service(protocol) = accepted(option)?.meaning else {
            return None;
        };
        match service_address(option.value, protocol, &self.names) {
            Ok(addr) => Some((ServiceKey::new(protocol, addr), option.value)),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn scheduler(&mut self, line: &CommandLine<'_>) -> String {
        let Some(word) = value(line, Meaning::Scheduler) else {
            return "wlc".to_owned();
        };
        if !self.names.has_scheduler(word.text) {
            let ours = IPVS_SCHEDULERS.iter();
            let ours: Vec<_> = ours
                .copied()
                .filter(|n| self.names.has_scheduler(n))
                .collect();
            let name = quoted(word.text);
            let message = if IPVS_SCHEDULERS.contains(&word.text) {
                format!("the scheduler {name} is not supported yet")
            } else {
                format!("unknown scheduler {name}")
            };
            let help = format!("there are: {}", ours.join(", "));
            self.problems.push(Problem::at(word, message, help));
        }
        word.text.to_owned()
    }

    fn local_addrs(&mut self, line: &CommandLine<'_>) -> Vec<LocalAddr> {
        let mut found: Vec<LocalAddr> = Vec::new();
        let options = line.options.iter();
        for option in options.filter(|o| !o.is_refused && o.meaning == Meaning::LocalAddress) {
            let word = option.value;
            let local = address::local_address(word).and_then(|local| {
                check_unicast(local.ip, word)?;
                match found.iter().find(|other| overlap(&local, other)) {
                    Some(_) => Err(Problem::at(
                        word,
                        format!("{} is already a local address of this service", local.ip),
                        "write each address once, or with ranges that do not overlap",
                    )),
                    None => Ok(local),
                }
            });
            match local {
                Ok(local) => {
                    let message = format!("{} is a virtual address too", local.ip);
                    let help = "a local address must serve nothing else: give FullNAT its own";
                    let clash = Problem::at(word, message, help);
                    self.local_addrs.push((local.ip, clash));
                    found.push(local);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        found
    }

    fn real_server<'a>(
        &mut self,
        line: &CommandLine<'a>,
        protocol: Protocol,
    ) -> Option<(HostPort<'a>, Word<'a>)> {
        let Some(option) = find(line, |m| m == Meaning::RealServer) else {
            let message = format!("{} needs a real server", quoted(line.at.text));
            let help = "name it with `-r ADDRESS` or `-r ADDRESS:PORT`";
            self.problems.push(Problem::at(line.at, message, help));
            return None;
        };
        let word = accepted(option)?.value;
        let server = address::host_port(word, protocol, &self.names).and_then(|server| {
            check_unicast(server.ip, word)?;
            if server.ip.is_link_local_v6() {
                let message = format!("{} is a link-local address", server.ip);
                let help = "which link it is on can't be said: write a global or unique local one";
                return Err(Problem::at(word, message, help));
            }
            Ok((server, word))
        });
        server.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// The forwarding method and its place; `None` if the line contradicts itself.
    fn method<'a>(&mut self, line: &CommandLine<'a>) -> Option<(Method, Word<'a>)> {
        let option = find(line, |m| matches!(m, Meaning::Method(_)));
        let (method, at) = match option.map(|o| (o.meaning, o.at)) {
            Some((Meaning::Method(method), at)) => (method, at),
            _ => (Method::DirectRoute, line.at),
        };
        let Some(kind) = value(line, Meaning::TunnelType) else {
            return Some((method, at));
        };
        let (message, help) = match kind.text {
            "ipip" if method == Method::Tunnel => return Some((method, at)),
            "ipip" => (
                "`--tun-type` is only for tunnels".to_owned(),
                "add `-i`, or take it out",
            ),
            "gue" | "gre" => (
                format!("the tunnel type {} is not supported yet", quoted(kind.text)),
                "use `ipip`",
            ),
            _ => (
                format!("unknown tunnel type {}", quoted(kind.text)),
                "use `ipip`",
            ),
        };
        self.problems.push(Problem::at(kind, message, help));
        None
    }

    fn weight(&mut self, line: &CommandLine<'_>) -> u32 {
        let Some(word) = value(line, Meaning::Weight) else {
            return 1;
        };
        let weight = decimal(word.text).and_then(|n| u32::try_from(n).ok());
        if let Some(weight) = weight.filter(|&weight| weight <= MAX_WEIGHT) {
            return weight;
        }
        let message = format!("{} is not a weight", quoted(word.text));
        let help = format!("weights are 0 (no new connections) to {MAX_WEIGHT}");
        self.problems.push(Problem::at(word, message, help));
        1
    }
}

impl Draft {
    /// Where a new server of this service listens, if there may be such a server.
    fn server(
        &mut self,
        host: HostPort<'_>,
        word: Word<'_>,
        method: Method,
        method_word: Word<'_>,
    ) -> Result<Endpoint, Problem> {
        let service = self.rule.key.addr().unwrap_or(UNNAMED);
        if host.ip.family() != service.ip.family() && method != Method::Tunnel {
            let message = format!("{} and {} are of different families", host.ip, service.ip);
            let help = "only a tunnel (`-i`) leads from IPv4 to IPv6 or back";
            return Err(Problem::at(word, message, help));
        }
        let port = match host.port {
            // Packets are not changed on their way to these, nor is their port.
            _ if !method.translates() => service.port,
            Some((0, port)) => return Err(port_zero(port)),
            Some((port, _)) => port,
            None => service.port,
        };
        let addr = Endpoint::new(host.ip, port);
        if method == Method::FullNat {
            self.check_local_addrs(addr.ip.family(), method_word)?;
        }
        let line = *self.servers.entry(addr).or_insert(word.line);
        if line != word.line {
            let message = format!("{addr} is already a server of {}", self.rule.key);
            let help = format!("line {line} adds it; take one of the two out");
            return Err(Problem::at(word, message, help));
        }
        Ok(addr)
    }

    fn check_local_addrs(&self, family: Family, method_word: Word<'_>) -> Result<(), Problem> {
        let mut local = self.rule.options.local_addrs.iter();
        if self.lacks_local_addrs || local.any(|local| local.ip.family() == family) {
            return Ok(());
        }
        let family = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let message = format!("the service has no {family} local address for FullNAT");
        let help = format!(
            "add `--local-address ADDRESS` to its `-A` line, line {}",
            self.line
        );
        Err(Problem::at(method_word, message, help))
    }
}

/// Reads the address of a service, whose port must be there.
fn service_address(
    word: Word<'_>,
    protocol: Protocol,
    names: &dyn Names,
) -> Result<Endpoint, Problem> {
    let HostPort { ip, port } = address::host_port(word, protocol, names)?;
    check_unicast(ip, word)?;
    match port {
        Some((0, place)) => Err(port_zero(place)),
        Some((port, _)) => Ok(Endpoint::new(ip, port)),
        None => Err(Problem::at(
            word,
            format!("the service {} has no port", quoted(word.text)),
            format!("write {}", quoted(&Endpoint::new(ip, 80).to_string())),
        )),
    }
}

fn port_zero(at: Word<'_>) -> Problem {
    let message = "port 0 (any port) is not supported yet";
    Problem::at(at, message, "write a port of 1 to 65535")
}

/// The option with such a meaning: the first that is not refused, or else the first that is.
fn find<'l, 'a>(line: &'l CommandLine<'a>, is: impl Fn(Meaning) -> bool) -> Option<&'l Given<'a>> {
    let options = line.options.iter().filter(|o| is(o.meaning));
    options.min_by_key(|o| o.is_refused)
}

/// The option, unless it is refused; that has been said then.
fn accepted<'l, 'a>(option: &'l Given<'a>) -> Option<&'l Given<'a>> {
    (!option.is_refused).then_some(option)
}

/// The value of the option with this meaning, if there is one to count on.
fn value<'a>(line: &CommandLine<'a>, meaning: Meaning) -> Option<Word<'a>> {
    let option = find(line, |m| m == meaning)?;
    Some(accepted(option)?.value)
}

/// Why an option can't stand in a line of this command, after those accepted before; and help.
fn refusal(
    option: &Given<'_>,
    command: Command,
    accepted: &[Given<'_>],
) -> Option<(String, String)> {
    let name = option.name();
    if !option.goes_with(command) {
        let (command, help) = match (command, option.meaning) {
            (Command::AddService, Meaning::Elsewhere) => ("-A", "a rule file has no use for it"),
            (Command::AddServer, Meaning::Elsewhere) => ("-a", "a rule file has no use for it"),
            (Command::AddService, _) => ("-A", "it is a server's: put it on an `-a` line"),
            (Command::AddServer, _) => ("-a", "it is the service's: put it on the `-A` line"),
        };
        let message = format!("{name} does not go with `{command}`");
        return Some((message, help.to_owned()));
    }
    if let Meaning::Later(what) | Meaning::LaterService(what) = option.meaning {
        let help = match option.meaning {
            Meaning::LaterService(_) => BY_ADDRESS,
            _ => "take it out if you can do without",
        };
        let message = format!("{name} ({what}) is not supported yet");
        return Some((message, help.to_owned()));
    }
    let before = accepted.iter().find(|before| excludes(option, before))?;
    Some(repeated(option, before))
}

/// Whether a line may not have both.
fn excludes(one: &Given<'_>, other: &Given<'_>) -> bool {
    match (one.meaning, other.meaning) {
        (Meaning::LocalAddress, Meaning::LocalAddress) => false,
        (Meaning::Method(_), Meaning::Method(_)) => true,
        (Meaning::Service(_), Meaning::Service(_)) => true,
        _ => one.is_same_option(other),
    }
}

fn repeated(option: &Given<'_>, before: &Given<'_>) -> (String, String) {
    let (name, first) = (option.name(), before.name());
    if option.is_same_option(before) {
        let message = format!("{name} is given more than once");
        return (message, "take one of them out".to_owned());
    }
    let what = match option.meaning {
        Meaning::Method(_) => "forwarding method",
        _ => "service",
    };
    let message = format!("{name} is a second {what} after {first}");
    (message, "one of them a line".to_owned())
}

fn overlap(one: &LocalAddr, other: &LocalAddr) -> bool {
    one.ip == other.ip && one.first_port <= other.last_port && other.first_port <= one.last_port
}
