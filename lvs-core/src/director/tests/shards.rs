//! Any worker may be given any packet, and every connection is found wherever it is.

use super::*;

fn lab(workers: usize, method: Method) -> Lab {
    let mut lab = Lab::with(&Settings {
        workers,
        ..Settings::default()
    });
    lab.serve(ServiceKey::tcp(ep(VIP)), method, &[R1]);
    lab
}

fn clients() -> impl Iterator<Item = String> {
    (0..64).map(|n| format!("10.9.5.{}:{}", n + 1, 1500 + 7 * n))
}

/// Where the server's reply to a connection goes.
fn seen_by_server(c: &ConnInfo) -> String {
    c.local.unwrap_or(c.client).to_string()
}

#[test]
fn the_wrong_worker_is_right() {
    for method in [Method::Nat, Method::FullNat] {
        let mut lab = lab(4, method);
        let now = lab.now;
        let mut out = Vec::new();
        for (n, client) in clients().enumerate() {
            lab.workers[n % 4].decide(now, &[tcp(&client, VIP, SYN)], &mut out);
            assert!(matches!(out[0], Verdict::Forward(_)));
        }
        for (n, c) in lab.connections().iter().enumerate() {
            let client = c.client.to_string();
            let reply = tcp(R1, &seen_by_server(c), SYN_ACK);
            lab.workers[(n + 1) % 4].decide(now, &[reply], &mut out);
            let dst = c.local.map(|_| c.client);
            let src = Some(ep(VIP));
            assert_eq!(out[0], forward(Direction::Out, Rewrite::Nat { src, dst }));
            lab.workers[(n + 2) % 4].decide(now, &[tcp(&client, VIP, ACK)], &mut out);
            assert!(matches!(out[0], Verdict::Forward(_)));
        }
        assert_eq!(lab.counts(R1), (64, 0));
        let t = lab.totals(R1);
        assert_eq!((t.conns, t.in_packets, t.out_packets), (64, 128, 64));
        lab.wait(900_064);
        assert_eq!(lab.counts(R1), (0, 0));
    }
}

#[test]
fn workers_sweep_their_own_shards_and_together_all() {
    let mut lab = lab(3, Method::Nat);
    for client in clients() {
        lab.see(tcp(&client, VIP, SYN));
    }
    lab.idle(60_064);
    let mut left = lab.director.connection_count();
    for w in &lab.workers {
        assert!(w.expire(lab.now, 1000));
        let now_left = lab.director.connection_count();
        assert!(now_left < left, "worker {} has none", w.number());
        left = now_left;
    }
    assert_eq!(left, 0);
}

#[test]
fn there_are_as_many_workers_as_announced() {
    for workers in [1, 3, 16] {
        let lab = lab(workers, Method::Nat);
        assert_eq!(lab.workers.len(), workers);
        assert!(lab.director.worker().is_none());
        assert!(lab.director.shards().is_power_of_two());
        let numbers: Vec<_> = lab.workers.iter().map(Worker::number).collect();
        assert_eq!(numbers, (0..workers).collect::<Vec<_>>());
    }
    assert_eq!(lab(0, Method::Nat).workers.len(), 1);
    assert_eq!(lab(99, Method::Nat).workers.len(), 16);
}

#[test]
fn a_client_with_a_virtual_address_is_found() {
    let mut lab = lab(4, Method::Nat);
    lab.serve(ServiceKey::tcp(ep("10.9.0.101:443")), Method::Nat, &[R2]);
    for port in 1000..1064 {
        let client = format!("10.9.0.101:{port}");
        assert_eq!(lab.see(tcp(&client, VIP, SYN)), to(R1));
        assert_eq!(lab.see(tcp(R1, &client, SYN_ACK)), back(VIP));
    }
}

/// With the service its address, and FullNAT's local address, are forgotten too; what the connections
/// still get is not to be mistaken for somebody else's.
#[test]
fn connections_are_found_when_their_addresses_mean_nothing_any_more() {
    for method in [Method::Nat, Method::FullNat] {
        let mut lab = lab(4, method);
        for client in clients() {
            lab.see(tcp(&client, VIP, SYN));
        }
        lab.serve(ServiceKey::tcp(ep("10.9.0.101:80")), Method::Nat, &[]);
        lab.edit(|d| d.remove_service(ServiceKey::tcp(ep(VIP))));
        for c in lab.connections() {
            let (src, dst) = (Some(ep(VIP)), c.local.map(|_| c.client));
            let reply = lab.see(tcp(R1, &seen_by_server(&c), SYN_ACK));
            assert_eq!(reply, forward(Direction::Out, Rewrite::Nat { src, dst }));
            assert_eq!(
                lab.see(tcp(&c.client.to_string(), VIP, ACK)),
                Verdict::Drop(DropReason::DestinationRemoved)
            );
        }
    }
}

#[test]
fn a_local_address_may_become_a_virtual_one() {
    let mut lab = lab(4, Method::FullNat);
    for client in clients() {
        lab.see(tcp(&client, VIP, SYN));
    }
    let key = ServiceKey::tcp(ep(VIP));
    lab.edit(|d| {
        d.set_options(
            key,
            ServiceOptions::with_local_addrs(&[LocalAddr::new(ip("10.10.0.3"))]),
        )
    });
    lab.serve(ServiceKey::tcp(ep("10.10.0.2:22")), Method::Nat, &[R2]);
    for c in lab.connections() {
        let (src, dst) = (Some(ep(VIP)), Some(c.client));
        let reply = lab.see(tcp(R1, &seen_by_server(&c), SYN_ACK));
        assert_eq!(reply, forward(Direction::Out, Rewrite::Nat { src, dst }));
    }
}

#[test]
fn a_listing_shows_every_connection_once() {
    let mut lab = lab(2, Method::Nat);
    let mut expected = Vec::new();
    for n in 0..9000u32 {
        let client = format!("10.{}.{}.{}:5000", 100 + n / 40000, n / 200, n % 200 + 1);
        lab.see(tcp(&client, VIP, SYN));
        expected.push(ep(&client));
    }
    let all = lab.connections();
    let mut seen: Vec<_> = all.iter().map(|c| c.client).collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    for c in &all {
        assert_eq!((c.protocol, c.method), (Protocol::TCP, Method::Nat));
        assert_eq!((c.virt, c.dest, c.local), (ep(VIP), ep(R1), None));
        assert_eq!(c.expires_in, Duration::from_secs(60));
    }
}
