//! Servers that are quiesced, removed and added again, while they have connections.

use super::*;

const REMOVED: Verdict = Verdict::Drop(DropReason::DestinationRemoved);
const NO_DESTINATION: Verdict = Verdict::Drop(DropReason::NoDestination);

fn key() -> ServiceKey {
    ServiceKey::tcp(ep(VIP))
}

/// A service without servers.
fn other() -> ServiceKey {
    ServiceKey::tcp(ep("10.9.0.101:80"))
}

#[test]
fn weight_zero_takes_no_new_connections_and_keeps_the_old() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    assert_eq!(lab.tcp_in(SYN), to(R1));
    lab.edit(|d| d.edit_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 0)));
    assert_eq!(lab.tcp_in(ACK), to(R1));
    assert_eq!(lab.tcp_out(ACK), back(VIP));
    for port in 1000..1005 {
        assert_eq!(lab.see(tcp(&format!("10.9.1.2:{port}"), VIP, SYN)), to(R2));
    }
    lab.edit(|d| d.edit_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 0)));
    assert_eq!(lab.see(tcp("10.9.1.2:1005", VIP, SYN)), NO_DESTINATION);
    assert_eq!(lab.director.connection_count(), 6);
}

#[test]
fn a_service_without_servers_refuses() {
    let mut lab = Lab::tcp(Method::Nat, &[]);
    assert_eq!(lab.tcp_in(SYN), NO_DESTINATION);
    assert_eq!(lab.tcp_in(ACK), NO_CONNECTION);
    assert_eq!(lab.director.connection_count(), 0);
}

#[test]
fn another_method_is_for_new_connections() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.edit(|d| d.edit_dest(key(), ep(R1), &DestOptions::new(Method::DirectRoute, 1)));
    assert_eq!(lab.tcp_in(ACK), to(R1));
    assert_eq!(lab.tcp_out(ACK), back(VIP));
    let next_hop = ep(R1).ip;
    let way = forward(Direction::In, Rewrite::Route { next_hop });
    assert_eq!(lab.see(tcp("10.9.1.2:1000", VIP, SYN)), way);
}

#[test]
fn a_removed_servers_clients_are_not_heard_and_come_back_with_it() {
    for whole_service in [false, true] {
        let mut lab = Lab::tcp(Method::Nat, &[R1]);
        lab.serve(other(), Method::Nat, &[]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        let live = lab.dest(R1).live().clone();
        let before = live.stats().totals();
        lab.edit(|d| match whole_service {
            true => d.remove_service(key()),
            false => d.remove_dest(key(), ep(R1)),
        });
        assert!(!live.is_available());
        assert_eq!(lab.tcp_in(ACK), REMOVED);
        assert_eq!(
            live.stats().totals(),
            before,
            "what is dropped is not counted"
        );
        assert_eq!((live.active(), live.inactive()), (1, 0));
        assert_eq!(lab.director.connection_count(), 1);
        if whole_service {
            lab.serve(key(), Method::Nat, &[R1]);
        } else {
            lab.edit(|d| d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 1)));
        }
        assert!(Arc::ptr_eq(lab.dest(R1).live(), &live), "revived");
        assert_eq!(lab.tcp_in(ACK), to(R1));
        assert_eq!(lab.tcp_out(ACK), back(VIP));
        assert_eq!(lab.counts(R1), (1, 0));
        lab.wait(900_064);
        assert_eq!(lab.counts(R1), (0, 0));
    }
}

/// IPVS has its hooks in a family only while that has services.
#[test]
fn without_any_service_of_the_family_nothing_is_looked_at() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.serve(ServiceKey::tcp(ep("[fd00:9::100]:80")), Method::Nat, &[]);
    lab.edit(|d| d.remove_service(key()));
    assert_eq!(lab.tcp_in(ACK), NOT_OURS);
    assert_eq!(lab.tcp_out(ACK), NOT_OURS);
    lab.serve(other(), Method::Nat, &[]);
    assert_eq!(lab.tcp_in(ACK), REMOVED);
    assert_eq!(lab.tcp_out(ACK), back(VIP));
    lab.serve(key(), Method::Nat, &[R1]);
    assert_eq!(lab.tcp_in(ACK), to(R1));
}

/// In IPVS only what comes from the client asks whether the server is still there.
#[test]
fn what_a_removed_server_still_says_is_translated() {
    for whole_service in [false, true] {
        let mut lab = Lab::tcp(Method::Nat, &[R1]);
        lab.serve(other(), Method::Nat, &[]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        let live = lab.dest(R1).live().clone();
        let before = live.stats().totals();
        lab.edit(|d| match whole_service {
            true => d.remove_service(key()),
            false => d.remove_dest(key(), ep(R1)),
        });
        assert_eq!(lab.tcp_out(ACK), back(VIP));
        assert_eq!(
            live.stats().totals(),
            before,
            "statistics stop with the removal"
        );
        lab.tcp_out(RST);
        assert_eq!((live.active(), live.inactive()), (0, 1));
        lab.wait(10_064);
        assert_eq!((live.active(), live.inactive()), (0, 0));
    }
}

#[test]
fn a_removed_connection_expires_as_it_would_have() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    lab.wait(59_000);
    assert_eq!(lab.tcp_in(ACK), REMOVED);
    lab.wait(1_064);
    assert_eq!(
        lab.director.connection_count(),
        0,
        "a dropped packet does not prolong it"
    );
    assert_eq!(lab.tcp_in(ACK), NO_CONNECTION);
}

