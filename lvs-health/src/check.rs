//! What is checked, how, and how often: plain values, compared to find what a new configuration changes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A check of one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// What is asked.
    pub kind: Kind,
    /// Whom. Scripts and files ask nobody: they leave it alone.
    pub target: Target,
    /// When, and how much is forgiven.
    pub timing: Timing,
    /// Whether the server counts as down until it has passed for the first time (keepalived's `alpha`).
    pub alpha: bool,
}

/// Where a probe goes to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Address and port. [`Kind::Ping`] has no use for the port.
    pub addr: SocketAddr,
    /// The address to come from (`bindto`).
    pub source: Option<IpAddr>,
    /// The port to come from (`bind_port`).
    pub source_port: Option<u16>,
    /// The interface to go out on (`bind_if`).
    pub interface: Option<String>,
    /// The firewall mark that the probe's packets carry (`fwmark`); 0 is none.
    pub mark: u32,
    /// Who gets the packets, although they are for `addr`: a virtual address that many servers hold (`lvsd_check_vip`). The driver
    /// needs a [network](crate::driver::Network) for it, which sees to `interface`, `mark` and `source_port` itself.
    pub via: Option<Via>,
}

impl Target {
    /// This address, nothing special about the way there.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            source: None,
            source_port: None,
            interface: None,
            mark: 0,
            via: None,
        }
    }
}

/// A server that packets for a virtual address are brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    /// The server's own address.
    pub server: IpAddr,
    /// How they get there.
    pub delivery: Delivery,
}

/// How packets for a virtual address get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// As they are, to the server's link-layer address (direct routing).
    Link,
    /// In an IP packet.
    Ipip,
    /// In GRE (RFC 2784).
    Gre {
        /// With a checksum.
        checksum: bool,
    },
    /// In generic UDP encapsulation.
    Gue {
        /// The server's UDP port.
        port: u16,
        /// With UDP's checksum.
        checksum: bool,
        /// With UDP's checksum, and the inner packet's left to the receiver to complete.
        remote_checksum: bool,
    },
}

/// When a check runs, and how much is forgiven. The defaults are keepalived's for a TCP check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From the start of one run to the start of the next (`delay_loop`).
    pub interval: Duration,
    /// How long one run may take, from connecting to its verdict (`connect_timeout`).
    pub timeout: Duration,
    /// Whether `timeout` bounds each step (connect, each read) and not the whole, as in keepalived. A peer that sends a byte now
    /// and then is then never given up.
    pub each_step: bool,
    /// Failures in a row that are forgiven (`retry`): one more, and the server is down.
    pub retries: u32,
    /// From a forgiven failure to the next run (`delay_before_retry`).
    pub retry_delay: Duration,
    /// Successes in a row that bring a server up, at least 1 (`lvsd_rise`; keepalived knows only 1).
    pub rise: u32,
    /// The first run begins at random within this time (`warmup`), so that thousands do not begin at once.
    pub warmup: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let interval = Duration::from_secs(60);
        Self {
            interval,
            timeout: Duration::from_secs(5),
            each_step: false,
            retries: 1,
            retry_delay: Duration::from_secs(1),
            rise: 1,
            warmup: interval,
        }
    }
}

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Whether it takes a connection (`TCP_CHECK`).
    Tcp,
    /// Pages (`HTTP_GET`, `SSL_GET`).
    Http(Http),
    /// Whether it greets as a mail server (`SMTP_CHECK`).
    Smtp {
        /// What it is told our name is.
        helo: String,
    },
    /// A name, over UDP (`DNS_CHECK`).
    Dns {
        /// The record type's number: 6 is SOA.
        record: u16,
        /// The name; `.` or empty is the root.
        name: String,
    },
    /// A datagram (`UDP_CHECK`).
    Udp(Udp),
    /// An echo (`PING_CHECK`).
    Ping,
    /// A program's exit status (`MISC_CHECK`).
    Script(Script),
    /// The number in a file (`FILE_CHECK`).
    File(FileCheck),
}

/// A series of pages, of which each must be as it should.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Http {
    /// At least one.
    pub pages: Vec<Page>,
    /// The protocol spoken.
    pub version: HttpVersion,
    /// `None`: in the clear.
    pub tls: Option<Tls>,
    /// While coming up, the next page follows at once (`fast_recovery`).
    pub fast_recovery: bool,
}

/// How requests look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// `HTTP/1.0`.
    #[default]
    V1_0,
    /// `HTTP/1.0` with `Connection: close`.
    V1_0Close,
    /// `HTTP/1.1` with `Connection: close`.
    V1_1,
}

/// One page, and what is expected of it. All that is said must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// With the leading slash.
    pub path: String,
    /// The `Host` header, word for word; `None`: the target's address and port.
    pub host: Option<String>,
    /// The MD5 sum of the body.
    pub digest: Option<[u8; 16]>,
    /// Which status codes are good, as ranges; empty: 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// A pattern searched for in the answer.
    pub pattern: Option<Pattern>,
}

/// A regular expression and what it should do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The expression, in the syntax of the regex crate; it has been seen to compile.
    pub expression: String,
    /// It must be found; otherwise it must not (`regex_no_match`).
    pub expected: bool,
    /// Without regard to case.
    pub caseless: bool,
    /// `.` matches line ends too.
    pub dotall: bool,
    /// `^` and `$` match at each line.
    pub multiline: bool,
    /// White space and comments are ignored (`extended`).
    pub extended: bool,
    /// Repetitions are lazy (`ungreedy`).
    pub ungreedy: bool,
    /// The first byte of the answer, its header included, that a match may begin at.
    pub from: usize,
    /// The last byte that it may begin at.
    pub to: Option<usize>,
}

/// How a TLS session is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The name in the client's hello; `None`: none is sent.
    pub server_name: Option<String>,
    /// Whether the server's certificate is verified: for the server name, or else the address (`lvsd_tls_verify`; keepalived never does).
    pub verify: bool,
    /// Authorities to verify with; `None`: the system's.
    pub authorities: Option<PathBuf>,
    /// Certificate and key that the server is shown.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A datagram and the answer expected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Udp {
    /// What is sent.
    pub payload: Vec<u8>,
    /// An answer must come. Without it, only an ICMP error fails.
    pub reply_required: bool,
    /// What the answer must begin with: a value and the bits of it that count, byte by byte; empty: anything.
    pub reply: Vec<(u8, u8)>,
    /// The answer's least and greatest length, looked at where `reply` is not empty.
    pub length: (u16, u16),
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    /// The program and its arguments; at least the program.
    pub argv: Vec<String>,
    /// Whom it runs as: user and group; `None`: as we do.
    pub user: Option<(u32, u32)>,
    /// How long it may run.
    pub timeout: Duration,
    /// Exit statuses 2 to 255 mean weights 0 to 253 (`misc_dynamic`).
    pub dynamic: bool,
}

/// A number in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileCheck {
    /// Read again whenever it changes.
    pub path: PathBuf,
    /// What the number is multiplied with, before it is added to the server's weight; 0: any number but 0 is a failure.
    pub weight: i64,
}
