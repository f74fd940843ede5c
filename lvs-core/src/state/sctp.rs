//! SCTP as IPVS's tables have it.
//!
//! A packet is one event, by its first chunk ([`Chunk`]); what it does depends on the direction. A state is the
//! director's guess at how far the handshake of RFC 9260 has come:
//!
//! ```text
//! NAT:      NONE ─init→ INIT1 ─server init-ack→ C-SENT ─cookie-echo→ C-REPLIED ─server cookie-ack→ ESTABLISHED
//!           ESTABLISHED ─shutdown→ S-RECEIVED ─server shutdown-ack→ S-ACK-SENT ─shutdown-complete→ CLOSED
//! in-only:  NONE ─init→ INIT1 ─cookie-echo→ ESTABLISHED ─shutdown→ S-RECEIVED ─shutdown-complete→ CLOSED
//! any:      ─abort→ CLOSED
//! ```

use super::State;
use crate::segment::Chunk;
use crate::verdict::Direction;

/// How many states there are.
const STATES: usize = 14;

/// The ten rows of a table, in the order of [`Chunk`]; each cell is the state after.
type Table = [[State; STATES]; 10];

const NO: State = State::SctpNone;
const I1: State = State::SctpInit1;
const IN: State = State::SctpInit;
const CS: State = State::SctpCookieSent;
const CR: State = State::SctpCookieReplied;
const CW: State = State::SctpCookieWait;
const CO: State = State::SctpCookie;
const CE: State = State::SctpCookieEchoed;
const ES: State = State::SctpEstablished;
const SS: State = State::SctpShutdownSent;
const SR: State = State::SctpShutdownReceived;
const SA: State = State::SctpShutdownAckSent;
const RJ: State = State::SctpRejected;
const CL: State = State::SctpClosed;

