//! ICMP errors, fragments, packets that may not open a connection, and a full table.

use super::*;
use crate::state::State;

fn error(src: &str, dst: &str) -> Segment {
    Segment {
        kind: Kind::IcmpError,
        ..tcp(src, dst, NONE)
    }
}

fn fragment(src: &str, dst: &str) -> Segment {
    Segment {
        kind: Kind::LaterFragment,
        ..tcp(src, dst, NONE)
    }
}

#[test]
fn icmp_errors_are_translated_both_ways_and_move_nothing() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.idle(20_000);
    assert_eq!(lab.see(error(CLIENT, VIP)), to(R1));
    assert_eq!(lab.see(error(R1, CLIENT)), back(VIP));
    let c = lab.connection();
    assert_eq!(
        (c.state, c.expires_in),
        (State::SynRecv, Duration::from_secs(40))
    );
    let t = lab.totals(R1);
    assert_eq!(
        (t.in_packets, t.out_packets),
        (2, 1),
        "but they are counted"
    );
}

#[test]
fn icmp_errors_follow_every_method() {
    let mut lab = Lab::tcp(Method::FullNat, &[R1]);
    let way_in = lab.tcp_in(SYN);
    let local = lab.connection().local.unwrap().to_string();
    assert_eq!(lab.see(error(CLIENT, VIP)), way_in);
    let (src, dst) = (Some(ep(VIP)), Some(ep(CLIENT)));
    let way_out = forward(Direction::Out, Rewrite::Nat { src, dst });
    assert_eq!(lab.see(error(R1, &local)), way_out);
    let mut lab = Lab::tcp(Method::Tunnel, &[R1]);
    let way_in = lab.tcp_in(SYN);
    assert_eq!(lab.see(error(CLIENT, VIP)), way_in);
    assert_eq!(lab.see(error(VIP, CLIENT)), NOT_OURS);
}

#[test]
fn icmp_errors_about_nothing_known_are_the_hosts() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    // Not "no connection": nobody answers an ICMP error with RST.
    let other = Verdict::Pass(PassReason::OtherProtocol);
    assert_eq!(lab.see(error(CLIENT, VIP)), other);
    assert_eq!(lab.see(error(R1, CLIENT)), NOT_OURS);
    assert_eq!(lab.director.connection_count(), 0);
}

#[test]
fn later_fragments_follow_and_never_open() {
    let mut lab = Lab::with(&Settings::default());
    lab.serve(ServiceKey::udp(ep(VIP)), Method::Nat, &[R1]);
    let later = |src, dst| Segment {
        protocol: Protocol::UDP,
        ..fragment(src, dst)
    };
    assert_eq!(
        lab.see(later(CLIENT, VIP)),
        Verdict::Drop(DropReason::FragmentUnknown)
    );
    assert_eq!(lab.director.connection_count(), 0);
    assert_eq!(lab.see(later(R1, CLIENT)), NOT_OURS);
    lab.see(udp(CLIENT, VIP));
    lab.idle(200_000);
    assert_eq!(lab.see(later(CLIENT, VIP)), to(R1));
    assert_eq!(lab.see(later(R1, CLIENT)), back(VIP));
    assert_eq!(lab.connection().expires_in, Duration::from_secs(300));
}

#[test]
fn a_later_fragment_has_no_flags_to_close_with() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    assert_eq!(lab.see(fragment(CLIENT, VIP)), to(R1));
    assert_eq!(lab.see(fragment(R1, CLIENT)), back(VIP));
    assert_eq!(lab.connection().state, State::Established);
    // A whole segment without flags does.
    lab.tcp_in(NONE);
    assert_eq!(lab.connection().state, State::Close);
    assert_eq!(
        lab.see(Segment {
            flags: SYN,
            ..fragment(CLIENT, VIP)
        }),
        to(R1)
    );
    assert_eq!(lab.totals(R1).conns, 1);
}

#[test]
fn only_a_syn_opens_and_never_with_rst() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    for flags in [ACK, FIN, RST, NONE, SYN.with(RST), TcpFlags(0x18)] {
        assert_eq!(lab.tcp_in(flags), NO_CONNECTION, "{flags:?}");
    }
    assert_eq!(lab.director.connection_count(), 0);
    assert_eq!(lab.totals(R1), Totals::default());
    assert_eq!(lab.tcp_in(SYN_ACK), to(R1), "IPVS asks for SYN only");
}

