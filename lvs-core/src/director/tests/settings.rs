//! IPVS's settings, one by one.

use super::*;

fn with(sysctls: Sysctls, method: Method, servers: &[&str]) -> Lab {
    let mut lab = Lab::with(&Settings {
        sysctls,
        ..Settings::default()
    });
    lab.serve(ServiceKey::tcp(ep(VIP)), method, servers);
    lab
}

fn ipvs() -> Sysctls {
    Sysctls {
        reopen_removed: false,
        ..Sysctls::default()
    }
}

fn key() -> ServiceKey {
    ServiceKey::tcp(ep(VIP))
}

fn weight(w: u32) -> DestOptions {
    DestOptions::new(Method::Nat, w)
}

const REMOVED: Verdict = Verdict::Drop(DropReason::DestinationRemoved);

#[test]
fn conn_reuse_mode_0_keeps_the_old_server() {
    for (conn_reuse_mode, conns) in [(0, 1), (1, 2)] {
        let sysctls = Sysctls {
            conn_reuse_mode,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[R1]);
        for flags in [SYN, ACK, RST, SYN] {
            lab.tcp_in(flags);
        }
        assert_eq!(lab.totals(R1).conns, conns, "mode {conn_reuse_mode}");
    }
}

#[test]
fn conn_reuse_mode_2_reuses_fin_wait_where_only_the_client_is_seen() {
    for (method, conn_reuse_mode, conns) in [
        (Method::DirectRoute, 1, 1),
        (Method::DirectRoute, 2, 2),
        (Method::DirectRoute, 3, 2),
        (Method::Nat, 2, 1),
    ] {
        let sysctls = Sysctls {
            conn_reuse_mode,
            ..ipvs()
        };
        let mut lab = with(sysctls, method, &[R1]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        match method {
            Method::Nat => lab.tcp_out(FIN),
            _ => lab.tcp_in(FIN),
        };
        assert_eq!(lab.connection().state, State::FinWait);
        lab.tcp_in(SYN);
        assert_eq!(
            lab.totals(R1).conns,
            conns,
            "{method:?} mode {conn_reuse_mode}"
        );
    }
}

#[test]
fn expire_nodest_conn_ends_connections_of_removed_servers() {
    let sysctls = Sysctls {
        expire_nodest_conn: true,
        ..ipvs()
    };
    let mut lab = with(sysctls, Method::Nat, &[R1, R2]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    assert!(lab.connections().is_empty(), "swept at once");
    assert_eq!(lab.tcp_in(ACK), NO_CONNECTION);
    assert_eq!(lab.tcp_in(SYN), to(R2));
}

#[test]
fn expire_nodest_conn_lets_a_syn_leave_a_quiesced_server() {
    for (expire_nodest_conn, server) in [(true, R2), (false, R1)] {
        let sysctls = Sysctls {
            expire_nodest_conn,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[R1, R2]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        lab.edit(|d| d.edit_dest(key(), ep(R1), &weight(0)));
        assert_eq!(lab.tcp_in(ACK), to(R1));
        assert_eq!(lab.tcp_in(SYN), to(server));
    }
}

#[test]
fn a_setting_changed_later_applies_to_what_is_there() {
    let mut lab = with(ipvs(), Method::Nat, &[R1, R2]);
    lab.tcp_in(SYN);
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    assert_eq!(lab.tcp_in(ACK), REMOVED);
    lab.edit(|d| {
        let sysctls = Sysctls {
            expire_nodest_conn: true,
            ..d.sysctls().clone()
        };
        d.set_sysctls(sysctls);
        Ok(())
    });
    assert!(lab.connections().is_empty());
}

#[test]
fn timeouts_changed_later_apply_at_the_next_packet() {
    let mut lab = with(ipvs(), Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    lab.edit(|d| {
        let timeouts = d
            .timeouts()
            .with(State::Established, Duration::from_secs(6));
        d.set_timeouts(timeouts);
        Ok(())
    });
    assert_eq!(lab.connection().expires_in.as_secs(), 900);
    lab.tcp_in(ACK);
    assert_eq!(lab.connection().expires_in.as_secs(), 6);
}

fn own_timeouts(tcp: u64, tcp_fin: u64, udp: u64) -> ServiceOptions {
    let seconds = |s| (s > 0).then_some(Duration::from_secs(s));
    ServiceOptions {
        timeouts: ServiceTimeouts {
            tcp: seconds(tcp),
            tcp_fin: seconds(tcp_fin),
            udp: seconds(udp),
        },
        ..ServiceOptions::default()
    }
}

#[test]
fn a_service_may_have_timeouts_of_its_own() {
    let mut lab = with(ipvs(), Method::Nat, &[R1]);
    let other = ServiceKey::tcp(ep("10.9.0.200:80"));
    lab.serve(other, Method::Nat, &[R1]);
    let udp = ServiceKey::udp(ep("10.9.0.100:53"));
    lab.serve(udp, Method::Nat, &["10.10.0.11:53"]);
    lab.edit(|d| {
        d.set_options(key(), own_timeouts(7, 3, 9))?;
        d.set_options(udp, own_timeouts(7, 3, 5))
    });
    let left = |lab: &Lab, client: &str| lab.connection_of(client).expires_in.as_secs();
    lab.tcp_in(SYN);
    assert_eq!(left(&lab, CLIENT), 60, "the others are nobody's own");
    lab.tcp_in(ACK);
    assert_eq!(left(&lab, CLIENT), 7);
    lab.tcp_out(FIN);
    assert_eq!(
        (lab.connection_of(CLIENT).state, left(&lab, CLIENT)),
        (State::FinWait, 3)
    );
    lab.tcp_in(RST);
    assert_eq!(left(&lab, CLIENT), 10);
    lab.see(tcp("10.9.1.3:1", "10.9.0.200:80", SYN));
    lab.see(tcp("10.9.1.3:1", "10.9.0.200:80", ACK));
    assert_eq!(left(&lab, "10.9.1.3:1"), 900, "another service");
    lab.see(udp_packet());
    assert_eq!(left(&lab, "10.9.1.4:1"), 5);
    lab.edit(|d| d.set_options(udp, own_timeouts(0, 0, 0)));
    assert_eq!(left(&lab, "10.9.1.4:1"), 5);
    lab.see(udp_packet());
    assert_eq!(left(&lab, "10.9.1.4:1"), 300, "the director's again");
}

fn udp_packet() -> Segment {
    udp("10.9.1.4:1", "10.9.0.100:53")
}

#[test]
fn a_services_timeouts_apply_to_what_is_there_and_go_with_it() {
    let mut lab = with(ipvs(), Method::Nat, &[R1]);
    let left = |lab: &Lab| lab.connection().expires_in.as_secs();
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    lab.edit(|d| d.set_options(key(), own_timeouts(6, 0, 0)));
    assert_eq!(left(&lab), 900, "nothing has come by yet");
    lab.tcp_out(ACK);
    assert_eq!(left(&lab), 6);
    lab.edit(|d| d.remove_service(key()));
    let another = ServiceKey::tcp(ep("10.9.0.200:80"));
    lab.edit(|d| d.add_service(another, Box::new(Least::default()), own_timeouts(1, 1, 1)));
    lab.tcp_out(ACK);
    assert_eq!(left(&lab), 900, "its service has gone");
    lab.edit(|d| {
        d.add_service(key(), Box::new(Least::default()), own_timeouts(8, 0, 0))?;
        d.add_dest(key(), ep(R1), &weight(1))
    });
    lab.tcp_out(ACK);
    assert_eq!(left(&lab), 8, "and has come back");
    lab.wait(7900);
    assert_eq!(lab.connections().len(), 1);
    lab.wait(200);
    assert_eq!(lab.connections().len(), 0);
}

#[test]
fn sloppy_tcp_lets_a_segment_in_the_middle_open() {
    for (sloppy_tcp, verdict) in [(true, to(R1)), (false, NO_CONNECTION)] {
        let sysctls = Sysctls {
            sloppy_tcp,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[R1]);
        assert_eq!(lab.tcp_in(ACK), verdict);
        assert_eq!(lab.see(tcp("10.9.1.2:1", VIP, RST)), NO_CONNECTION);
    }
}

fn sctp(src: &str, dst: &str, chunk: Chunk) -> Segment {
    Segment {
        chunk,
        len: 100,
        ..Segment::new(Protocol::SCTP, ep(src), ep(dst))
    }
}

#[test]
fn sctp_opens_with_init_and_may_be_sloppy() {
    for sloppy_sctp in [false, true] {
        let sysctls = Sysctls {
            sloppy_sctp,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[]);
        let key = ServiceKey::new(Protocol::SCTP, ep(VIP));
        lab.serve(key, Method::Nat, &[R1]);
        let data = if sloppy_sctp { to(R1) } else { NO_CONNECTION };
        assert_eq!(lab.see(sctp("10.9.1.2:1", VIP, Chunk::Data)), data);
        assert_eq!(
            lab.see(sctp("10.9.1.2:2", VIP, Chunk::Abort)),
            NO_CONNECTION
        );
        assert_eq!(lab.see(sctp("10.9.1.2:3", VIP, Chunk::Init)), to(R1));
        assert_eq!(lab.see(sctp(R1, "10.9.1.2:3", Chunk::InitAck)), back(VIP));
        let states: Vec<_> = lab.connections().iter().map(|c| c.state).collect();
        assert_eq!(states.len(), 1 + usize::from(sloppy_sctp), "{states:?}");
    }
}

#[test]
fn nat_icmp_send_refuses_what_servers_say_unasked() {
    let refused = Verdict::Drop(DropReason::ServerWithoutConnection);
    for (nat_icmp_send, verdict) in [(true, refused), (false, NOT_OURS)] {
        let sysctls = Sysctls {
            nat_icmp_send,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[R1]);
        assert_eq!(lab.tcp_out(ACK), verdict);
        assert_eq!(lab.tcp_out(RST), NOT_OURS);
        assert_eq!(lab.see(udp(R1, CLIENT)), NOT_OURS, "another protocol");
        assert_eq!(
            lab.see(tcp("10.10.0.11:9", CLIENT, ACK)),
            NOT_OURS,
            "another port"
        );
        lab.tcp_in(SYN);
        assert_eq!(lab.tcp_out(SYN_ACK), back(VIP));
    }
}

/// IPVS compares ports as they stand: one that is any port is none.
#[test]
fn nat_icmp_send_knows_servers_by_their_port() {
    let sysctls = Sysctls {
        nat_icmp_send: true,
        ..ipvs()
    };
    let mut lab = with(sysctls, Method::Nat, &[]);
    let mark = ServiceKey::Mark {
        family: Family::V4,
        mark: 3,
    };
    lab.serve(mark, Method::Nat, &["10.10.0.11:0", "10.10.0.12:80"]);
    assert_eq!(lab.see(tcp("10.10.0.11:80", CLIENT, ACK)), NOT_OURS);
    let refused = Verdict::Drop(DropReason::ServerWithoutConnection);
    assert_eq!(lab.see(tcp("10.10.0.12:80", CLIENT, ACK)), refused);
    assert_eq!(lab.see(udp("10.10.0.12:80", CLIENT)), refused);
}

#[test]
fn schedule_icmp_lets_an_error_open() {
    let error = Segment {
        kind: Kind::IcmpError,
        ..tcp(CLIENT, VIP, NONE)
    };
    let passed = Verdict::Pass(PassReason::OtherProtocol);
    for (schedule_icmp, verdict) in [(true, to(R1)), (false, passed)] {
        let sysctls = Sysctls {
            schedule_icmp,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[R1]);
        assert_eq!(lab.see(error), verdict);
        assert_eq!(lab.connections().len(), usize::from(schedule_icmp));
        if schedule_icmp {
            assert_eq!(lab.connection().state, State::None);
            assert_eq!(lab.tcp_in(SYN), to(R1));
            assert_eq!(lab.connection().state, State::SynRecv);
        }
    }
}

#[test]
fn cache_bypass_sends_a_marks_packets_where_they_were_going() {
    let mark = ServiceKey::Mark {
        family: Family::V4,
        mark: 3,
    };
    let web = "198.51.100.7:80";
    for cache_bypass in [true, false] {
        let sysctls = Sysctls {
            cache_bypass,
            ..ipvs()
        };
        let mut lab = with(sysctls, Method::Nat, &[]);
        lab.serve(mark, Method::DirectRoute, &[]);
        let next_hop = ep(web).ip;
        let onward = forward(Direction::In, Rewrite::Route { next_hop });
        let refused = Verdict::Drop(DropReason::NoDestination);
        let mut s = tcp(CLIENT, web, SYN);
        s.mark = 3;
        assert_eq!(lab.see(s), if cache_bypass { onward } else { refused });
        let dests: Vec<_> = lab.connections().iter().map(|c| c.dest).collect();
        let nowhere = ep("0.0.0.0:0");
        assert_eq!(dests, vec![nowhere; usize::from(cache_bypass)]);
        let mut own = tcp(CLIENT, VIP, SYN);
        own.mark = 3;
        assert_eq!(lab.see(own), refused, "not to the director itself");
        assert_eq!(lab.director.stats().totals(), Totals::default());
    }
}

#[test]
fn one_packet_scheduling_remembers_nothing() {
    let mut lab = Lab::with(&Settings::default());
    let key = ServiceKey::udp(ep(VIP));
    let options = ServiceOptions {
        one_packet: true,
        ..ServiceOptions::default()
    };
    lab.edit(|d| {
        d.add_service(key, Box::new(Least::default()), options)?;
        d.add_dest(key, ep(R1), &weight(1))
    });
    for _ in 0..3 {
        assert_eq!(lab.see(udp(CLIENT, VIP)), to(R1));
        assert_eq!(
            lab.see(udp(R1, CLIENT)),
            NOT_OURS,
            "replies are not translated"
        );
    }
    assert!(lab.connections().is_empty());
    assert_eq!(lab.counts(R1), (0, 0));
    let t = lab.totals(R1);
    assert_eq!((t.conns, t.in_packets), (3, 3));
}

#[test]
fn drop_packet_gives_up_one_in_ten_new_connections() {
    let sysctls = Sysctls {
        drop_packet: 3,
        ..ipvs()
    };
    let mut lab = with(sysctls, Method::Nat, &[R1]);
    let dropped: Vec<_> = (1001..=1100)
        .filter(|p| {
            lab.see(tcp(&format!("10.9.1.2:{p}"), VIP, SYN)) == Verdict::Drop(DropReason::Defence)
        })
        .collect();
    let first_of_ten: Vec<_> = (1001..=1100).step_by(10).collect();
    assert_eq!(dropped, first_of_ten);
    assert_eq!(lab.connections().len(), 90);
    assert_eq!(
        lab.see(tcp("10.9.1.2:1002", VIP, ACK)),
        to(R1),
        "known ones are safe"
    );
    lab.see(tcp("10.9.1.3:1001", VIP, SYN));
    for seconds in 0..9 {
        lab.director.tick(lab.now, u64::MAX);
        let verdict = lab.see(tcp(&format!("10.9.1.3:{}", 1002 + seconds), VIP, SYN));
        assert_eq!(verdict, to(R1), "it counts on from second to second");
    }
    let verdict = lab.see(tcp("10.9.1.3:1011", VIP, SYN));
    assert_eq!(verdict, Verdict::Drop(DropReason::Defence));
}

#[test]
fn drop_entry_clears_half_open_connections_and_no_established_ones() {
    let sysctls = Sysctls {
        drop_entry: 3,
        ..ipvs()
    };
    let mut lab = with(sysctls, Method::Nat, &[R1]);
    for port in 1001..=1400 {
        let client = format!("10.9.1.2:{port}");
        lab.see(tcp(&client, VIP, SYN));
        if port % 2 == 0 {
            lab.see(tcp(&client, VIP, ACK));
        }
    }
    for _ in 0..1000 {
        lab.director.tick(lab.now, u64::MAX);
    }
    let left = lab.connections();
    assert_eq!(left.len(), 200);
    assert!(left.iter().all(|c| c.state == State::Established));
}

#[test]
fn drop_entry_knows_how_long_a_connection_rests_by_its_own_timeout() {
    let defend = Sysctls {
        drop_entry: 3,
        ..Sysctls::default()
    };
    let mut lab = with(defend, Method::Nat, &[R1]);
    lab.edit(|d| d.set_options(key(), own_timeouts(90, 0, 0)));
    for n in 0..64 {
        let client = format!("10.9.1.3:{}", 2000 + n);
        lab.see(tcp(&client, VIP, SYN));
        lab.see(tcp(&client, VIP, ACK));
    }
    let mut left_after = |ms| {
        lab.wait(ms);
        (0..256).for_each(|_| lab.director.tick(lab.now, u64::MAX));
        lab.connections().len()
    };
    assert_eq!(left_after(59_000), 64, "none has rested for a minute");
    assert!(left_after(2_000) < 64);
}

#[test]
fn secure_tcp_waits_for_the_server() {
    let sysctls = Sysctls {
        secure_tcp: 3,
        ..ipvs()
    };
    let mut lab = with(sysctls, Method::Nat, &[R1]);
    for (from_client, flags, state) in [
        (true, SYN, State::SynRecv),
        (true, ACK, State::SynRecv),
        (false, SYN_ACK, State::SynAck),
        (true, ACK, State::SynAck),
        (false, ACK, State::Established),
    ] {
        if from_client {
            lab.tcp_in(flags);
        } else {
            lab.tcp_out(flags);
        }
        assert_eq!(lab.connection().state, state);
    }
}

#[test]
fn ipsec_follows_its_key_exchange() {
    let mut lab = Lab::with(&Settings::default());
    lab.serve(
        ServiceKey::udp(ep("10.9.0.100:500")),
        Method::Nat,
        &["10.10.0.11:500"],
    );
    let of = |protocol, src, dst| {
        Segment::new(
            protocol,
            Endpoint::new(ip(src), 0),
            Endpoint::new(ip(dst), 0),
        )
    };
    let other = Verdict::Pass(PassReason::OtherProtocol);
    let seen = |lab: &mut Lab, s| lab.see(s);
    for protocol in [Protocol::AH, Protocol::ESP] {
        let early = seen(&mut lab, of(protocol, "10.9.1.9", "10.9.0.100"));
        assert!(matches!(early, NOT_OURS) || early == other);
    }
    assert_eq!(
        lab.see(udp("10.9.1.2:500", "10.9.0.100:500")),
        to("10.10.0.11:500")
    );
    for protocol in [Protocol::AH, Protocol::ESP] {
        assert_eq!(
            seen(&mut lab, of(protocol, "10.9.1.2", "10.9.0.100")),
            to("10.10.0.11:500")
        );
        assert_eq!(
            seen(&mut lab, of(protocol, "10.10.0.11", "10.9.1.2")),
            back("10.9.0.100:500")
        );
    }
    assert_eq!(lab.connection().state, State::Udp);
    assert_eq!(lab.totals("10.10.0.11:500").in_packets, 3);
}

#[test]
fn a_total_is_kept_and_zeroed() {
    let mut lab = with(ipvs(), Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.tcp_out(SYN_ACK);
    let total = lab.director.stats().totals();
    assert_eq!(total, lab.totals(R1));
    assert_eq!(
        (total.conns, total.in_packets, total.out_bytes),
        (1, 1, 100)
    );
    lab.director.zero(Some(&key()));
    assert_eq!(lab.totals(R1), Totals::default());
    assert_eq!(lab.director.stats().totals(), total);
    lab.director.zero(None);
    assert_eq!(lab.director.stats().totals(), Totals::default());
    lab.tcp_in(ACK);
    assert_eq!(lab.totals(R1).in_packets, 1);
}

#[test]
fn a_removed_server_is_remembered_two_minutes_after_its_last_connection() {
    for (idle, revived) in [(119, true), (240, false)] {
        let mut lab = with(ipvs(), Method::Nat, &[R1]);
        for flags in [SYN, ACK, RST] {
            lab.tcp_in(flags);
        }
        let before = Arc::downgrade(lab.dest(R1).live());
        lab.edit(|d| d.remove_dest(key(), ep(R1)));
        lab.tcp_in(ACK); // the worker lets go of the old snapshot
        lab.wait(10_064);
        for _ in 0..idle {
            lab.wait(1000);
            lab.director.tick(lab.now, u64::MAX);
        }
        lab.edit(|d| d.add_dest(key(), ep(R1), &weight(1)));
        let same = before
            .upgrade()
            .is_some_and(|b| Arc::ptr_eq(&b, lab.dest(R1).live()));
        assert_eq!(same, revived, "{idle}");
        assert_eq!(lab.totals(R1).conns, u64::from(revived));
    }
}

/// What 200 connections every two seconds are shown as (the worked example of IPVS's estimator).
#[test]
fn rates_are_estimated_every_two_seconds_unless_switched_off() {
    let mut lab = with(ipvs(), Method::Nat, &[R1]);
    let mut port = 1024;
    let mut shown = Vec::new();
    lab.director.tick(lab.now, u64::MAX);
    for second in 0..6 {
        for _ in 0..100 {
            port += 1;
            lab.see(tcp(&format!("10.9.1.2:{port}"), VIP, SYN));
        }
        lab.director.tick(lab.now, u64::MAX);
        if second % 2 == 1 {
            shown.push(lab.director.stats().rates().conns);
            let of_dest = lab.dest(R1).live().stats().rates().conns;
            assert_eq!(of_dest, *shown.last().unwrap());
        }
    }
    assert_eq!(shown, [25, 44, 58]);
    lab.edit(|d| {
        let sysctls = Sysctls {
            run_estimation: false,
            ..d.sysctls().clone()
        };
        d.set_sysctls(sysctls);
        Ok(())
    });
    for _ in 0..8 {
        lab.director.tick(lab.now, u64::MAX);
    }
    assert_eq!(lab.director.stats().rates().conns, 58, "as it was");
}

#[test]
fn drop_entry_takes_templates_along() {
    let persistence = Some(Persistence {
        timeout: Duration::from_secs(600),
        prefix: 32,
        engine: None,
    });
    let mut lab = Lab::with(&Settings {
        sysctls: Sysctls {
            drop_entry: 3,
            ..ipvs()
        },
        ..Settings::default()
    });
    let options = ServiceOptions {
        persistence,
        ..ServiceOptions::default()
    };
    lab.edit(|d| {
        d.add_service(key(), Box::new(Least::default()), options)?;
        d.add_dest(key(), ep(R1), &weight(1))
    });
    for host in 1..=40 {
        let client = format!("10.9.1.{host}:4000");
        lab.see(tcp(&client, VIP, SYN));
        if host % 2 == 0 {
            lab.see(tcp(&client, VIP, ACK));
        }
    }
    for _ in 0..2000 {
        lab.director.tick(lab.now, u64::MAX);
    }
    assert_eq!(lab.director.connection_count(), 20);
    assert_eq!(lab.director.template_count(), 20, "the confirmed ones");
}

/// It counts for a moment, which may reach the threshold; the flag stays until the count falls below the lower one.
#[test]
fn a_one_packet_connection_may_set_the_overload_flag() {
    let mut lab = Lab::with(&Settings::default());
    let key = ServiceKey::udp(ep(VIP));
    lab.serve(key, Method::Nat, &[R1]);
    let limited = DestOptions {
        upper: 3,
        lower: 1,
        ..weight(1)
    };
    lab.edit(|d| d.edit_dest(key, ep(R1), &limited));
    lab.see(udp("10.9.1.2:1001", VIP));
    lab.see(udp("10.9.1.2:1002", VIP));
    let one_packet = ServiceOptions {
        one_packet: true,
        ..ServiceOptions::default()
    };
    lab.edit(|d| d.set_options(key, one_packet));
    assert!(!lab.dest(R1).live().is_overloaded());
    assert_eq!(lab.see(udp("10.9.1.2:1003", VIP)), to(R1));
    assert!(lab.dest(R1).live().is_overloaded());
    let refused = Verdict::Drop(DropReason::NoDestination);
    assert_eq!(lab.see(udp("10.9.1.2:1004", VIP)), refused);
}

#[test]
fn cache_bypass_spares_groups_and_loopback() {
    let mark = ServiceKey::Mark {
        family: Family::V4,
        mark: 3,
    };
    let sysctls = Sysctls {
        cache_bypass: true,
        ..ipvs()
    };
    let mut lab = with(sysctls, Method::Nat, &[]);
    lab.serve(mark, Method::DirectRoute, &[]);
    for (dst, bypassed) in [
        ("198.51.100.7:80", true),
        ("224.0.0.7:80", false),
        ("127.0.0.1:80", false),
        ("255.255.255.255:80", false),
    ] {
        let mut s = tcp(CLIENT, dst, SYN);
        s.mark = 3;
        let verdict = lab.see(s);
        assert_eq!(matches!(verdict, Verdict::Forward(_)), bypassed, "{dst}");
    }
}
