//! Protocol state: what a director can tell of a connection from the packets it sees.
//!
//! The machines advise, they do not police: no packet is dropped because a state does not expect it. A state
//! decides how long the connection is kept without traffic and whether it counts as active.

mod tcp;

use std::fmt;
use std::time::Duration;

use crate::segment::{Protocol, TcpFlags};
use crate::verdict::Direction;

/// The state of a tracked connection, numbered as IPVS numbers them in its synchronisation messages (UDP,
/// which has one state only, apart).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum State {
    /// A TCP connection just made.
    None = 0,
    /// Data flows.
    Established = 1,
    /// The server opened it.
    SynSent = 2,
    /// The client opened it.
    SynRecv = 3,
    /// One side has finished.
    FinWait = 4,
    /// Both sides have finished.
    TimeWait = 5,
    /// Reset.
    Close = 6,
    /// The client has finished first.
    CloseWait = 7,
    /// Waiting for the last acknowledgement.
    LastAck = 8,
    /// Announced by a helper, not opened yet.
    Listen = 9,
    /// Under attack defence: the server has answered the opening.
    SynAck = 10,
    /// A UDP flow.
    Udp = 11,
}

impl State {
    /// All states.
    pub const ALL: [Self; 12] = [
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
    ];

    /// The name in connection listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
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
        }
    }

    /// Whether the connection counts as active (`ActiveConn`) and not as inactive (`InActConn`). UDP never
    /// does.
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck
        )
    }

    /// Whether the connection has ended and is only remembered: a new one between the same endpoints may
    /// take its place (IPVS: `conn_reuse_mode` 1).
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::TimeWait | Self::Close)
    }

    /// The state a new connection of this protocol begins in.
    pub(crate) const fn initial(protocol: Protocol) -> Self {
        match protocol {
            Protocol::TCP => Self::None,
            _ => Self::Udp,
        }
    }

    /// The state after a packet. `half_open_view`: only the client's packets are seen (direct routing and
    /// tunnel), so states must be guessed from one side.
    pub fn after(self, flags: TcpFlags, direction: Direction, half_open_view: bool) -> Self {
        match self {
            Self::Udp => self,
            _ => tcp::next(self, flags, direction, half_open_view),
        }
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
    /// IPVS's: 900 s established, 120 s after FIN, 300 s for UDP, and so on.
    fn default() -> Self {
        let mut t = [0; State::ALL.len()];
        for s in State::ALL {
            t[s as usize] = 1000
                * match s {
                    State::None => 2,
                    State::Established => 900,
                    State::SynSent
                    | State::FinWait
                    | State::TimeWait
                    | State::Listen
                    | State::SynAck => 120,
                    State::SynRecv | State::CloseWait => 60,
                    State::Close => 10,
                    State::LastAck => 30,
                    State::Udp => 300,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_and_activity_are_those_of_ipvs() {
        let t = Timeouts::default();
        let expected = [
            (State::None, 2, false),
            (State::Established, 900, true),
            (State::SynSent, 120, true),
            (State::SynRecv, 60, true),
            (State::FinWait, 120, false),
            (State::TimeWait, 120, false),
            (State::Close, 10, false),
            (State::CloseWait, 60, false),
            (State::LastAck, 30, false),
            (State::Listen, 120, false),
            (State::SynAck, 120, true),
            (State::Udp, 300, false),
        ];
        assert_eq!(expected.len(), State::ALL.len());
        for (i, (state, seconds, active)) in expected.into_iter().enumerate() {
            assert_eq!(State::ALL[i] as usize, i);
            assert_eq!(t.of(state).as_secs(), seconds, "{state}");
            assert_eq!(state.is_active(), active, "{state}");
        }
    }

    #[test]
    fn udp_has_one_state() {
        for d in [Direction::In, Direction::Out] {
            assert_eq!(State::Udp.after(TcpFlags::RST, d, false), State::Udp);
        }
    }

    #[test]
    fn a_timeout_has_a_limit() {
        let t = Timeouts::default().with(State::Udp, Duration::from_secs(u64::MAX));
        assert_eq!(t.of(State::Udp), Timeouts::MAX);
    }
}
