//! IPVS's settings of `/proc/sys/net/ipv4/vs/`, as far as they have a meaning for a director in user space.
//!
//! The names, defaults and accepted values are the kernel's, so that what people have in `/etc/sysctl.d` says here
//! what it said there. A setting that can do nothing here is refused with the reason, not silently taken.

use std::fmt;
use std::time::Duration;

/// The settings of one director, all changeable while it runs ([`crate::Draft::set_sysctls`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Sysctls {
    /// Free memory below which the defences in modes 1 and 2 begin, in pages.
    pub amemthresh: u32,
    /// In mode 3 of `drop_packet`, one of this many new connections is dropped.
    pub am_droprate: u32,
    /// Drops connections that look unwanted: 0 never, 1 and 2 while memory is short, 3 always.
    pub drop_entry: u8,
    /// Drops new connections: 0 never, 1 and 2 while memory is short, 3 always.
    pub drop_packet: u8,
    /// The state table that waits for the server's acknowledgement: 0 never, 1 and 2 while memory is short, 3 always.
    pub secure_tcp: u8,
    /// For a firewall-mark service without an available server, sends packets to their own destination.
    pub cache_bypass: bool,
    /// Ends connections whose server has been removed at their next packet, instead of dropping it.
    pub expire_nodest_conn: bool,
    /// Forgets the persistence of clients whose server has weight 0.
    pub expire_quiescent_template: bool,
    /// Lets any TCP segment but RST open a connection.
    pub sloppy_tcp: bool,
    /// Lets any SCTP packet but ABORT open a connection.
    pub sloppy_sctp: bool,
    /// Answers packets of real servers that belong to no connection with ICMP port unreachable.
    pub nat_icmp_send: bool,
    /// Whether tunnels keep to the path MTU: check the size and copy DF.
    pub pmtu_disc: bool,
    /// When a SYN of known endpoints is scheduled anew: bit 0 (any bit) if the connection has ended, bit 1 also in
    /// FIN_WAIT where only the client is seen.
    pub conn_reuse_mode: u32,
    /// Lets an ICMP error about no known connection open one.
    pub schedule_icmp: bool,
    /// Accepted, without effect: no connection is in netfilter's table here, and helpers always work. FTP set-ups
    /// switch it on, since the kernel's helper needs it.
    pub conntrack: bool,
    /// Whether rates are estimated.
    pub run_estimation: bool,
    /// How long lblc remembers an address nobody asks for.
    pub lblc_expiration: Duration,
    /// The same for lblcr, and how often it takes a server from a set.
    pub lblcr_expiration: Duration,
    /// Not IPVS's: whether a SYN may open a connection anew that is still known, but whose server has been removed.
    /// IPVS drops it until the old connection times out, so that clients which soon use a port again hang for up to
    /// 15 minutes; `false` restores that.
    pub reopen_removed: bool,
}

impl Default for Sysctls {
    /// IPVS's defaults, but for `reopen_removed`.
    fn default() -> Self {
        Self {
            amemthresh: 1024,
            am_droprate: 10,
            drop_entry: 0,
            drop_packet: 0,
            secure_tcp: 0,
            cache_bypass: false,
            expire_nodest_conn: false,
            expire_quiescent_template: false,
            sloppy_tcp: false,
            sloppy_sctp: false,
            nat_icmp_send: false,
            pmtu_disc: true,
            conn_reuse_mode: 1,
            schedule_icmp: false,
            conntrack: false,
            run_estimation: true,
            lblc_expiration: Self::LBLC_EXPIRATION,
            lblcr_expiration: Self::LBLC_EXPIRATION,
            reopen_removed: true,
        }
    }
}

/// What there is to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// The name: the kernel's, without `net.ipv4.vs.`
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
}

/// A mode of a defence.
const MODE: &str = "0 (never), 1 or 2 (while memory is short) or 3 (always)";
const INTEGER: &str = "an integer of 32 bits";
const FLAG: &str = "0 (no) or another integer (yes)";
const SECONDS: &str = "a number of seconds, at most 21474836";

/// What a kernel of 100 ticks a second accepts; others accept less.
const MAX_SECONDS: i32 = i32::MAX / 100;

impl Sysctls {
    pub(crate) const LBLC_EXPIRATION: Duration = Duration::from_secs(24 * 3600);