//                           NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL
const CLIENT: Table = [
    /* data              */ [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* init              */ [I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN],
    /* init-ack          */ [CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* cookie-echo       */ [CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* cookie-ack        */ [ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL],
    /* shutdown          */ [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL],
    /* shutdown-ack      */ [CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL],
    /* shutdown-complete */ [CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL],
    /* error             */ [CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL],
    /* abort             */ [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL],
];

const SERVER: Table = [
    /* data              */ [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* init              */ [CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW],
    /* init-ack          */ [CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* cookie-echo       */ [CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL],
    /* cookie-ack        */ [ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL],
    /* shutdown          */ [SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL],
    /* shutdown-ack      */ [SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL],
    /* shutdown-complete */ [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* error             */ [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* abort             */ [CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
];

const CLIENT_ONLY: Table = [
    /* data              */ [ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* init              */ [I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN],
    /* init-ack          */ [CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* cookie-echo       */ [ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* cookie-ack        */ [ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL],
    /* shutdown          */ [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL],
    /* shutdown-ack      */ [CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL],
    /* shutdown-complete */ [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL],
    /* error             */ [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
    /* abort             */ [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL],
];

/// The state after a packet; a state of another protocol stays.
pub(super) fn next(state: State, chunk: Chunk, direction: Direction, in_only: bool) -> State {
    let table = match (direction, in_only) {
        (Direction::Out, _) => &SERVER,
        (Direction::In, false) => &CLIENT,
        (Direction::In, true) => &CLIENT_ONLY,
    };
    let column = (state as usize).wrapping_sub(NO as usize);
    table[chunk as usize].get(column).copied().unwrap_or(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes as the specification lists them, apart from the arrays above; what is not listed stays. A
    /// `!` stands for all states but those named.
    const SPEC: &[(Chunk, &str, &str, &str)] = &[
        (Chunk::Data, "NO>ES", "NO>ES", "NO,CW>ES"),
        (
            Chunk::Init,
            "NO>I1 I1,RJ,CL>IN",
            "!ES>CW",
            "NO>I1 I1,CS,CR,CW,RJ,CL>IN",
        ),
        (
            Chunk::InitAck,
            "NO,I1,IN>CW CW>CO",
            "NO,I1,IN>CS",
            "NO,I1,IN,CS,CR,CW>CE",
        ),
        (
            Chunk::CookieEcho,
            "NO,CS>CR I1>IN",
            "NO,I1,IN,CS,CR,CW,CO>CE",
            "NO,I1,IN,CS,CR,CW>ES",
        ),
        (
            Chunk::CookieAck,
            "NO,CE>ES",
            "NO,I1,IN,CS,CR,CW,CO,CE>ES",
            "NO,CS,CR,CO,CE>ES",
        ),
        (Chunk::Shutdown, "NO,ES>SR", "!SR,SA,RJ,CL>SS", "NO,ES>SR"),
        (
            Chunk::ShutdownAck,
            "NO,SS,SA>CL I1>IN",
            "NO,I1,IN,CS,CR,SS,SR>SA",
            "NO,ES,SS,SA>CL I1>IN",
        ),
        (
            Chunk::ShutdownComplete,
            "NO,I1,IN,SA>CL",
            "NO>CL",
            "NO,I1,IN,CS,CR,SR,SA>CL",
        ),
        (Chunk::Error, "NO,CE>CL", "NO,I1,IN,CS,CR>CL", "NO>CL"),
        (Chunk::Abort, "!CW>CL CW>RJ", "!I1>CL I1>RJ", "!CW>CL CW>RJ"),
    ];

    const SHORT: [(&str, State); STATES] = [
        ("NO", State::SctpNone),
        ("I1", State::SctpInit1),
        ("IN", State::SctpInit),
        ("CS", State::SctpCookieSent),
        ("CR", State::SctpCookieReplied),
        ("CW", State::SctpCookieWait),
        ("CO", State::SctpCookie),
        ("CE", State::SctpCookieEchoed),
        ("ES", State::SctpEstablished),
        ("SS", State::SctpShutdownSent),
        ("SR", State::SctpShutdownReceived),
        ("SA", State::SctpShutdownAckSent),
        ("RJ", State::SctpRejected),
        ("CL", State::SctpClosed),
    ];

    fn long(short: &str) -> State {
        SHORT.iter().find(|(s, _)| *s == short).unwrap().1
    }

    /// The state after `from`, if the list of changes has it.
    fn listed(changes: &str, from: &str) -> Option<State> {
        let mut after = changes.split(' ').filter_map(|change| {
            let (these, to) = change.split_once('>').unwrap();
            let hit = match these.strip_prefix('!') {
                Some(others) => !others.split(',').any(|s| s == from),
                None => these.split(',').any(|s| s == from),
            };
            hit.then(|| long(to))
        });
        let found = after.next();
        assert!(after.next().is_none(), "{from} twice in {changes}");
        found
    }

    #[test]
    fn every_cell_is_as_specified() {
        let mut cells = 0;
        for &(chunk, from_client, from_server, client_only) in SPEC {
            for (direction, in_only, changes) in [
                (Direction::In, false, from_client),
                (Direction::Out, false, from_server),
                (Direction::Out, true, from_server),
                (Direction::In, true, client_only),
            ] {
                for (short, from) in SHORT {
                    let want = listed(changes, short).unwrap_or(from);
                    let got = next(from, chunk, direction, in_only);
                    assert_eq!(
                        got, want,
                        "{chunk:?} {direction:?} in-only {in_only} in {from}"
                    );
                    cells += 1;
                }
            }
        }
        assert_eq!(cells, 10 * 4 * STATES);
    }

    /// The conversations of RFC 9260 sections 5.1 and 9.2, as the director sees them.
    #[test]
    fn an_association_lives_and_ends() {
        use Chunk::*;
        use Direction::*;
        let walk = |in_only: bool, steps: &[(Direction, Chunk, State)]| {
            let mut state = NO;
            for &(direction, chunk, want) in steps {
                state = next(state, chunk, direction, in_only);
                assert_eq!(state, want, "{direction:?} {chunk:?}");
            }
        };
        walk(
            false,
            &[
                (In, Init, I1),
                (Out, InitAck, CS),
                (In, CookieEcho, CR),
                (Out, CookieAck, ES),
                (In, Data, ES),
                (In, Shutdown, SR),
                (Out, ShutdownAck, SA),
                (In, ShutdownComplete, CL),
                (In, Init, IN),
            ],
        );
        walk(
            true,
            &[
                (In, Init, I1),
                (In, CookieEcho, ES),
                (In, Data, ES),
                (In, Shutdown, SR),
                (In, ShutdownComplete, CL),
            ],
        );
    }

    #[test]
    fn other_protocols_states_stay() {
        for state in [State::None, State::Established, State::SynAck, State::Udp] {
            assert_eq!(next(state, Chunk::Abort, Direction::In, false), state);
        }
        for state in [State::Template, State::Assured] {
            assert_eq!(next(state, Chunk::Abort, Direction::In, false), state);
        }
    }
}
