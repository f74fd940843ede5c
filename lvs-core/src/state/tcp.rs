//! TCP as IPVS's tables have it.
//!
//! A segment is one event, by the first of its flags in the order RST, SYN, FIN, ACK; one without any of
//! them closes the connection. What an event does depends on the direction. Under direct routing and
//! tunnelling the director sees the client's side only ("in-only"), and takes the client's FIN for the
//! beginning of the end.
//!
//! ```text
//! NAT:       NONE ─syn→ SYN_RECV ─ack→ ESTABLISHED ─client fin→ CLOSE_WAIT ─server fin→ TIME_WAIT
//!                                          └─server fin→ FIN_WAIT ─client fin→ TIME_WAIT
//! in-only:   NONE ─syn→ SYN_RECV ─ack→ ESTABLISHED ─fin→ FIN_WAIT
//! any:       ─rst→ CLOSE
//! ```
//!
//! Under attack (IPVS: `secure_tcp`) other tables hold, in which an opening does not count as established before
//! the server has acknowledged something:
//!
//! ```text
//! NAT:       NONE ─syn→ SYN_RECV ─server syn→ SYNACK ─server ack→ ESTABLISHED
//! in-only:   NONE ─syn→ SYNACK ─ack→ ESTABLISHED
//! ```

use super::State;
use crate::segment::TcpFlags;
use crate::verdict::Direction;

type Row = [State; 11];

/// The four rows of a table: syn, fin, ack, rst.
type Table = [Row; 4];

const ES: State = State::Established;
const SS: State = State::SynSent;
const SR: State = State::SynRecv;
const FW: State = State::FinWait;
const TW: State = State::TimeWait;
const CL: State = State::Close;
const CW: State = State::CloseWait;
const LA: State = State::LastAck;
const LI: State = State::Listen;
const SA: State = State::SynAck;