    /// All settings that [`Self::set`] accepts, by name.
    pub const NAMES: &'static [Known] = &[
        known(
            "am_droprate",
            "in mode 3 of drop_packet, drop one of this many new connections",
        ),
        known(
            "amemthresh",
            "free memory below which modes 1 and 2 defend, in pages",
        ),
        known(
            "cache_bypass",
            "send what finds no server of a firewall mark to its own destination",
        ),
        known(
            "conn_reuse_mode",
            "when a SYN of a known connection opens a new one (bits)",
        ),
        known("conntrack", "accepted without effect: helpers always work"),
        known(
            "drop_entry",
            "drop connections that look unwanted: 0 never to 3 always",
        ),
        known("drop_packet", "drop new connections: 0 never to 3 always"),
        known(
            "expire_nodest_conn",
            "end a removed server's connections at their next packet",
        ),
        known(
            "expire_quiescent_template",
            "forget the persistence to servers of weight 0",
        ),
        known(
            "lblc_expiration",
            "how long lblc remembers an unused address, in seconds",
        ),
        known(
            "lblcr_expiration",
            "how long lblcr remembers an unused address, in seconds",
        ),
        known(
            "nat_icmp_send",
            "answer real servers' packets of no connection with port unreachable",
        ),
        known("pmtu_disc", "let tunnels keep to the path MTU"),
        known(
            "reopen_removed",
            "let a SYN reopen a connection whose server was removed (not IPVS's)",
        ),
        known("run_estimation", "estimate rates"),
        known(
            "schedule_icmp",
            "let an ICMP error of no known connection open one",
        ),
        known(
            "secure_tcp",
            "wait for the server before TCP counts as open: 0 never to 3 always",
        ),
        known(
            "sloppy_sctp",
            "let any SCTP packet but ABORT open a connection",
        ),
        known(
            "sloppy_tcp",
            "let any TCP segment but RST open a connection",
        ),
    ];

    /// Sets one by its name, from text as the kernel takes it: decimal, octal after `0` or hexadecimal after `0x`, with
    /// space around. Values are the kernel's too; where it accepts negative ones that make no sense, they do here what
    /// they do there: memory never is below a negative `amemthresh`, a negative `am_droprate` drops every new connection
    /// (1), and an expiration is none (0).
    ///
    /// # Errors
    ///
    /// If there is no such setting, it has no meaning here, or the value is none that it takes; then nothing changes.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let flag = || integer(value, i32::MIN, i32::MAX, FLAG).map(|n| n != 0);
        let mode = || integer(value, 0, 3, MODE).map(|n| n as u8);
        let any = || integer(value, i32::MIN, i32::MAX, INTEGER);
        let seconds = || {
            let n = integer(value, i32::MIN, MAX_SECONDS, SECONDS)?;
            Ok(Duration::from_secs(n.max(0) as u64))
        };
        match name {
            "am_droprate" => self.am_droprate = u32::try_from(any()?).unwrap_or(1),
            "amemthresh" => self.amemthresh = u32::try_from(any()?).unwrap_or(0),
            "cache_bypass" => self.cache_bypass = flag()?,
            "conn_reuse_mode" => self.conn_reuse_mode = any()? as u32,
            "conntrack" => self.conntrack = flag()?,
            "drop_entry" => self.drop_entry = mode()?,
            "drop_packet" => self.drop_packet = mode()?,
            "expire_nodest_conn" => self.expire_nodest_conn = flag()?,
            "expire_quiescent_template" => self.expire_quiescent_template = flag()?,
            "lblc_expiration" => self.lblc_expiration = seconds()?,
            "lblcr_expiration" => self.lblcr_expiration = seconds()?,
            "nat_icmp_send" => self.nat_icmp_send = flag()?,
            "pmtu_disc" => self.pmtu_disc = flag()?,
            "reopen_removed" => self.reopen_removed = flag()?,
            "run_estimation" => self.run_estimation = flag()?,
            "schedule_icmp" => self.schedule_icmp = flag()?,
            "secure_tcp" => self.secure_tcp = mode()?,
            "sloppy_sctp" => self.sloppy_sctp = flag()?,
            "sloppy_tcp" => self.sloppy_tcp = flag()?,
            _ => {
                return Err(
                    meaningless(name).map_or(SysctlError::Unknown, SysctlError::Meaningless)
                );
            }
        }
        Ok(())
    }

    /// The value of one by its name, as text that [`Self::set`] takes; `None` if there is no such setting here.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match name {
            "am_droprate" => self.am_droprate.into(),
            "amemthresh" => self.amemthresh.into(),
            "cache_bypass" => self.cache_bypass.into(),
            "conn_reuse_mode" => i64::from(self.conn_reuse_mode as i32),
            "conntrack" => self.conntrack.into(),
            "drop_entry" => self.drop_entry.into(),
            "drop_packet" => self.drop_packet.into(),
            "expire_nodest_conn" => self.expire_nodest_conn.into(),
            "expire_quiescent_template" => self.expire_quiescent_template.into(),
            "lblc_expiration" => self.lblc_expiration.as_secs() as i64,
            "lblcr_expiration" => self.lblcr_expiration.as_secs() as i64,
            "nat_icmp_send" => self.nat_icmp_send.into(),
            "pmtu_disc" => self.pmtu_disc.into(),
            "reopen_removed" => self.reopen_removed.into(),
            "run_estimation" => self.run_estimation.into(),
            "schedule_icmp" => self.schedule_icmp.into(),
            "secure_tcp" => self.secure_tcp.into(),
            "sloppy_sctp" => self.sloppy_sctp.into(),
            "sloppy_tcp" => self.sloppy_tcp.into(),
            _ => return None,
        };
        Some(value.to_string())
    }
}

