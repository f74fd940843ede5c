//! The guard by other means: an nftables table, where the kernel or our privileges do not allow BPF.
//!
//! The table belongs to the netlink socket that made it (`flags owner`, Linux 5.12), and that is an `nft -i`
//! of ours which waits for commands. When we end, however that comes, its input ends, it ends, and the
//! table goes. Each change replaces the whole table in one transaction, written as one line.
//!
//! It decides as the [BPF guard](super::bpf::guard) does, but for ICMP errors, which all pass to the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lvs_core::{Family, Ip};

use super::bpf::Entry;

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

    /// Starts nft and guards these interfaces, with no entries yet.
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
        guard.set_entries(&[])?;
        Ok(guard)
    }

    /// Replaces what is guarded. After an error it is what it was before.
    pub fn set_entries(&mut self, entries: &[Entry]) -> Result<(), NftError> {
        let mut line = render(&self.table, &self.devices, entries);
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
    virtuals: BTreeSet<String>,
    virtual_addresses: BTreeSet<String>,
    replies: BTreeSet<String>,
    reply_addresses: BTreeSet<String>,
    own: BTreeSet<String>,
    local: BTreeMap<Ip, (u16, u16)>,
}

/// The table as one line.
fn render(table: &str, devices: &[String], entries: &[Entry]) -> String {
    let mut families: [Sets; 2] = Default::default();
    for entry in entries {
        let (Entry::Own(ip)
        | Entry::Virtual {
            addr: lvs_core::Endpoint { ip, .. },
            ..
        }
        | Entry::Reply {
            addr: lvs_core::Endpoint { ip, .. },
            ..
        }
        | Entry::Local(lvs_core::service::LocalAddr { ip, .. })) = entry;
        let sets = &mut families[usize::from(ip.family() == Family::V6)];
        let element = |protocol: u8, port| format!("{ip} . {protocol} . {port}");
        match entry {
            Entry::Own(ip) => _ = sets.own.insert(ip.to_string()),
            Entry::Virtual { protocol, addr } => {
                sets.virtuals.insert(element(protocol.0, addr.port));
                sets.virtual_addresses
                    .insert(format!("{ip} . {}", protocol.0));
            }
            Entry::Reply { protocol, addr } => {
                sets.replies.insert(element(protocol.0, addr.port));
                sets.reply_addresses
                    .insert(format!("{ip} . {}", protocol.0));
            }
            Entry::Local(l) if l.first_port > l.last_port => {}
            Entry::Local(l) => {
                let range = sets.local.entry(l.ip).or_insert((u16::MAX, 0));
                *range = (range.0.min(l.first_port), range.1.max(l.last_port));
            }
        }
    }
    let mut sets = String::new();
    let mut rules = "meta pkttype != host accept; vlan id != 0 accept; ".to_owned();
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
        set("virtual", " . inet_proto . inet_service", all(&s.virtuals));
        set(
            "virtual_address",
            " . inet_proto",
            all(&s.virtual_addresses),
        );
        set("reply", " . inet_proto . inet_service", all(&s.replies));
        set("reply_address", " . inet_proto", all(&s.reply_addresses));
        set("own", "", all(&s.own));
        let ranges = s
            .local
            .iter()
            .map(|(ip, (low, high))| format!("{ip} . {low}-{high}"));
        set("local", " . inet_service; flags interval", ranges.collect());
        set(
            "local_address",
            "",
            s.local.keys().map(Ip::to_string).collect(),
        );
        for rule in [
            format!("{ip} daddr . meta l4proto . th dport @virtual{n} drop"),
            format!("meta l4proto {{ tcp, udp }} {ip} daddr . th dport @local{n} drop"),
            format!("{later} {ip} daddr . meta l4proto @virtual_address{n} drop"),
            format!("{ip} daddr @own{n} accept"),
            format!("{later} {ip} daddr @local_address{n} drop"),
            format!("{ip} saddr . meta l4proto . th sport @reply{n} drop"),
            format!("{later} {ip} saddr . meta l4proto @reply_address{n} drop"),
        ] {
            rules.push_str(&rule);
            rules.push_str("; ");
        }
    }
    let mut line = format!("add table netdev {table} {{ flags owner; {sets}");
    for (i, device) in devices.iter().enumerate() {
        let hook = format!("type filter hook ingress device \"{device}\" priority 0");
        let _ = write!(line, "chain c{i} {{ {hook}; {rules}}}; ");
    }
    line.push('}');
    line
}
