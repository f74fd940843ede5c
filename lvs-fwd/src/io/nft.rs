//! The guard by other means: an nftables table, where the kernel or our privileges do not allow BPF.
//!
//! The table belongs to the netlink socket that made it (`flags owner`, Linux 5.12), and that is an `nft -i`
//! of ours which waits for commands. When we end, however that comes, its input ends, it ends, and the
//! table goes. Each change replaces the whole table in one transaction, written as one line.
//!
//! It hides what [`Hidden`] says, with three differences: ICMP errors all pass to the host; so do later fragments of
//! packets that are ours by their mark and ports; and nothing can be given back, so what is hidden without being ours is
//! lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lvs_core::{Family, Ip};

use crate::classify::Rule;
use crate::frame::PortId;
use crate::hidden::{Entry, Hidden, mark_of};

/// Why there is no such guard.
#[derive(Debug)]
#[non_exhaustive]
pub enum NftError {
    /// `nft` cannot be run; most likely it is not installed.
    Missing(io::Error),
    /// An interface's name cannot be written in nft's language.
    Name(String),
    /// `nft` refused the table: no privilege (`CAP_NET_ADMIN`) or no support in the kernel.
    Refused(String),
    /// `nft` ended or does not answer.
    Gone,
}

impl fmt::Display for NftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(e) => write!(f, "cannot run nft: {e}"),
            Self::Name(name) => write!(f, "nft cannot name the interface {name:?}"),
            Self::Refused(why) => write!(f, "nft: {why}"),
            Self::Gone => f.write_str("nft ended or does not answer"),
        }
    }
}

impl std::error::Error for NftError {}

/// The guard. Dropping it removes the table.
#[derive(Debug)]
pub struct NftGuard {
    table: String,
    devices: Vec<String>,
    /// Closed to end nft.
    input: Option<ChildStdin>,
    output: Receiver<String>,
    nft: Child,
    exists: bool,
}

/// How long nft may take for a table.
const PATIENCE: Duration = Duration::from_secs(10);
/// A question whose answer is always the same, so that it marks the end of what came before.
const QUESTION: &str = "describe ip ttl";
const ANSWER: &str = "payload expression";

impl NftGuard {
    /// Whether nft, and with it the table, still exists.
    pub fn is_running(&mut self) -> bool {
        matches!(self.nft.try_wait(), Ok(None))
    }

    /// Starts nft and guards these interfaces, those of the ports from 0 on; nothing is hidden yet.
    pub fn start(devices: &[&str]) -> Result<Self, NftError> {
        // nft itself does not survive a name that is no interface's.
        let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        let sound = |d: &&str| (1..libc::IFNAMSIZ).contains(&d.len()) && d.chars().all(plain);
        if let Some(odd) = devices.iter().find(|d| !sound(d)) {
            return Err(NftError::Name((*odd).to_owned()));
        }
        // Its messages go where its answers go, so that their order is known.
        let (reader, writer) = io::pipe().map_err(NftError::Missing)?;
        let same = writer.try_clone().map_err(NftError::Missing)?;
        let mut command = Command::new("nft");
        command
            .arg("-i")
            .stdin(Stdio::piped())
            .stdout(writer)
            .stderr(same);
        let mut nft = command.spawn().map_err(NftError::Missing)?;
        drop(command);
        let (send, output) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(reader).lines().map_while(Result::ok);
            lines
                .take_while(|line| send.send(line.clone()).is_ok())
                .for_each(drop);
        });
        let mut guard = Self {
            table: format!("lvsd_{}", std::process::id()),
            devices: devices.iter().map(|d| (*d).to_owned()).collect(),
            input: nft.stdin.take(),
            output,
            nft,
            exists: false,
        };
        guard.set(&Hidden::default())?;
        Ok(guard)
    }

    /// Replaces what is hidden. After an error it is what it was before.
    pub fn set(&mut self, hidden: &Hidden) -> Result<(), NftError> {
        let mut line = render(&self.table, &self.devices, hidden);
        if self.exists {
            line.insert_str(0, &format!("delete table netdev {}; ", self.table));
        }
        let input = self.input.as_mut().ok_or(NftError::Gone)?;
        writeln!(input, "{line}\n{QUESTION}").map_err(|_| NftError::Gone)?;
        let mut refused = None;
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(ANSWER) => break,
                Ok(line) if line.contains("Error:") => _ = refused.get_or_insert(line),
                Ok(_) => {}
                Err(_) => return Err(refused.map_or(NftError::Gone, NftError::Refused)),
            }
        }
        match refused {
            Some(why) => Err(NftError::Refused(why)),
            None => {
                self.exists = true;
                Ok(())
            }
        }
    }
}

