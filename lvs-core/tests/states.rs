//! The protocol machines against what a kernel's IPVS did with random packets.

use lvs_core::state::State;
use lvs_core::{Chunk, Direction, Endpoint, Ip, Protocol, Segment, TcpFlags};

const KERNEL: &str = include_str!("data/kernel-states.txt");

#[test]
fn every_transition_a_kernel_made_is_made_here() {
    let mut cells = 0;
    for line in KERNEL.lines().filter(|l| !l.starts_with('#')) {
        let [table, seen, event, before, after] = line
            .split(' ')
            .collect::<Vec<_>>()
            .try_into()
            .expect("five words");
        let segment = match table {
            "sctp" => sctp(event),
            _ => tcp(event),
        };
        let direction = match seen {
            "out" => Direction::Out,
            _ => Direction::In,
        };
        let in_only = seen == "in-only";
        let secure = table == "tcp-secure";
        let got = state(table, before).after(&segment, direction, in_only, secure);
        assert_eq!(got, state(table, after), "{line}");
        cells += 1;
    }
    assert_eq!(cells, 539);
}

/// The state of this name in the table's protocol; a new connection has none yet.
fn state(table: &str, name: &str) -> State {
    let name = if name == "-" { "NONE" } else { name };
    let is_sctp = |s: &State| (State::SctpNone..=State::SctpClosed).contains(s);
    State::ALL
        .into_iter()
        .find(|s| s.name() == name && is_sctp(s) == (table == "sctp"))
        .expect(name)
}

fn tcp(event: &str) -> Segment {
    let flags = match event {
        "syn" => TcpFlags::SYN,
        "fin" => TcpFlags::FIN.with(TcpFlags::ACK),
        "ack" => TcpFlags::ACK,
        "rst" => TcpFlags::RST,
        "none" => TcpFlags(0),
        _ => panic!("{event}"),
    };
    Segment {
        flags,
        ..segment(Protocol::TCP)
    }
}

fn sctp(event: &str) -> Segment {
    let chunk = match event {
        "data" => Chunk::Data,
        "init" => Chunk::Init,
        "init-ack" => Chunk::InitAck,
        "cookie-echo" => Chunk::CookieEcho,
        "cookie-ack" => Chunk::CookieAck,
        "shutdown" => Chunk::Shutdown,
        "shutdown-ack" => Chunk::ShutdownAck,
        "shutdown-complete" => Chunk::ShutdownComplete,
        "error" => Chunk::Error,
        "abort" => Chunk::Abort,
        _ => panic!("{event}"),
    };
    Segment {
        chunk,
        ..segment(Protocol::SCTP)
    }
}

fn segment(protocol: Protocol) -> Segment {
    let nobody = Endpoint::new(Ip::UNSPECIFIED, 0);
    Segment::new(protocol, nobody, nobody)
}
