//! TCP as IPVS's normal tables have it.
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

pub(super) fn next(state: State, flags: TcpFlags, direction: Direction, in_only: bool) -> State {
    let table = match (direction, in_only) {
        (Direction::Out, _) => &OUT,
        (Direction::In, false) => &IN,
        (Direction::In, true) => &IN_ONLY,
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
        in       syn  SR · ES · SR SR SR SR SR SR SR
        in       fin  CL CW · TW TW · · · · · TW
        in       ack  ES · · ES · · · · CL · ES
        in       rst  CL CL CL · CL CL · CL · · SR
        out      syn  SS · · · SS SS SS SS SS · SR
        out      fin  TW FW · TW · · · TW · · TW
        out      ack  ES · · ES · · · · · ES ES
        out      rst  CL CL · CL CL · · CL CL CL CL
        in-only  syn  SR · ES · SR SR SR SR SR SR SR
        in-only  fin  CL FW · TW · · · · · · TW
        in-only  ack  ES · · ES · · · · CL · ES
        in-only  rst  CL CL CL · CL CL · CL · · CL";

    const STATES: [&str; 11] = [
        "NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA",
    ];

    #[test]
    fn every_cell_is_as_specified() {
        let mut cells = 0;
        for line in SPEC.lines().filter(|l| !l.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (direction, in_only) = match words[0] {
                "in" => (Direction::In, false),
                "out" => (Direction::Out, false),
                _ => (Direction::In, true),
            };
            let flags = match words[1] {
                "syn" => TcpFlags::SYN,
                "fin" => TcpFlags::FIN,
                "ack" => TcpFlags::ACK,
                _ => TcpFlags::RST,
            };
            for (i, cell) in words[2..].iter().enumerate() {
                let from = State::ALL[i];
                let want = STATES
                    .iter()
                    .position(|s| s == cell)
                    .map_or(from, |n| State::ALL[n]);
                let got = next(from, flags, direction, in_only);
                assert_eq!(got, want, "{} {} in {from}", words[0], words[1]);
                cells += 1;
            }
        }
        assert_eq!(cells, 12 * 11);
    }

    #[test]
    fn flags_have_an_order_and_none_closes() {
        let all = TcpFlags(0xff);
        let next_in = |s, f| next(s, f, Direction::In, false);
        assert_eq!(next_in(ES, all), CL, "RST wins");
        assert_eq!(
            next_in(
                State::None,
                TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::ACK)
            ),
            SR
        );
        assert_eq!(next_in(ES, TcpFlags::FIN.with(TcpFlags::ACK)), CW);
        for s in &State::ALL[..11] {
            assert_eq!(next_in(*s, TcpFlags(0)), CL);
        }
    }
}
