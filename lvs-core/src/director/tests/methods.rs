//! What each forwarding method does, in both directions.

use super::*;

#[test]
fn nat_maps_address_and_port_both_ways() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    assert_eq!(lab.tcp_in(SYN), to(R1));
    assert_eq!(lab.tcp_out(SYN_ACK), back(VIP));
    assert_eq!(lab.tcp_in(ACK), to(R1));
    assert_eq!(lab.connection().state, State::Established);
    let counted = Totals {
        conns: 1,
        in_packets: 2,
        in_bytes: 200,
        out_packets: 1,
        out_bytes: 100,
    };
    assert_eq!(lab.totals(R1), counted);
    let config = lab.director.config();
    assert_eq!(config.services()[0].live().stats().totals(), counted);
}

#[test]
fn nat_keeps_the_port_where_the_server_has_none() {
    let mut lab = Lab::tcp(Method::Nat, &["10.10.0.11:0"]);
    assert_eq!(lab.tcp_in(SYN), to("10.10.0.11:80"));
    assert_eq!(lab.see(tcp("10.10.0.11:80", CLIENT, SYN_ACK)), back(VIP));
}

#[test]
fn only_its_own_server_answers_for_a_connection() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    assert_eq!(lab.tcp_in(SYN), to(R1));
    for stranger in [R2, "10.10.0.11:8081", VIP] {
        assert_eq!(
            lab.see(tcp(stranger, CLIENT, SYN_ACK)),
            NOT_OURS,
            "{stranger}"
        );
    }
    assert_eq!(lab.see(udp(R1, CLIENT)), NOT_OURS);
}

#[test]
fn direct_routing_changes_the_next_hop_only() {
    let mut lab = Lab::tcp(Method::DirectRoute, &["10.9.0.11:80"]);
    let next_hop = ip("10.9.0.11");
    let way = forward(Direction::In, Rewrite::Route { next_hop });
    assert_eq!(lab.tcp_in(SYN), way);
    assert_eq!(lab.tcp_in(ACK), way);
    assert_eq!(lab.tcp_in(FIN), way);
    // Half of it is enough to know that it has ended.
    assert_eq!(lab.connection().state, State::FinWait);
}

/// Nothing could be translated: the host answers by itself, and only the client is seen.
#[test]
fn a_server_that_is_the_director_gets_packets_as_they_are() {
    for method in [Method::Nat, Method::FullNat] {
        for server in [VIP, "127.0.0.1:80", "127.0.0.1:0"] {
            let mut lab = Lab::tcp(method, &[server]);
            let next_hop = ep(server).ip;
            let way = forward(Direction::In, Rewrite::Route { next_hop });
            for flags in [SYN, ACK, FIN] {
                assert_eq!(lab.tcp_in(flags), way, "{method:?} {server}");
            }
            assert_eq!(lab.connection().state, State::FinWait);
            assert_eq!(lab.connection().local, None, "no port is taken");
        }
    }
    let mut lab = Lab::tcp(Method::Nat, &["127.0.0.1:8080"]);
    assert_eq!(lab.tcp_in(SYN), to("127.0.0.1:8080"));
}

#[test]
fn a_tunnel_leads_to_either_family() {
    for server in ["10.8.0.11:80", "[fd00:8::11]:80"] {
        let mut lab = Lab::tcp(Method::Tunnel, &[server]);
        let remote = ep(server).ip;
        let way = forward(
            Direction::In,
            Rewrite::Tunnel {
                remote,
                encapsulation: Encapsulation::Ipip,
            },
        );
        assert_eq!(lab.tcp_in(SYN), way);
        assert_eq!(lab.tcp_in(ACK), way);
        assert_eq!(lab.connection().state, State::Established);
        assert_eq!(lab.connection().dest, ep(server));
    }
}

#[test]
fn a_connections_tunnel_can_be_asked_for() {
    let mut lab = Lab::tcp(Method::Tunnel, &["10.8.0.11:80"]);
    let sent = tcp(CLIENT, VIP, NONE);
    assert_eq!(lab.workers[0].tunnel_of(&sent), None, "no connection");
    lab.tcp_in(SYN);
    let before = (lab.totals("10.8.0.11:80"), lab.connection());
    let tunnel = Some((ip("10.8.0.11"), Encapsulation::Ipip));
    assert_eq!(lab.workers[0].tunnel_of(&sent), tunnel);
    assert_eq!((lab.totals("10.8.0.11:80"), lab.connection()), before);
    for other in [
        tcp(VIP, CLIENT, NONE),
        tcp("10.8.0.11:80", CLIENT, NONE),
        tcp("10.9.1.2:40001", VIP, NONE),
        udp(CLIENT, VIP),
    ] {
        assert_eq!(lab.workers[0].tunnel_of(&other), None, "{other:?}");
    }

    let mut lab = Lab::tcp(Method::DirectRoute, &["10.9.0.11:80"]);
    lab.tcp_in(SYN);
    assert_eq!(lab.workers[0].tunnel_of(&sent), None, "no tunnel");
}