impl Drop for NftGuard {
    fn drop(&mut self) {
        self.input = None;
        // In case it does not heed the end of its input.
        let _ = self.nft.kill();
        let _ = self.nft.wait();
    }
}

/// The elements of one family's sets.
#[derive(Default)]
struct Sets {
    /// Services: address, protocol, port.
    virtuals: BTreeSet<String>,
    /// Their addresses and protocols.
    virtual_addresses: BTreeSet<String>,
    /// Ranges of ports by address and protocol.
    ports: BTreeMap<(Ip, u8), (u16, u16)>,
    replies: BTreeSet<String>,
    reply_addresses: BTreeSet<String>,
    /// Servers that answer from any port.
    any_replies: BTreeSet<String>,
    own: BTreeSet<String>,
    local: BTreeMap<Ip, (u16, u16)>,
}

impl Sets {
    fn add(&mut self, entry: &Entry) {
        let widen = |range: &mut (u16, u16), low, high| {
            *range = (range.0.min(low), range.1.max(high));
        };
        const NONE: (u16, u16) = (u16::MAX, 0);
        match *entry {
            Entry::Own(ip) => _ = self.own.insert(ip.to_string()),
            Entry::Virtual { protocol, addr } => {
                let (ip, port, protocol) = (addr.ip, addr.port, protocol.0);
                self.virtual_addresses.insert(format!("{ip} . {protocol}"));
                match port {
                    0 => widen(
                        self.ports.entry((ip, protocol)).or_insert(NONE),
                        0,
                        u16::MAX,
                    ),
                    _ => _ = self.virtuals.insert(format!("{ip} . {protocol} . {port}")),
                }
            }
            Entry::Data {
                protocol,
                ip,
                first,
                last,
            } if first <= last => {
                let protocol = protocol.0;
                self.virtual_addresses.insert(format!("{ip} . {protocol}"));
                widen(
                    self.ports.entry((ip, protocol)).or_insert(NONE),
                    first,
                    last,
                );
            }
            Entry::Reply { protocol, addr } => {
                let (ip, port, protocol) = (addr.ip, addr.port, protocol.0);
                self.reply_addresses.insert(format!("{ip} . {protocol}"));
                match port {
                    0 => _ = self.any_replies.insert(format!("{ip} . {protocol}")),
                    _ => _ = self.replies.insert(format!("{ip} . {protocol} . {port}")),
                }
            }
            Entry::Local(l) if l.first_port <= l.last_port => {
                widen(
                    self.local.entry(l.ip).or_insert(NONE),
                    l.first_port,
                    l.last_port,
                );
            }
            Entry::Data { .. } | Entry::Local(_) | Entry::Station { .. } => {}
        }
    }
}

const fn address_of(entry: &Entry) -> Option<Ip> {
    match *entry {
        Entry::Own(ip) | Entry::Data { ip, .. } => Some(ip),
        Entry::Virtual { addr, .. } | Entry::Reply { addr, .. } => Some(addr.ip),
        Entry::Local(l) => Some(l.ip),
        Entry::Station { .. } => None,
    }
}