#[test]
fn ftp_data_is_never_scheduled() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    assert_eq!(lab.see(tcp("10.9.1.2:20", VIP, SYN)), NO_CONNECTION);
    assert_eq!(lab.see(tcp("10.9.1.2:21", VIP, SYN)), to(R1));
}

#[test]
fn what_is_addressed_to_nobody_here_is_not_ours() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    assert_eq!(lab.see(tcp(CLIENT, "10.9.0.100:81", SYN)), NOT_OURS);
    assert_eq!(lab.see(tcp(CLIENT, "10.9.0.101:80", SYN)), NOT_OURS);
    assert_eq!(lab.see(udp(CLIENT, VIP)), NOT_OURS);
    let ping = segment(Protocol::ICMP, "10.9.1.2:0", "10.9.0.100:0", NONE);
    assert_eq!(lab.see(ping), NOT_OURS);
}

#[test]
fn a_full_table_refuses_and_recovers() {
    let mut lab = Lab::with(&Settings {
        max_connections: 64,
        ..Settings::default()
    });
    lab.serve(ServiceKey::tcp(ep(VIP)), Method::FullNat, &[R1]);
    let client = |n: u32| format!("10.9.2.{}:{}", n % 250, 2000 + n);
    for round in 0..2 {
        let mut taken = 0;
        for n in 0..2000 {
            let client = client(round * 2000 + n);
            match lab.see(tcp(&client, VIP, SYN)) {
                Verdict::Forward(_) => taken += 1,
                v => assert_eq!(v, Verdict::Drop(DropReason::TableFull)),
            }
            lab.see(tcp(&client, VIP, ACK));
        }
        assert_eq!(taken, 64);
        assert_eq!(lab.director.connection_count(), 64);
        assert_eq!(lab.counts(R1), (64, 0));
        lab.wait(900_064);
        assert_eq!(lab.director.connection_count(), 0);
    }
    assert_eq!(lab.totals(R1).conns, 128);
}

#[test]
fn a_flood_of_syns_drives_out_its_own_and_nobody_else() {
    let mut lab = Lab::with(&Settings {
        max_connections: 400,
        ..Settings::default()
    });
    lab.serve(ServiceKey::tcp(ep(VIP)), Method::Nat, &[R1]);
    let client = |n: u32| format!("10.9.{}.{}:{}", 2 + n / 250, n % 250, 2000 + n);
    for n in 0..200 {
        lab.see(tcp(&client(n), VIP, SYN));
        assert_eq!(lab.see(tcp(&client(n), VIP, ACK)), to(R1));
    }
    for n in 200..20_000 {
        assert_eq!(
            lab.see(tcp(&client(n), VIP, SYN)),
            to(R1),
            "{n}: there is room"
        );
    }
    assert_eq!(lab.director.connection_count(), 400);
    for n in 0..200 {
        assert_eq!(
            lab.see(tcp(&client(n), VIP, ACK)),
            to(R1),
            "{n}: still there"
        );
    }
    // A connection that comes about in the middle of the flood stays as well.
    let late = client(30_000);
    lab.see(tcp(&late, VIP, SYN));
    lab.see(tcp(&late, VIP, ACK));
    for n in 20_000..30_000 {
        lab.see(tcp(&client(n), VIP, SYN));
    }
    assert_eq!(lab.see(tcp(&late, VIP, ACK)), to(R1));
    lab.wait(60_064);
    assert_eq!(
        lab.director.connection_count(),
        201,
        "half-open ones age out first"
    );
}

/// Two services that share a server: towards it, a client's port that is used for both is one connection.
#[test]
fn the_newest_connection_speaks_for_what_a_server_cannot_tell_apart() {
    let other = "10.9.0.101:80";
    for protocol in [Protocol::TCP, Protocol::UDP] {
        let mut lab = Lab::with(&Settings::default());
        let key = |vip| ServiceKey::new(protocol, ep(vip));
        for vip in [VIP, other] {
            lab.serve(key(vip), Method::Nat, &[R1]);
        }
        let open = |vip| segment(protocol, CLIENT, vip, SYN);
        let reply = segment(protocol, R1, CLIENT, SYN_ACK);
        for vip in [VIP, other, VIP, VIP, other, other] {
            assert_eq!(lab.see(open(vip)), to(R1));
            assert_eq!(lab.see(reply), back(vip));
            assert_eq!(lab.connection().virt, ep(vip), "the older one is over");
        }
        lab.wait(300_064);
        let config = lab.director.config();
        for s in config.services() {
            let d = &s.dests()[0];
            assert_eq!((d.active(), d.inactive()), (0, 0));
        }
    }
}
