//! Protocol state: what a director can tell of a connection from the packets it sees.
//!
//! The machines advise, they do not police: no packet is dropped because a state does not expect it. A state
//! decides how long the connection is kept without traffic, whether it counts as active, whether it may be opened
//! anew and whether it may be sacrificed.

mod sctp;
mod tcp;

use std::fmt;
use std::time::Duration;

use crate::segment::{Protocol, Segment};
use crate::verdict::Direction;

/// The state of a tracked connection or of a persistence template. TCP's states come first, then UDP's only one,
/// SCTP's and those of templates; [`State::number`] is IPVS's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum State {
    /// A TCP connection just made.
    None,
    /// Data flows.
    Established,
    /// The server opened it.
    SynSent,
    /// The client opened it.
    SynRecv,
    /// One side has finished.
    FinWait,
    /// Both sides have finished.
    TimeWait,
    /// Reset.
    Close,
    /// The client has finished first.
    CloseWait,
    /// Waiting for the last acknowledgement.
    LastAck,
    /// Announced by a helper, not opened yet.
    Listen,
    /// Under attack (`secure_tcp`): the opening is not acknowledged yet.
    SynAck,
    /// A UDP flow.
    Udp,
    /// An SCTP association just made.
    SctpNone,
    /// The client has sent INIT.
    SctpInit1,
    /// The client has sent INIT again.
    SctpInit,
    /// The server has answered with its cookie (INIT ACK).
    SctpCookieSent,
    /// The client has sent the cookie back (COOKIE ECHO).
    SctpCookieReplied,
    /// The server opens it, or the client has answered an opening (INIT ACK).
    SctpCookieWait,
    /// The client has answered the server's opening.
    SctpCookie,
    /// The server has sent the client's cookie back.
    SctpCookieEchoed,
    /// Data flows.
    SctpEstablished,
    /// The server has begun to shut down.
    SctpShutdownSent,
    /// The client has begun to shut down.
    SctpShutdownReceived,
    /// The server has answered the shutdown.
    SctpShutdownAckSent,
    /// Aborted in its handshake.
    SctpRejected,
    /// Ended.
    SctpClosed,
    /// A persistence template.
    Template,
    /// A persistence template one of whose connections has been established: the client is real.
    Assured,
}

