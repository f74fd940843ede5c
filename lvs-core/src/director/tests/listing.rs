//! Connections looked at and forgotten by parts, while others come and go.

use std::collections::HashMap;

use super::*;

fn client(i: usize) -> String {
    format!("10.9.{}.{}:{}", 1 + i / 200, i % 200, 2000 + i)
}

/// A lab with persistent TCP and plain UDP services of two servers, and as many clients of each.
fn lab(clients: usize) -> Lab {
    let mut lab = Lab::with(&Settings {
        workers: 2,
        ..Settings::default()
    });
    lab.serve(tcp_key(), Method::FullNat, &[R1, R2]);
    lab.serve(udp_key(), Method::Nat, &[R1, R2]);
    lab.edit(|d| {
        let options = ServiceOptions {
            persistence: Some(Persistence {
                timeout: Duration::from_secs(100),
                prefix: 32,
                engine: None,
            }),
            local_addrs: [ports(LIP, 1024, 2047)].into(),
            ..ServiceOptions::default()
        };
        d.set_options(tcp_key(), options)
    });
    for i in 0..clients {
        lab.see(tcp(&client(i), VIP, SYN));
        lab.see(udp(&client(i), DNS));
    }
    lab
}

const DNS: &str = "10.9.0.100:53";

fn tcp_key() -> ServiceKey {
    ServiceKey::tcp(ep(VIP))
}

fn udp_key() -> ServiceKey {
    ServiceKey::udp(ep(DNS))
}

/// What makes a connection or template one of a kind.
fn id(c: &ConnInfo) -> (ServiceKey, Endpoint, bool) {
    (c.service, c.client, c.is_template())
}

#[test]
fn what_stays_is_shown_once_while_others_come_and_go() {
    let mut lab = lab(600);
    let stays = |c: &ConnInfo| !c.client.port.is_multiple_of(3) || c.is_template();
    let mut expected: HashMap<_, u32> = HashMap::new();
    for c in lab.connections().iter().filter(|c| stays(c)) {
        *expected.entry(id(c)).or_default() += 1;
    }
    assert_eq!(expected.len(), 2 * 400 + 600);
    let director = lab.director.clone();
    let (mut listing, mut part) = (director.listing(), Vec::new());
    let mut next = 0;
    loop {
        let more = listing.next(lab.now, &|_| true, &mut part);
        for c in part.drain(..).filter(stays) {
            if let Some(left) = expected.get_mut(&id(&c)) {
                assert!(*left > 0, "{c:?} twice");
                *left -= 1;
            }
        }
        if !more {
            break;
        }
        // Some end and others open in their places.
        for i in (next..600).take(3) {
            let gone = ep(&client(i));
            let ends = |c: &ConnInfo| !stays(c) && c.client == gone;
            director.evict(lab.now, &ends);
            lab.see(udp(&client(1000 + i), DNS));
        }
        next += 3;
    }
    assert!(expected.values().all(|left| *left == 0), "some were missed");
}

#[test]
fn only_what_is_wanted_is_copied() {
    let lab = lab(100);
    let wanted = |c: &ConnInfo| c.service == udp_key() && c.dest.ip == ep(R2).ip;
    let (mut listing, mut out) = (lab.director.listing(), Vec::new());
    while listing.next(lab.now, &wanted, &mut out) {}
    assert_eq!(out.len(), 50);
    assert!(out.iter().all(|c| wanted(c) && c.in_packets == 1));
    assert!(!listing.next(lab.now, &wanted, &mut out), "over is over");
    assert_eq!(out.len(), 50);
}