//                  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
const IN: Table = [
    /* syn */ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
    /* fin */ [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
    /* ack */ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    /* rst */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
];

const OUT: Table = [
    /* syn */ [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
    /* fin */ [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
    /* ack */ [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
    /* rst */ [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
];

const IN_ONLY: Table = [
    /* syn */ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
    /* fin */ [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
    /* ack */ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    /* rst */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
];

const SECURE_IN: Table = [
    /* syn */ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA],
    /* fin */ [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA],
    /* ack */ [ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA],
    /* rst */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
];

const SECURE_OUT: Table = [
    /* syn */ [SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA],
    /* fin */ [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
    /* ack */ [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
    /* rst */ [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
];

const SECURE_IN_ONLY: Table = [
    /* syn */ [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA],
    /* fin */ [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
    /* ack */ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    /* rst */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
];

/// The state after a segment.
pub(super) fn next(
    state: State,
    flags: TcpFlags,
    direction: Direction,
    in_only: bool,
    secure: bool,
) -> State {
    let table = match (direction, in_only, secure) {
        (Direction::Out, _, false) => &OUT,
        (Direction::In, false, false) => &IN,
        (Direction::In, true, false) => &IN_ONLY,
        (Direction::Out, _, true) => &SECURE_OUT,
        (Direction::In, false, true) => &SECURE_IN,
        (Direction::In, true, true) => &SECURE_IN_ONLY,
    };
    let row = if flags.has(TcpFlags::RST) {
        3
    } else if flags.has(TcpFlags::SYN) {
        0
    } else if flags.has(TcpFlags::FIN) {
        1
    } else if flags.has(TcpFlags::ACK) {
        2
    } else {
        return CL;
    };
    table[row].get(state as usize).copied().unwrap_or(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables as the specification prints them ("·" = stay), apart from the arrays above: a slip in
    /// either shows.
    const SPEC: &str = "
        normal in       syn  SR · ES · SR SR SR SR SR SR SR
        normal in       fin  CL CW · TW TW · · · · · TW
        normal in       ack  ES · · ES · · · · CL · ES
        normal in       rst  CL CL CL · CL CL · CL · · SR
        normal out      syn  SS · · · SS SS SS SS SS · SR
        normal out      fin  TW FW · TW · · · TW · · TW
        normal out      ack  ES · · ES · · · · · ES ES
        normal out      rst  CL CL · CL CL · · CL CL CL CL
        normal in-only  syn  SR · ES · SR SR SR SR SR SR SR
        normal in-only  fin  CL FW · TW · · · · · · TW
        normal in-only  ack  ES · · ES · · · · CL · ES
        normal in-only  rst  CL CL CL · CL CL · CL · · CL
        secure in       syn  SR · ES · SR SR SR SR SR SR ·
        secure in       fin  CL CW · TW TW · · · · · ·
        secure in       ack  ES · · · · · · · CL · ·
        secure in       rst  CL CL CL · CL CL · CL · · CL
        secure out      syn  SS · · SA SS SS SS SS SS · ·
        secure out      fin  TW FW · TW · · · TW · · TW
        secure out      ack  ES · · ES · · · · · ES ES
        secure out      rst  CL CL · CL CL · · CL CL CL CL
        secure in-only  syn  SA · ES · SA SA SA SA SA SA ·
        secure in-only  fin  CL FW · TW · · · · · · TW
        secure in-only  ack  ES · · ES · · · · CL · ES
        secure in-only  rst  CL CL CL · CL CL · CL · · CL";

    const STATES: [(&str, State); 11] = [
        ("NO", State::None),
        ("ES", State::Established),
        ("SS", State::SynSent),
        ("SR", State::SynRecv),
        ("FW", State::FinWait),
        ("TW", State::TimeWait),
        ("CL", State::Close),
        ("CW", State::CloseWait),
        ("LA", State::LastAck),
        ("LI", State::Listen),
        ("SA", State::SynAck),
    ];

    #[test]
    fn every_cell_is_as_specified() {
        let mut cells = 0;
        for line in SPEC.lines().filter(|l| !l.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let secure = words[0] == "secure";
            let direction = match words[1] {
                "out" => Direction::Out,
                _ => Direction::In,
            };
            // Once the server has been seen, its packets have one table.
            let in_only: &[bool] = match words[1] {
                "in" => &[false],
                "out" => &[false, true],
                _ => &[true],
            };
            let flags = match words[2] {
                "syn" => TcpFlags::SYN,
                "fin" => TcpFlags::FIN,
                "ack" => TcpFlags::ACK,
                _ => TcpFlags::RST,
            };
            for (&(_, from), cell) in STATES.iter().zip(&words[3..]) {
                let want = STATES
                    .iter()
                    .find(|(short, _)| short == cell)
                    .map_or(from, |s| s.1);
                for &in_only in in_only {
                    let got = next(from, flags, direction, in_only, secure);
                    assert_eq!(got, want, "{:?} in {from}", &words[..3]);
                    cells += 1;
                }
            }
        }
        assert_eq!(cells, 2 * 16 * 11);
    }

    #[test]
    fn flags_have_an_order_and_none_closes() {
        let all = TcpFlags(0xff);
        let next_in = |s, f| next(s, f, Direction::In, false, false);
        assert_eq!(next_in(ES, all), CL, "RST wins");
        assert_eq!(
            next_in(
                State::None,
                TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::ACK)
            ),
            SR
        );
        assert_eq!(next_in(ES, TcpFlags::FIN.with(TcpFlags::ACK)), CW);
        for (_, s) in STATES {
            for secure in [false, true] {
                assert_eq!(next(s, TcpFlags(0), Direction::In, false, secure), CL);
            }
        }
    }

    #[test]
    fn under_attack_the_server_must_answer() {
        let mut state = State::None;
        for (direction, flags, want) in [
            (Direction::In, TcpFlags::SYN, SR),
            (Direction::Out, TcpFlags::SYN.with(TcpFlags::ACK), SA),
            (Direction::In, TcpFlags::ACK, SA),
            (Direction::Out, TcpFlags::ACK, ES),
        ] {
            state = next(state, flags, direction, false, true);
            assert_eq!(state, want);
        }
    }
}