impl State {
    /// All states, each at its own place.
    pub const ALL: [Self; 28] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
        Self::Udp,
        Self::SctpNone,
        Self::SctpInit1,
        Self::SctpInit,
        Self::SctpCookieSent,
        Self::SctpCookieReplied,
        Self::SctpCookieWait,
        Self::SctpCookie,
        Self::SctpCookieEchoed,
        Self::SctpEstablished,
        Self::SctpShutdownSent,
        Self::SctpShutdownReceived,
        Self::SctpShutdownAckSent,
        Self::SctpRejected,
        Self::SctpClosed,
        Self::Template,
        Self::Assured,
    ];

    /// The name in connection listings, which protocols share.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None | Self::SctpNone | Self::Template => "NONE",
            Self::Established | Self::SctpEstablished => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
            Self::SctpInit1 => "INIT1",
            Self::SctpInit => "INIT",
            Self::SctpCookieSent => "C-SENT",
            Self::SctpCookieReplied => "C-REPLIED",
            Self::SctpCookieWait => "C-WAIT",
            Self::SctpCookie => "COOKIE",
            Self::SctpCookieEchoed => "C-ECHOED",
            Self::SctpShutdownSent => "S-SENT",
            Self::SctpShutdownReceived => "S-RECEIVED",
            Self::SctpShutdownAckSent => "S-ACK-SENT",
            Self::SctpRejected => "REJECTED",
            Self::SctpClosed => "CLOSED",
            Self::Assured => "ASSURED",
        }
    }

    /// The number in connection synchronisation messages (IPVS), where each protocol and the templates count from 0.
    pub const fn number(self) -> u8 {
        match self {
            Self::Udp | Self::Template => 0,
            Self::Assured => 1,
            _ if self.is_sctp() => self as u8 - Self::SctpNone as u8,
            _ => self as u8,
        }
    }

    /// Whether the connection counts as active (`ActiveConn`) and not as inactive (`InActConn`). UDP never
    /// does, SCTP only while established.
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established
                | Self::SynSent
                | Self::SynRecv
                | Self::SynAck
                | Self::SctpEstablished
        )
    }

    /// Whether both sides have agreed to the connection, as far as the protocol has such a thing.
    pub const fn is_established(self) -> bool {
        matches!(self, Self::Established | Self::SctpEstablished)
    }

    /// Whether the connection has ended and is only remembered: a new one between the same endpoints may
    /// take its place (IPVS: `conn_reuse_mode` 1).
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::TimeWait | Self::Close | Self::SctpClosed)
    }

    /// Whether the handshake is not over, so that little is lost with the connection: what a full table lets go
    /// rather than anything established.
    pub const fn is_half_open(self) -> bool {
        matches!(
            self,
            Self::None
                | Self::SynSent
                | Self::SynRecv
                | Self::SynAck
                | Self::SctpNone
                | Self::SctpInit1
                | Self::SctpInit
                | Self::SctpCookieSent
                | Self::SctpCookieReplied
                | Self::SctpCookieWait
                | Self::SctpCookie
                | Self::SctpCookieEchoed
        )
    }

    /// Whether the client has only asked to open the connection: what the `drop_entry` defence drops without further
    /// tests (IPVS: TCP's SYN_RECV and SYNACK, SCTP's INIT1 and INIT).
    pub const fn is_opening(self) -> bool {
        matches!(
            self,
            Self::SynRecv | Self::SynAck | Self::SctpInit1 | Self::SctpInit
        )
    }

    /// The state a new connection of this protocol begins in.
    pub(crate) const fn initial(protocol: Protocol) -> Self {
        match protocol {
            Protocol::TCP => Self::None,
            Protocol::SCTP => Self::SctpNone,
            _ => Self::Udp,
        }
    }

    /// The state after a packet. `in_only`: only the client's packets are seen (direct routing and tunnel), so
    /// states must be guessed from one side. `secure`: TCP's tables for times of attack hold (IPVS: `secure_tcp`).
    pub fn after(
        self,
        segment: &Segment,
        direction: Direction,
        in_only: bool,
        secure: bool,
    ) -> Self {
        match self {
            Self::Udp | Self::Template | Self::Assured => self,
            _ if self.is_sctp() => sctp::next(self, segment.chunk, direction, in_only),
            _ => tcp::next(self, segment.flags, direction, in_only, secure),
        }
    }

    const fn is_sctp(self) -> bool {
        Self::SctpNone as u8 <= self as u8 && self as u8 <= Self::SctpClosed as u8
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long a connection is kept without a packet, for each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts([u32; State::ALL.len()]);

impl Default for Timeouts {
    /// IPVS's: 900 s established, 120 s after TCP's FIN, 300 s for UDP, and so on. A template's timeout is its
    /// service's, and 0 here.
    fn default() -> Self {
        let mut t = [0; State::ALL.len()];
        for s in State::ALL {
            t[s as usize] = 1000
                * match s {
                    State::None | State::SctpNone => 2,
                    State::Established | State::SctpEstablished => 900,
                    State::SynSent
                    | State::FinWait
                    | State::TimeWait
                    | State::Listen
                    | State::SynAck => 120,
                    State::SynRecv | State::CloseWait => 60,
                    State::Close => 10,
                    State::LastAck => 30,
                    State::Udp => 300,
                    State::SctpInit1 | State::SctpRejected => 4,
                    State::Template | State::Assured => 0,
                    _ => 61,
                };
        }
        Self(t)
    }
}

impl Timeouts {
    /// The longest timeout, 31 days, as ipvsadm has it.
    pub const MAX: Duration = Duration::from_secs(31 * 24 * 3600);

    /// The timeout of a state.
    pub const fn of(&self, state: State) -> Duration {
        Duration::from_millis(self.0[state as usize] as u64)
    }

    /// Sets the timeout of a state, at most [`Self::MAX`].
    #[must_use]
    pub fn with(mut self, state: State, timeout: Duration) -> Self {
        let ms = timeout.min(Self::MAX).as_millis();
        self.0[state as usize] = u32::try_from(ms).unwrap_or(u32::MAX);
        self
    }

    /// Sets the three timeouts that ipvsadm can (`--set TCP TCPFIN UDP`): of TCP's ESTABLISHED, of TCP's FIN_WAIT
    /// (and no other state after a FIN) and of UDP, each at most [`Self::MAX`]; zero leaves one as it is.
    pub fn set(&mut self, tcp: Duration, tcp_fin: Duration, udp: Duration) {
        for (state, timeout) in [
            (State::Established, tcp),
            (State::FinWait, tcp_fin),
            (State::Udp, udp),
        ] {
            if !timeout.is_zero() {
                *self = self.with(state, timeout);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Endpoint, Ip};
    use crate::segment::{Chunk, TcpFlags};

    const ACTIVE: u8 = 1;
    const ESTABLISHED: u8 = 2;
    const ENDED: u8 = 4;
    const HALF_OPEN: u8 = 8;
    const OPENING: u8 = 16;

    /// State, name, number, timeout in seconds, and what it counts as.
    const SPEC: [(State, &str, u8, u64, u8); 28] = [
        (State::None, "NONE", 0, 2, HALF_OPEN),
        (
            State::Established,
            "ESTABLISHED",
            1,
            900,
            ACTIVE | ESTABLISHED,
        ),
        (State::SynSent, "SYN_SENT", 2, 120, ACTIVE | HALF_OPEN),
        (
            State::SynRecv,
            "SYN_RECV",
            3,
            60,
            ACTIVE | HALF_OPEN | OPENING,
        ),
        (State::FinWait, "FIN_WAIT", 4, 120, 0),
        (State::TimeWait, "TIME_WAIT", 5, 120, ENDED),
        (State::Close, "CLOSE", 6, 10, ENDED),
        (State::CloseWait, "CLOSE_WAIT", 7, 60, 0),
        (State::LastAck, "LAST_ACK", 8, 30, 0),
        (State::Listen, "LISTEN", 9, 120, 0),
        (
            State::SynAck,
            "SYNACK",
            10,
            120,
            ACTIVE | HALF_OPEN | OPENING,
        ),
        (State::Udp, "UDP", 0, 300, 0),
        (State::SctpNone, "NONE", 0, 2, HALF_OPEN),
        (State::SctpInit1, "INIT1", 1, 4, HALF_OPEN | OPENING),
        (State::SctpInit, "INIT", 2, 61, HALF_OPEN | OPENING),
        (State::SctpCookieSent, "C-SENT", 3, 61, HALF_OPEN),
        (State::SctpCookieReplied, "C-REPLIED", 4, 61, HALF_OPEN),
        (State::SctpCookieWait, "C-WAIT", 5, 61, HALF_OPEN),
        (State::SctpCookie, "COOKIE", 6, 61, HALF_OPEN),
        (State::SctpCookieEchoed, "C-ECHOED", 7, 61, HALF_OPEN),
        (
            State::SctpEstablished,
            "ESTABLISHED",
            8,
            900,
            ACTIVE | ESTABLISHED,
        ),
        (State::SctpShutdownSent, "S-SENT", 9, 61, 0),
        (State::SctpShutdownReceived, "S-RECEIVED", 10, 61, 0),
        (State::SctpShutdownAckSent, "S-ACK-SENT", 11, 61, 0),
        (State::SctpRejected, "REJECTED", 12, 4, 0),
        (State::SctpClosed, "CLOSED", 13, 61, ENDED),
        (State::Template, "NONE", 0, 0, 0),
        (State::Assured, "ASSURED", 1, 0, 0),
    ];

    #[test]
    fn every_state_is_as_specified() {
        let timeouts = Timeouts::default();
        for (i, (state, name, number, seconds, counts_as)) in SPEC.into_iter().enumerate() {
            assert_eq!(State::ALL[i], state);
            assert_eq!(State::ALL[i] as usize, i);
            assert_eq!((state.name(), state.number()), (name, number), "{state:?}");
            assert_eq!(timeouts.of(state).as_secs(), seconds, "{state:?}");
            let found = [
                (state.is_active(), ACTIVE),
                (state.is_established(), ESTABLISHED),
                (state.is_ended(), ENDED),
                (state.is_half_open(), HALF_OPEN),
                (state.is_opening(), OPENING),
            ];
            for (is, what) in found {
                assert_eq!(is, counts_as & what != 0, "{state:?} {what}");
            }
        }
    }

    fn segment(protocol: Protocol, flags: TcpFlags, chunk: Chunk) -> Segment {
        let nobody = Endpoint::new(Ip::UNSPECIFIED, 0);
        Segment {
            flags,
            chunk,
            ..Segment::new(protocol, nobody, nobody)
        }
    }

    #[test]
    fn each_protocol_has_its_machine() {
        // SYN does nothing in SCTP, and INIT nothing in TCP: each sees what is its own.
        for (protocol, initial, after) in [
            (Protocol::TCP, State::None, State::SynRecv),
            (Protocol::SCTP, State::SctpNone, State::SctpInit1),
            (Protocol::UDP, State::Udp, State::Udp),
            (Protocol::ESP, State::Udp, State::Udp),
        ] {
            assert_eq!(State::initial(protocol), initial);
            let opening = segment(protocol, TcpFlags::SYN, Chunk::Init);
            assert_eq!(initial.after(&opening, Direction::In, false, false), after);
        }
        let opening = segment(Protocol::TCP, TcpFlags::SYN, Chunk::Data);
        let after = |in_only, secure| State::None.after(&opening, Direction::In, in_only, secure);
        assert_eq!(after(true, true), State::SynAck);
        assert_eq!(after(false, true), State::SynRecv);
    }

    #[test]
    fn udp_and_templates_have_no_machine() {
        let abort = segment(Protocol::UDP, TcpFlags::RST, Chunk::Abort);
        for state in [State::Udp, State::Template, State::Assured] {
            for d in [Direction::In, Direction::Out] {
                assert_eq!(state.after(&abort, d, false, false), state);
            }
        }
    }

    #[test]
    fn a_timeout_has_a_limit() {
        let t = Timeouts::default().with(State::Udp, Duration::from_secs(u64::MAX));
        assert_eq!(t.of(State::Udp), Timeouts::MAX);
    }

    #[test]
    fn ipvsadm_sets_three_timeouts_and_zero_none() {
        let s = Duration::from_secs;
        let mut t = Timeouts::default();
        t.set(s(0), s(0), s(0));
        assert_eq!(t, Timeouts::default());
        t.set(s(100), s(0), s(50));
        t.set(s(0), s(7), s(0));
        for state in State::ALL {
            let want = match state {
                State::Established => s(100),
                State::FinWait => s(7),
                State::Udp => s(50),
                _ => Timeouts::default().of(state),
            };
            assert_eq!(t.of(state), want, "{state:?}");
        }
        t.set(s(1 << 40), s(0), s(0));
        assert_eq!(t.of(State::Established), Timeouts::MAX);
    }
}