const fn known(name: &'static str, about: &'static str) -> Known {
    Known { name, about }
}

/// Why a setting of the kernel's has no meaning here.
fn meaningless(name: &str) -> Option<&'static str> {
    Some(match name {
        "snat_reroute" => {
            "replies are routed by their destination alone, so there is nothing to route again"
        }
        "ignore_tunneled" => {
            "packets are seen as they arrive, not again when the host has unpacked them"
        }
        "est_cpulist" | "est_nice" => "rates are estimated without threads of their own",
        "conn_lfactor" | "svc_lfactor" => "tables grow by themselves",
        "debug_level" => "there is no kernel module that could write debug messages",
        "backup_only"
        | "sync_version"
        | "sync_ports"
        | "sync_persist_mode"
        | "sync_qlen_max"
        | "sync_sock_size"
        | "sync_threshold"
        | "sync_refresh_period"
        | "sync_retries" => "connections are not synchronised yet",
        _ => return None,
    })
}

/// A number as the kernel reads it, within limits; `accepted` says which.
fn integer(text: &str, least: i32, most: i32, accepted: &'static str) -> Result<i32, SysctlError> {
    let text = text.trim();
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (radix, digits) = match digits.strip_prefix('0') {
        Some(rest) if rest.starts_with(['x', 'X']) => (16, &rest[1..]),
        Some(rest) if !rest.is_empty() => (8, rest),
        _ => (10, digits),
    };
    // The standard library would take a sign of its own.
    let n = Some(digits)
        .filter(|d| d.chars().all(|c| c.is_digit(radix)))
        .and_then(|d| i64::from_str_radix(d, radix).ok())
        .and_then(|n| i32::try_from(minus * n).ok())
        .filter(|n| (least..=most).contains(n));
    n.ok_or(SysctlError::BadValue(accepted))
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysctlError {
    /// There is no setting of this name, here or in IPVS.
    Unknown,
    /// IPVS has it, but it has no meaning here; the reason.
    Meaningless(&'static str),
    /// The value is not one of those named.
    BadValue(&'static str),
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such setting"),
            Self::Meaningless(why) => write!(f, "it has no meaning here: {why}"),
            Self::BadValue(accepted) => write!(f, "the value must be {accepted}"),
        }
    }
}

impl std::error::Error for SysctlError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, and the value that was then read; "-" if the kernel refused.
    type Answers = &'static [(&'static str, &'static str)];

    /// What a kernel (6.1) has by default, and what it answered when told to set other values.
    const KERNEL: &[(&str, &str, Answers)] = &[
        ("am_droprate", "10", INTEGERS),
        ("amemthresh", "1024", INTEGERS),
        ("conn_reuse_mode", "1", INTEGERS),
        ("cache_bypass", "0", INTEGERS),
        ("conntrack", "0", INTEGERS),
        ("expire_nodest_conn", "0", INTEGERS),
        ("expire_quiescent_template", "0", INTEGERS),
        ("nat_icmp_send", "0", INTEGERS),
        ("pmtu_disc", "1", INTEGERS),
        ("run_estimation", "1", INTEGERS),
        ("schedule_icmp", "0", INTEGERS),
        ("sloppy_sctp", "0", INTEGERS),
        ("sloppy_tcp", "0", INTEGERS),
        ("drop_entry", "0", MODES),
        ("drop_packet", "0", MODES),
        ("secure_tcp", "0", MODES),
        ("lblc_expiration", "86400", EXPIRATIONS),
        ("lblcr_expiration", "86400", EXPIRATIONS),
    ];

    const INTEGERS: Answers = &[
        ("0", "0"),
        ("2", "2"),
        (" 1 ", "1"),
        ("1\n", "1"),
        ("0x10", "16"),
        ("010", "8"),
        ("-1", "-1"),
        ("2147483647", "2147483647"),
        ("2147483648", "-"),
        ("-2147483648", "-2147483648"),
        ("-2147483649", "-"),
        ("5000000000", "-"),
        ("99999999999999999999", "-"),
        ("", "-"),
        ("-", "-"),
        ("0x", "-"),
        ("08", "-"),
        ("abc", "-"),
        ("1x", "-"),
        ("+1", "-"),
        ("--1", "-"),
        ("0x-1", "-"),
    ];

    const MODES: Answers = &[
        ("0", "0"),
        ("1", "1"),
        ("2", "2"),
        ("3", "3"),
        ("4", "-"),
        ("-1", "-"),
        ("010", "-"),
        ("yes", "-"),
    ];

    const EXPIRATIONS: Answers = &[
        ("0", "0"),
        ("60", "60"),
        ("8589934", "8589934"),
        ("-1", "-1"),
        ("2147483647", "-"),
        ("1d", "-"),
    ];

    #[test]
    fn names_defaults_and_values_are_the_kernels() {
        for &(name, default, values) in KERNEL {
            assert_eq!(Sysctls::default().get(name).unwrap(), default, "{name}");
            for &(value, kernel) in values {
                let mut s = Sysctls::default();
                let done = s.set(name, value);
                // What the kernel remembers to the letter, and means the same there.
                let n = kernel.parse::<i64>().unwrap_or_default();
                let want = match (name, kernel) {
                    (_, "-") => default.to_owned(),
                    ("conn_reuse_mode", _) => kernel.to_owned(),
                    ("amemthresh" | "lblc_expiration" | "lblcr_expiration", _) => {
                        n.max(0).to_string()
                    }
                    ("am_droprate", _) if n < 0 => "1".to_owned(),
                    ("am_droprate", _) => kernel.to_owned(),
                    _ if values == INTEGERS => u8::from(n != 0).to_string(),
                    _ => kernel.to_owned(),
                };
                assert_eq!(done.is_ok(), kernel != "-", "{name}={value:?}");
                assert_eq!(s.get(name).unwrap(), want, "{name}={value:?}");
            }
        }
    }

    #[test]
    fn each_name_sets_one_field_and_gets_it_back() {
        let mut seen = vec![Sysctls::default()];
        for known in Sysctls::NAMES {
            let mut s = Sysctls::default();
            let before = s.get(known.name).unwrap();
            let other = if before == "0" { "3" } else { "0" };
            s.set(known.name, other).unwrap();
            assert!(!seen.contains(&s), "{}", known.name);
            let after = s.get(known.name).unwrap();
            assert_ne!(after, before, "{}", known.name);
            // All others are as they were, and setting it back leaves no trace.
            for k in Sysctls::NAMES.iter().filter(|k| k.name != known.name) {
                assert_eq!(s.get(k.name), Sysctls::default().get(k.name));
            }
            let mut again = s.clone();
            again.set(known.name, &after).unwrap();
            assert_eq!(again, s);
            again.set(known.name, &before).unwrap();
            assert_eq!(again, Sysctls::default());
            seen.push(s);
        }
        let named = |n| Sysctls::NAMES.iter().any(|k| k.name == n);
        assert!(KERNEL.iter().all(|k| named(k.0)));
        assert_eq!(Sysctls::NAMES.len(), KERNEL.len() + 1, "and reopen_removed");
        assert!(Sysctls::NAMES.is_sorted_by_key(|k| k.name));
        assert!(Sysctls::NAMES.iter().all(|k| !k.about.is_empty()));
    }

    #[test]
    fn what_the_kernel_has_more_is_refused_with_the_reason() {
        let without_meaning = [
            "backup_only",
            "conn_lfactor",
            "debug_level",
            "est_cpulist",
            "est_nice",
            "ignore_tunneled",
            "snat_reroute",
            "svc_lfactor",
            "sync_persist_mode",
            "sync_ports",
            "sync_qlen_max",
            "sync_refresh_period",
            "sync_retries",
            "sync_sock_size",
            "sync_threshold",
            "sync_version",
        ];
        let mut s = Sysctls::default();
        for name in without_meaning {
            let refused = s.set(name, "1").unwrap_err();
            assert!(matches!(refused, SysctlError::Meaningless(_)), "{name}");
            assert_eq!(s.get(name), None);
        }
        for name in ["", "sync", "net.ipv4.vs.drop_entry", "DROP_ENTRY"] {
            assert_eq!(s.set(name, "1"), Err(SysctlError::Unknown));
        }
        assert_eq!(s, Sysctls::default());
    }

    #[test]
    fn refusals_say_what_is_accepted() {
        let mut s = Sysctls::default();
        let said = |e: Result<(), SysctlError>| e.unwrap_err().to_string();
        for (name, value, text) in [
            (
                "drop_entry",
                "4",
                "the value must be 0 (never), 1 or 2 (while memory is short) or 3 (always)",
            ),
            (
                "lblc_expiration",
                "21474837",
                "the value must be a number of seconds, at most 21474836",
            ),
            ("drop_entries", "1", "there is no such setting"),
            (
                "conn_lfactor",
                "1",
                "it has no meaning here: tables grow by themselves",
            ),
        ] {
            assert_eq!(said(s.set(name, value)), text);
        }
    }
}