/// The table as one line.
fn render(table: &str, devices: &[String], hidden: &Hidden) -> String {
    let mut families: [Sets; 2] = Default::default();
    let mut stations = String::new();
    for entry in hidden.entries() {
        if let Some(ip) = address_of(entry) {
            families[usize::from(ip.family() == Family::V6)].add(entry);
        } else if let Entry::Station { ifindex, mac } = entry {
            let _ = write!(stations, "{ifindex} . {mac}, ");
        }
    }
    let (mut sets, mut by_address) = (String::new(), String::new());
    let mut to_services = String::new();
    if stations.is_empty() {
        to_services.push_str("meta pkttype != host accept; ");
    } else {
        let kind = "type iface_index . ether_addr";
        let _ = write!(
            sets,
            "set station {{ {kind}; elements = {{ {stations} }}; }}; "
        );
        to_services.push_str("meta pkttype != host iif . ether daddr != @station accept; ");
    }
    to_services.push_str("vlan id != 0 accept; ");
    for (n, ip, later, s) in [
        (4, "ip", "ip frag-off & 0x1fff != 0", &families[0]),
        (6, "ip6", "frag frag-off != 0", &families[1]),
    ] {
        let address = format!("ipv{n}_addr");
        let mut set = |name: &str, kind: &str, elements: Vec<String>| {
            let _ = write!(sets, "set {name}{n} {{ type {address}{kind}; ");
            if !elements.is_empty() {
                let _ = write!(sets, "elements = {{ {} }}; ", elements.join(", "));
            }
            sets.push_str("}; ");
        };
        let all = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let (protocol, port) = (" . inet_proto", " . inet_proto . inet_service");
        set("virtual", port, all(&s.virtuals));
        set("virtual_address", protocol, all(&s.virtual_addresses));
        let ports = s.ports.iter();
        let ports = ports.map(|((ip, p), (low, high))| format!("{ip} . {p} . {low}-{high}"));
        let interval = format!("{port}; flags interval");
        set("ports", &interval, ports.collect());
        set("reply", port, all(&s.replies));
        set("reply_address", protocol, all(&s.reply_addresses));
        set("any_reply", protocol, all(&s.any_replies));
        set("own", "", all(&s.own));
        let ranges = s.local.iter();
        let ranges = ranges.map(|(ip, (low, high))| format!("{ip} . {low}-{high}"));
        set("local", " . inet_service; flags interval", ranges.collect());
        let addresses = s.local.keys().map(Ip::to_string).collect();
        set("local_address", "", addresses);
        for rule in [
            format!("{ip} daddr . meta l4proto . th dport @virtual{n} drop"),
            format!("{PORTED} {ip} daddr . meta l4proto . th dport @ports{n} drop"),
            format!("{PORTED} {ip} daddr . th dport @local{n} drop"),
            format!("{PORTLESS} {ip} daddr . meta l4proto @virtual_address{n} drop"),
            format!("{later} {ip} daddr . meta l4proto @virtual_address{n} drop"),
        ] {
            let _ = write!(to_services, "{rule}; ");
        }
        for rule in [
            format!("{ip} daddr @own{n} accept"),
            format!("{later} {ip} daddr @local_address{n} drop"),
            format!("{ip} saddr . meta l4proto . th sport @reply{n} drop"),
            format!("{ip} saddr . meta l4proto @any_reply{n} drop"),
            format!("{later} {ip} saddr . meta l4proto @reply_address{n} drop"),
        ] {
            let _ = write!(by_address, "{rule}; ");
        }
    }
    let mut line = format!("add table netdev {table} {{ flags owner; {sets}");
    for (i, device) in devices.iter().enumerate() {
        let about = |r: &&Rule| r.interface.is_none_or(|PortId(p)| usize::from(p) == i);
        let marks = hidden.marks().rules().iter().filter(about);
        let marks: String = marks.flat_map(mark_rules).collect();
        let hook = format!("type filter hook ingress device \"{device}\" priority 0");
        let _ = write!(
            line,
            "chain m{i} {{ {marks}}}; \
             chain c{i} {{ {hook}; {to_services}{BALANCED} jump m{i}; {by_address}}}; "
        );
    }
    line.push('}');
    line
}

const PORTED: &str = "meta l4proto { tcp, udp, sctp }";
const PORTLESS: &str = "meta l4proto { esp, ah }";
const BALANCED: &str = "meta l4proto { tcp, udp, sctp, esp, ah }";

/// What a rule for marks hides, and what it takes out of the rules that follow.
fn mark_rules(rule: &Rule) -> Vec<String> {
    let mut says = String::new();
    for (prefix, end) in [(rule.source, "saddr"), (rule.destination, "daddr")] {
        if let Some(p) = prefix {
            let ip = match p.family() {
                Family::V4 => "ip",
                Family::V6 => "ip6",
            };
            let _ = write!(says, "{ip} {end} {p} ");
        }
    }
    let ranges = [
        (&rule.source_ports, "sport"),
        (&rule.destination_ports, "dport"),
    ];
    match rule.protocol {
        Some(p) => _ = write!(says, "meta l4proto {} ", p.0),
        None if ranges.iter().any(|(r, _)| r.is_some()) => _ = write!(says, "{PORTED} "),
        None => {}
    }
    for (range, end) in ranges {
        if let Some(r) = range {
            let _ = write!(says, "th {end} {}-{} ", r.start(), r.end());
        }
    }
    let families = [(Family::V4, "ip"), (Family::V6, "ip6")].into_iter();
    let served = families.filter(|(f, _)| rule.mark & mark_of(*f) != 0);
    let mut rules: Vec<_> = served
        .map(|(_, name)| format!("{says}meta protocol {name} drop; "))
        .collect();
    rules.push(format!("{says}return; "));
    rules
}