#[test]
fn replies_that_pass_by_are_heard_but_not_touched() {
    for method in [Method::DirectRoute, Method::Tunnel] {
        let mut lab = Lab::tcp(method, &["10.9.0.11:80"]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        assert_eq!(lab.see(tcp(VIP, CLIENT, ACK)), NOT_OURS);
        assert_eq!(lab.totals("10.9.0.11:80").out_packets, 1);
        // From now on both sides are known to be seen: the client's FIN alone does not end it (CLOSE_WAIT,
        // not FIN_WAIT).
        lab.tcp_in(FIN);
        assert_eq!(lab.connection().state, State::CloseWait);
        assert_eq!(lab.see(tcp(VIP, CLIENT, FIN)), NOT_OURS);
        assert_eq!(lab.connection().state, State::TimeWait);
    }
}

#[test]
fn full_nat_replaces_both_ends_both_ways() {
    let mut lab = Lab::tcp(Method::FullNat, &[R1]);
    let verdict = lab.tcp_in(SYN);
    let local = lab.connection().local.unwrap();
    assert_eq!(local.ip, ip(LIP));
    assert!(local.port >= 1024);
    let (src, dst) = (Some(local), Some(ep(R1)));
    assert_eq!(verdict, forward(Direction::In, Rewrite::Nat { src, dst }));
    let (src, dst) = (Some(ep(VIP)), Some(ep(CLIENT)));
    let reply = tcp(R1, &local.to_string(), SYN_ACK);
    assert_eq!(
        lab.see(reply),
        forward(Direction::Out, Rewrite::Nat { src, dst })
    );
    assert_eq!(lab.tcp_in(ACK), verdict);
    assert_eq!(lab.connection().state, State::Established);
    // What NAT would answer for means nothing here.
    assert_eq!(lab.tcp_out(ACK), NOT_OURS);
}

#[test]
fn version_six_is_no_different() {
    let (client, vip) = ("[fd00:1::2]:40000", "[fd00:9::100]:80");
    let (server, lip) = ("[fd00:a::11]:8080", "fd00:a::2");
    for method in [Method::Nat, Method::FullNat] {
        let mut lab = Lab::with(&Settings::default());
        let key = ServiceKey::tcp(ep(vip));
        lab.edit(|d| {
            d.add_service(
                key,
                Box::new(Least::default()),
                ServiceOptions::with_local_addrs(&[LocalAddr::new(ip(lip))]),
            )?;
            d.add_dest(key, ep(server), &DestOptions::new(method, 1))
        });
        let dst = Some(ep(server));
        let Verdict::Forward(Forward {
            rewrite: Rewrite::Nat { src, dst: d },
            ..
        }) = lab.see(tcp(client, vip, SYN))
        else {
            panic!("not forwarded")
        };
        assert_eq!(d, dst);
        assert_eq!(src, lab.connection().local);
        let seen_by_server = src.unwrap_or_else(|| ep(client));
        let reply = lab.see(tcp(server, &seen_by_server.to_string(), SYN_ACK));
        let dst = src.map(|_| ep(client));
        let src = Some(ep(vip));
        assert_eq!(reply, forward(Direction::Out, Rewrite::Nat { src, dst }));
    }
}

#[test]
fn udp_needs_no_opening_and_is_never_active() {
    let mut lab = Lab::with(&Settings::default());
    lab.serve(ServiceKey::udp(ep(VIP)), Method::Nat, &[R1, R2]);
    assert_eq!(lab.tcp_in(SYN), NOT_OURS, "TCP is another service");
    assert_eq!(lab.see(udp(CLIENT, VIP)), to(R1));
    assert_eq!(lab.see(udp(R1, CLIENT)), back(VIP));
    assert_eq!(
        lab.see(udp("10.9.1.2:40001", VIP)),
        to(R2),
        "R1 has one already"
    );
    assert_eq!(lab.counts(R1), (0, 1));
    lab.wait(299_000);
    lab.see(udp(R1, CLIENT)); // a reply prolongs it too
    lab.wait(2_000);
    assert_eq!((lab.counts(R1), lab.counts(R2)), ((0, 1), (0, 0)));
    lab.wait(300_000);
    assert_eq!(lab.counts(R1), (0, 0));
}