#[test]
fn evicted_udp_clients_move_to_another_server() {
    let mut lab = lab(40);
    let old = |lab: &Lab| lab.counts(R1);
    let on_r1 = |c: &ConnInfo| c.service == udp_key() && c.dest == ep(R1);
    lab.edit(|d| d.edit_dest(udp_key(), ep(R1), &DestOptions::new(Method::Nat, 0)));
    assert_eq!(lab.director.evict(lab.now, &on_r1), 20);
    assert_eq!(lab.director.evict(lab.now, &on_r1), 0);
    assert_eq!(old(&lab).1, 0);
    for i in 0..40 {
        assert_eq!(lab.see(udp(&client(i), DNS)), to(R2));
    }
    assert_eq!(lab.director.connection_count(), 80);
    let tcp_only = |c: &ConnInfo| c.service == tcp_key();
    assert_eq!(lab.director.evict(lab.now, &|c| !tcp_only(c)), 40);
    assert!(lab.connections().iter().all(tcp_only));
}

#[test]
fn an_evicted_template_frees_its_client_and_not_its_connections() {
    let mut lab = lab(1);
    let is_template = |c: &ConnInfo| c.is_template();
    let server = |v: Verdict| match v {
        Verdict::Forward(Forward {
            rewrite: Rewrite::Nat { dst, .. },
            ..
        }) => dst.unwrap(),
        other => panic!("{other:?}"),
    };
    let first = server(lab.see(tcp(&client(0), VIP, ACK)));
    let quiesced = DestOptions::new(Method::FullNat, 0);
    lab.edit(|d| d.edit_dest(tcp_key(), first, &quiesced));
    let again = |port: u16| Endpoint::new(ep(&client(0)).ip, port).to_string();
    assert_eq!(server(lab.see(tcp(&again(77), VIP, SYN))), first);
    assert_eq!(lab.director.evict(lab.now, &is_template), 1);
    assert_eq!(lab.director.template_count(), 0);
    let config = lab.director.config();
    let dests = config.service(&tcp_key()).unwrap().dests();
    assert!(dests.iter().all(|d| d.live().persistent() == 0));
    assert_eq!(server(lab.see(tcp(&client(0), VIP, ACK))), first);
    assert_ne!(server(lab.see(tcp(&again(78), VIP, SYN))), first);
    assert_eq!(lab.director.template_count(), 1);
}

#[test]
fn evicted_connections_give_their_local_ports_back() {
    let mut lab = lab(900);
    let full_nat = |c: &ConnInfo| c.method == Method::FullNat && !c.is_template();
    for _ in 0..3 {
        assert_eq!(lab.director.evict(lab.now, &full_nat), 900);
        for i in 0..900 {
            let opened = lab.see(tcp(&client(i), VIP, SYN));
            assert!(matches!(opened, Verdict::Forward(_)), "{i} {opened:?}");
        }
    }
    assert_eq!(lab.director.evict(lab.now, &|_| true), 900 + 900 + 900);
    assert_eq!(
        lab.director.connection_count() + lab.director.template_count(),
        0
    );
}

#[test]
fn announced_connections_are_evicted_too() {
    let mut lab = Lab::with(&Settings {
        helpers: vec![(Protocol::TCP, 21)],
        ..Settings::default()
    });
    let ftp = "10.9.0.9:21";
    lab.serve(ServiceKey::tcp(ep(ftp)), Method::Nat, &["10.10.0.11:21"]);
    lab.see(tcp(CLIENT, ftp, SYN));
    let now = lab.now;
    lab.workers[0].assist(now, &tcp(CLIENT, ftp, ACK), |a| {
        let (client, virt) = (ep("10.9.1.2:0"), ep("10.9.0.9:3000"));
        let dest = ep("10.10.0.11:3000");
        a.expected.push(Expected { client, virt, dest });
    });
    assert_eq!(lab.connections().len(), 2);
    let announced = |c: &ConnInfo| c.client.port == 0;
    assert_eq!(lab.director.evict(lab.now, &announced), 1);
    assert_eq!(
        lab.see(tcp("10.9.1.2:5", "10.9.0.9:3000", SYN)),
        NO_CONNECTION
    );
    assert_eq!(lab.counts("10.10.0.11:21"), (1, 0));
    assert_eq!(lab.director.evict(lab.now, &|_| true), 1);
    assert_eq!(lab.counts("10.10.0.11:21"), (0, 0));
}
