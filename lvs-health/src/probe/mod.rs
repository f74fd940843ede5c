//! One run of one check: bytes in, bytes out, a verdict.
//!
//! A probe has neither socket nor clock. Its driver opens the transport, tells it what came and when time is over, and
//! sends what it asks for. A [`Plan`] makes the probes of a check, one for each run.
//!
//! | file | speaks |
//! |---|---|
//! | [`tcp`] | nothing |
//! | [`http`] | HTTP/1, and judges pages |
//! | [`smtp`] | SMTP: greets, and hands mails over |
//! | [`dns`] | DNS over UDP |
//! | [`udp`] | any datagram |
//! | [`ping`] | ICMP echo |
//! | `tls` | TLS, around one of the others (feature `tls`) |
//!
//! Whatever a peer sends, in whatever pieces: a probe never panics, keeps no more of it than its documentation says, and shows no more
//! than 100 bytes of it, escaped. How long it may go on is its driver's affair.

use std::fmt;

pub mod dns;
pub mod http;
pub mod ping;
mod plan;
mod shown;
pub mod smtp;
pub mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod tls;
pub mod udp;

pub use plan::{Plan, Plans, Transport};

/// One run of one check, over a transport that its driver opens.
///
/// After [`Progress::Done`] and after [`Probe::closed`] and [`Probe::expired`] it is not called any more. What is in `out` with the
/// former (a farewell) is sent if that can be done at once.
pub trait Probe: Send + fmt::Debug {
    /// The transport is open: a stream is connected, a datagram socket is bound to its peer. What is to be sent goes to `out`.
    fn opened(&mut self, out: &mut Vec<u8>) -> Progress;

    /// Bytes of a stream, or one datagram, came.
    fn received(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Progress;

    /// The peer sends nothing more.
    fn closed(&mut self) -> Verdict;

    /// Time is over. Without a connection, that is [`Reason::ConnectTimeout`]: the driver knows, and need not ask.
    fn expired(&mut self) -> Verdict;
}

/// What a probe is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits for more.
    More,
    /// It is over.
    Done(Verdict),
}

/// What a run found.
pub type Verdict = Result<Passed, Failure>;

/// How a run was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// All is as it should be.
    Plainly,
    /// And the server should have this weight instead of the configured one (a dynamic script).
    Weighing(u32),
    /// And this should be added to the server's weight (a file).
    Adding(i64),
}

/// Why a run was not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which kind of reason.
    pub reason: Reason,
    /// What exactly, for people; bytes of the peer are escaped. May be empty.
    pub detail: String,
}

impl Failure {
    /// With what exactly.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.detail {
            "" => f.write_str(self.reason.text()),
            detail => write!(f, "{}: {detail}", self.reason.text()),
        }
    }
}

/// The kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// We could not even ask: no socket, no port, no such interface, no such program. Says nothing about the server, and
    /// never counts against it.
    Local,
    /// The connection was refused.
    Refused,
    /// The network does not get there.
    Unreachable,
    /// The connection was reset or broken.
    Reset,
    /// No connection in time.
    ConnectTimeout,
    /// No complete answer in time.
    AnswerTimeout,
    /// The peer closed before the answer was complete.
    Closed,
    /// The answer is none in the protocol spoken.
    Malformed,
    /// The answer is longer than we take.
    TooLong,
    /// A status code that is not wanted (HTTP, SMTP, DNS).
    Status,
    /// The body's digest is another.
    Digest,
    /// The pattern was not found, or was.
    Content,
    /// No TLS session could be made.
    Tls,
    /// The server's certificate is not good.
    Certificate,
    /// The program said so.
    Exit,
    /// The file says so, or cannot be read.
    File,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Local,
        Self::Refused,
        Self::Unreachable,
        Self::Reset,
        Self::ConnectTimeout,
        Self::AnswerTimeout,
        Self::Closed,
        Self::Malformed,
        Self::TooLong,
        Self::Status,
        Self::Digest,
        Self::Content,
        Self::Tls,
        Self::Certificate,
        Self::Exit,
        Self::File,
    ];

    /// A word for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::ConnectTimeout => "connect-timeout",
            Self::AnswerTimeout => "answer-timeout",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::TooLong => "too-long",
            Self::Status => "status",
            Self::Digest => "digest",
            Self::Content => "content",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Exit => "exit",
            Self::File => "file",
        }
    }

    /// A few words for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Local => "could not be asked",
            Self::Refused => "connection refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "connection reset",
            Self::ConnectTimeout => "no connection in time",
            Self::AnswerTimeout => "no complete answer in time",
            Self::Closed => "closed too early",
            Self::Malformed => "malformed answer",
            Self::TooLong => "answer too long",
            Self::Status => "unwanted status",
            Self::Digest => "other content",
            Self::Content => "unwanted content",
            Self::Tls => "no TLS session",
            Self::Certificate => "bad certificate",
            Self::Exit => "script failed",
            Self::File => "file says no",
        }
    }
}

#[cfg(test)]
mod tests;