#[test]
fn a_closed_connection_of_a_removed_server_is_scheduled_anew() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    lab.tcp_in(SYN);
    lab.tcp_out(RST);
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    assert_eq!(lab.tcp_in(SYN), to(R2));
    assert_eq!(lab.director.connection_count(), 1);
}

#[test]
fn a_service_replaced_within_one_change_keeps_its_connections() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    let live = lab.dest(R1).live().clone();
    lab.edit(|d| {
        d.remove_service(key())?;
        d.add_service(key(), Box::new(Least::default()), ServiceOptions::default())?;
        d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 3))
    });
    assert!(Arc::ptr_eq(lab.dest(R1).live(), &live));
    assert_eq!(lab.tcp_in(ACK), to(R1));
    assert_eq!(lab.counts(R1), (1, 0));
    assert_eq!(lab.dest(R1).weight(), 3);
}

/// As a table is restored: everything is cleared and added again, some of it otherwise.
#[test]
fn what_one_change_clears_and_fills_again_was_never_gone() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    lab.serve(other(), Method::Nat, &[]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    lab.edit(|d| d.edit_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 0)));
    let service = |lab: &Lab, key| lab.director.config().service(&key).unwrap().clone();
    let before = [key(), other()].map(|key| service(&lab, key));
    let totals = lab.totals(R1);
    assert_eq!(totals.in_packets, 2);
    let refill = |d: &mut Draft<'_>, first: u32| {
        for key in d.keys() {
            d.remove_service(key)?;
        }
        d.add_service(key(), Box::new(Least::default()), ServiceOptions::default())?;
        d.add_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 0))?;
        d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, first))?;
        d.add_service(
            other(),
            Box::new(Least::default()),
            ServiceOptions::default(),
        )
    };
    lab.edit(|d| refill(d, 1));
    for was in &before {
        assert!(
            Arc::ptr_eq(was, &service(&lab, was.key())),
            "just as it was"
        );
    }
    lab.edit(|d| refill(d, 7));
    assert!(!Arc::ptr_eq(&before[0], &service(&lab, key())));
    assert!(Arc::ptr_eq(&before[1], &service(&lab, other())));
    assert_eq!(lab.dest(R1).weight(), 7);
    assert_eq!(lab.dest(R2).last_weight(), 1, "as after an edit");
    assert_eq!(lab.totals(R1), totals);
    assert_eq!(service(&lab, key()).live().stats().totals(), totals);
    assert_eq!(lab.counts(R1), (1, 0));
    assert_eq!(lab.tcp_in(ACK), to(R1));
    // In changes of their own it is as in IPVS: counting begins anew.
    lab.edit(|d| d.remove_service(key()));
    lab.edit(|d| {
        d.add_service(key(), Box::new(Least::default()), ServiceOptions::default())?;
        d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 7))
    });
    assert_eq!(lab.totals(R1), Totals::default());
    assert_eq!(lab.tcp_in(ACK), to(R1));
}

#[test]
fn a_server_removed_and_added_within_one_change_notices_nothing() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    let live = lab.dest(R1).live().clone();
    for _ in 0..2 {
        lab.edit(|d| {
            for _ in 0..2 {
                d.remove_dest(key(), ep(R1))?;
                d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 1))?;
            }
            Ok(())
        });
        assert!(live.is_available());
        assert_eq!(lab.tcp_in(ACK), to(R1));
    }
    // Revived and removed again at once: it stays removed, and can still be revived.
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    lab.edit(|d| {
        d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 1))?;
        d.remove_dest(key(), ep(R1))
    });
    assert_eq!(lab.tcp_in(ACK), REMOVED);
    lab.edit(|d| d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 1)));
    assert_eq!(lab.tcp_in(ACK), to(R1));
    assert!(Arc::ptr_eq(lab.dest(R1).live(), &live));
}

#[test]
fn the_same_address_in_another_service_is_another_server() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    lab.serve(ServiceKey::tcp(ep("10.9.0.100:81")), Method::Nat, &[R1]);
    assert_eq!(lab.counts(R1), (0, 0));
    assert_eq!(lab.tcp_in(ACK), REMOVED);
}

#[test]
fn a_removed_services_packets_are_no_longer_ours() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.edit(|d| d.remove_service(key()));
    assert_eq!(lab.tcp_in(SYN), NOT_OURS);
    assert_eq!(lab.tcp_in(ACK), NOT_OURS);
}

#[test]
fn a_client_need_not_wait_for_a_removed_server_unless_ipvs_is_to_be_followed() {
    for reopen_removed in [true, false] {
        let mut lab = Lab::with(&Settings {
            sysctls: Sysctls {
                reopen_removed,
                ..Sysctls::default()
            },
            ..Settings::default()
        });
        lab.serve(key(), Method::Nat, &[R1, R2]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        let live = lab.dest(R1).live().clone();
        lab.edit(|d| d.remove_dest(key(), ep(R1)));
        assert_eq!(lab.tcp_in(ACK), REMOVED, "only a SYN");
        assert_eq!(lab.tcp_in(SYN.with(RST)), REMOVED);
        let (verdict, left) = if reopen_removed {
            (to(R2), 0)
        } else {
            (REMOVED, 1)
        };
        assert_eq!(lab.tcp_in(SYN), verdict);
        assert_eq!(live.active(), left);
        assert_eq!(lab.director.connection_count(), 1);
    }
}
