//! Local ports of FullNAT: whose they are, when they come back, and what happens when there are no more.

use std::collections::HashSet;

use super::*;
use crate::state::State;

const NO_PORT: Verdict = Verdict::Drop(DropReason::NoLocalPort);

/// A service with ports `1024..1024 + n` of one address.
fn lab(n: u16, servers: &[&str]) -> Lab {
    let mut lab = Lab::tcp(Method::FullNat, servers);
    lab.edit(|d| {
        d.set_options(
            ServiceKey::tcp(ep(VIP)),
            ServiceOptions::with_local_addrs(&[ports(LIP, 1024, 1023 + n)]),
        )
    });
    lab
}

fn client(n: u32) -> String {
    format!("10.9.{}.{}:40000", n / 250, n % 250)
}

/// Opens connections from new clients until none of the last thousand found a port.
fn fill(lab: &mut Lab, from: u32) -> HashSet<(Endpoint, Endpoint)> {
    let mut misses = 0;
    for n in from.. {
        match lab.see(tcp(&client(n), VIP, SYN)) {
            Verdict::Forward(_) => misses = 0,
            v => {
                assert_eq!(v, NO_PORT);
                misses += 1;
            }
        }
        if misses == 1000 {
            break;
        }
    }
    let all = lab.connections();
    let used: HashSet<_> = all.iter().map(|c| (c.local.unwrap(), c.dest)).collect();
    assert_eq!(used.len(), all.len(), "a local endpoint is shared");
    used
}

#[test]
fn ports_are_unique_towards_one_server_and_shared_between_two() {
    let mut lab = lab(40, &[R1, R2]);
    let used = fill(&mut lab, 0);
    // Fewer than all for whoever is scheduled to a server that has none left is turned away.
    let ports: HashSet<u16> = used.iter().map(|(l, _)| l.port).collect();
    assert!(ports.iter().all(|p| (1024..1064).contains(p)));
    assert!(used.len() > 40, "{} only: not shared", used.len());
}

#[test]
fn every_port_is_used_and_all_come_back() {
    let mut lab = lab(40, &[R1]);
    assert_eq!(fill(&mut lab, 0).len(), 40);
    assert_eq!(lab.counts(R1), (40, 0), "who found none is not counted");
    lab.wait(60_064);
    assert_eq!(lab.director.connection_count(), 0);
    assert_eq!(fill(&mut lab, 20_000).len(), 40);
}

#[test]
fn protocols_do_not_share_ports() {
    let mut lab = lab(4, &[R1]);
    let key = ServiceKey::udp(ep(VIP));
    lab.serve(key, Method::FullNat, &[R1]);
    lab.edit(|d| {
        d.set_options(
            key,
            ServiceOptions::with_local_addrs(&[ports(LIP, 1024, 1027)]),
        )
    });
    assert_eq!(fill(&mut lab, 0).len(), 4);
    let n = (0..1000).filter(|n| matches!(lab.see(udp(&client(*n), VIP)), Verdict::Forward(_)));
    assert_eq!(n.count(), 4);
}

#[test]
fn a_port_is_used_again_as_late_as_possible() {
    let mut lab = Lab::tcp(Method::FullNat, &[R1]);
    let mut seen = HashSet::new();
    for _ in 0..500 {
        lab.tcp_in(SYN);
        assert!(
            seen.insert(lab.connection().local.unwrap()),
            "used again too soon"
        );
        lab.wait(60_064);
    }
}

#[test]
fn a_second_address_helps_out() {
    let mut lab = lab(4, &[R1]);
    assert_eq!(fill(&mut lab, 0).len(), 4);
    let two = [ports(LIP, 1024, 1027), ports("10.10.0.3", 2000, 2007)];
    lab.edit(|d| {
        d.set_options(
            ServiceKey::tcp(ep(VIP)),
            ServiceOptions::with_local_addrs(&two),
        )
    });
    let used = fill(&mut lab, 20_000);
    assert_eq!(used.len(), 12);
    assert_eq!(
        used.iter().filter(|(l, _)| l.ip == ip("10.10.0.3")).count(),
        8
    );
}

#[test]
fn only_addresses_of_the_servers_family_are_used() {
    let mut lab = lab(4, &[R1]);
    let two = [ports("fd00::2", 1024, 1063), ports(LIP, 1024, 1027)];
    lab.edit(|d| {
        d.set_options(
            ServiceKey::tcp(ep(VIP)),
            ServiceOptions::with_local_addrs(&two),
        )
    });
    assert_eq!(fill(&mut lab, 0).len(), 4);
}

#[test]
fn a_closed_connection_gives_its_port_up() {
    let mut lab = lab(4, &[R1]);
    assert_eq!(fill(&mut lab, 0).len(), 4);
    let closing = lab.connections()[2].clone();
    let (server, local) = (closing.dest.to_string(), closing.local.unwrap());
    // Reset by its server, it is only remembered.
    let reset = lab.see(tcp(&server, &local.to_string(), RST));
    assert!(matches!(reset, Verdict::Forward(_)));
    assert_eq!(lab.counts(R1), (3, 1));
    let now_has = fill(&mut lab, 20_000);
    assert_eq!(now_has.len(), 4);
    let heir = lab
        .connections()
        .into_iter()
        .find(|c| c.local == Some(local))
        .unwrap();
    assert_ne!(heir.client, closing.client);
    assert_eq!(heir.state, State::SynRecv);
    assert_eq!(lab.counts(R1), (4, 0));
    // The reply is the heir's, and the old client is a stranger.
    let (src, dst) = (Some(ep(VIP)), Some(heir.client));
    let reply = lab.see(tcp(&server, &local.to_string(), SYN_ACK));
    assert_eq!(reply, forward(Direction::Out, Rewrite::Nat { src, dst }));
    assert_eq!(
        lab.see(tcp(&closing.client.to_string(), VIP, ACK)),
        NO_CONNECTION
    );
}

#[test]
fn opening_anew_takes_another_port() {
    let mut lab = Lab::tcp(Method::FullNat, &[R1]);
    lab.tcp_in(SYN);
    let first = lab.connection().local.unwrap();
    lab.see(tcp(R1, &first.to_string(), RST));
    lab.tcp_in(SYN);
    assert_ne!(lab.connection().local.unwrap(), first);
    assert_eq!(lab.counts(R1), (1, 0));
}

#[test]
fn the_last_port_can_be_taken_by_its_own_client_again() {
    let mut lab = lab(4, &[R1]);
    fill(&mut lab, 0);
    let c = lab.connections()[0].clone();
    lab.see(tcp(R1, &c.local.unwrap().to_string(), RST));
    assert!(matches!(
        lab.see(tcp(&c.client.to_string(), VIP, SYN)),
        Verdict::Forward(_)
    ));
    assert_eq!(lab.counts(R1), (4, 0));
}

#[test]
fn connections_keep_local_addresses_that_are_withdrawn() {
    let mut lab = Lab::tcp(Method::FullNat, &[R1]);
    for n in 0..40 {
        lab.see(tcp(&client(n), VIP, SYN));
    }
    let other = LocalAddr::new(ip("10.10.0.3"));
    lab.edit(|d| {
        d.set_options(
            ServiceKey::tcp(ep(VIP)),
            ServiceOptions::with_local_addrs(&[other]),
        )
    });
    for c in lab.connections() {
        let (src, dst) = (Some(ep(VIP)), Some(c.client));
        let reply = lab.see(tcp(R1, &c.local.unwrap().to_string(), SYN_ACK));
        assert_eq!(reply, forward(Direction::Out, Rewrite::Nat { src, dst }));
    }
}
