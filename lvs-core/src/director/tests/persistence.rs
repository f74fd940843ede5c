//! Clients that stay on their server.

use super::*;
use crate::service::Engine;

/// A persistent TCP service without a port of its own, or with one, and its servers.
fn lab(service: &str, prefix: u8, servers: &[&str]) -> Lab {
    let mut lab = Lab::with(&Settings {
        sysctls: Sysctls {
            reopen_removed: false,
            ..Sysctls::default()
        },
        ..Settings::default()
    });
    add(&mut lab, ServiceKey::tcp(ep(service)), prefix, servers);
    lab
}

fn add(lab: &mut Lab, key: ServiceKey, prefix: u8, servers: &[&str]) {
    let options = persistent(prefix);
    lab.edit(|d| {
        d.add_service(key, Box::new(Least::default()), options)?;
        for server in servers.iter().rev() {
            d.add_dest(key, ep(server), &DestOptions::new(Method::Nat, 1))?;
        }
        Ok(())
    });
}

fn persistent(prefix: u8) -> ServiceOptions {
    ServiceOptions {
        persistence: Some(Persistence {
            timeout: Duration::from_secs(100),
            prefix,
            engine: None,
        }),
        ..ServiceOptions::default()
    }
}

fn templates(lab: &Lab) -> Vec<String> {
    let is_template = |c: &ConnInfo| matches!(c.state, State::Template | State::Assured);
    let mut all: Vec<_> = lab
        .connections()
        .into_iter()
        .filter(is_template)
        .map(|c| format!("{} {} {} {}", c.client, c.virt, c.dest, c.state))
        .collect();
    all.sort();
    all
}

#[test]
fn a_client_stays_on_its_server_and_port() {
    let mut lab = lab(VIP, 32, &[R1, R2]);
    for port in 1000..1010 {
        assert_eq!(lab.see(tcp(&format!("10.9.1.2:{port}"), VIP, SYN)), to(R1));
    }
    assert_eq!(
        lab.see(tcp("10.9.1.3:1", VIP, SYN)),
        to(R2),
        "another client"
    );
    assert_eq!(
        templates(&lab),
        [
            "10.9.1.2:0 10.9.0.100:80 10.10.0.11:8080 NONE",
            "10.9.1.3:0 10.9.0.100:80 10.10.0.12:8080 NONE",
        ]
    );
    assert_eq!(lab.dest(R1).live().persistent(), 1);
    assert_eq!(lab.counts(R1), (10, 0), "templates are not connections");
    lab.see(tcp("10.9.1.3:1", VIP, ACK));
    assert_eq!(
        templates(&lab)[1],
        "10.9.1.3:0 10.9.0.100:80 10.10.0.12:8080 ASSURED"
    );
}

#[test]
fn a_mask_makes_one_client_of_many() {
    let mut lab = lab(VIP, 28, &[R1, R2]);
    for host in 16..32 {
        assert_eq!(lab.see(tcp(&format!("10.9.1.{host}:7"), VIP, SYN)), to(R1));
    }
    assert_eq!(lab.see(tcp("10.9.1.32:7", VIP, SYN)), to(R2));
    assert_eq!(templates(&lab).len(), 2);
}

#[test]
fn all_ports_of_an_address_go_to_one_server_on_the_packets_own_port() {
    let mut lab = lab("10.9.0.100:0", 32, &["10.10.0.11:0", "10.10.0.12:0"]);
    for port in [80, 443, 8080] {
        let dst = format!("10.9.0.100:{port}");
        assert_eq!(
            lab.see(tcp(CLIENT, &dst, SYN)),
            to(&format!("10.10.0.11:{port}"))
        );
    }
    assert_eq!(
        lab.see(udp(CLIENT, "10.9.0.100:80")),
        NOT_OURS,
        "another protocol"
    );
    assert_eq!(
        templates(&lab),
        ["10.9.1.2:0 10.9.0.100:0 10.10.0.11:0 NONE"]
    );
}

#[test]
fn a_service_of_its_own_port_goes_before_one_of_all_ports() {
    let mut lab = lab("10.9.0.100:0", 32, &["10.10.0.12:0"]);
    lab.serve(ServiceKey::tcp(ep(VIP)), Method::Nat, &[R1]);
    assert_eq!(lab.tcp_in(SYN), to(R1));
    assert_eq!(
        lab.see(tcp(CLIENT, "10.9.0.100:81", SYN)),
        to("10.10.0.12:81")
    );
}

#[test]
fn without_persistence_a_service_of_all_ports_schedules_nothing() {
    let mut lab = Lab::with(&Settings::default());
    lab.serve(
        ServiceKey::tcp(ep("10.9.0.100:0")),
        Method::Nat,
        &["10.10.0.11:0"],
    );
    let none = Verdict::Drop(DropReason::NoDestination);
    assert_eq!(lab.see(tcp(CLIENT, VIP, SYN)), none);
}

#[test]
fn ftp_data_follows_its_control_connection() {
    let mut lab = lab("10.9.0.9:21", 32, &["10.10.0.11:2121", "10.10.0.12:2121"]);
    assert_eq!(
        lab.see(tcp(CLIENT, "10.9.0.9:21", SYN)),
        to("10.10.0.11:2121")
    );
    assert_eq!(
        lab.see(tcp("10.9.1.2:5", "10.9.0.9:34000", SYN)),
        to("10.10.0.11:34000")
    );
    assert_eq!(
        lab.see(tcp("10.9.1.2:6", "10.9.0.9:20", SYN)),
        to("10.10.0.11:20")
    );
    assert_eq!(
        lab.see(tcp("10.9.1.2:7", "10.9.0.9:22", SYN)),
        NOT_OURS,
        "a privileged port"
    );
    assert_eq!(templates(&lab), ["10.9.1.2:0 10.9.0.9:0 10.10.0.11:0 NONE"]);
}

#[test]
fn without_persistence_ftp_data_is_the_hosts() {
    let mut lab = Lab::with(&Settings::default());
    lab.serve(
        ServiceKey::tcp(ep("10.9.0.9:21")),
        Method::Nat,
        &["10.10.0.11:21"],
    );
    assert_eq!(lab.see(tcp(CLIENT, "10.9.0.9:34000", SYN)), NO_CONNECTION);
}

fn marked(mut s: Segment, mark: u32) -> Segment {
    s.mark = mark;
    s
}

#[test]
fn a_mark_groups_addresses_ports_and_protocols() {
    let mut lab = Lab::with(&Settings::default());
    let key = ServiceKey::Mark {
        family: Family::V4,
        mark: 7,
    };
    add(&mut lab, key, 32, &["10.10.0.11:0", "10.10.0.12:0"]);
    lab.serve(ServiceKey::tcp(ep(VIP)), Method::Nat, &[R2]);
    let see = |lab: &mut Lab, s, mark| lab.see(marked(s, mark));
    assert_eq!(
        see(&mut lab, tcp(CLIENT, VIP, SYN), 7),
        to("10.10.0.11:80"),
        "before the address"
    );
    assert_eq!(
        see(&mut lab, tcp(CLIENT, "10.9.0.101:443", SYN), 7),
        to("10.10.0.11:443")
    );
    assert_eq!(
        see(&mut lab, udp(CLIENT, "10.9.0.101:53"), 7),
        to("10.10.0.11:53")
    );
    assert_eq!(
        see(&mut lab, tcp("10.9.1.2:9", VIP, SYN), 0),
        to(R2),
        "without a mark"
    );
    assert_eq!(
        see(&mut lab, tcp("10.9.1.2:10", VIP, SYN), 8),
        to(R2),
        "a mark of no service"
    );
    assert_eq!(
        see(&mut lab, tcp("[fd00::2]:9", "[fd00::1]:80", SYN), 7),
        NOT_OURS,
        "IPv6"
    );
    assert_eq!(templates(&lab), ["10.9.1.2:0 0.0.0.7:0 10.10.0.11:0 NONE"]);
    let reply = lab.see(tcp("10.10.0.11:443", CLIENT, SYN_ACK));
    assert_eq!(reply, back("10.9.0.101:443"));
    lab.see(udp("10.10.0.11:53", CLIENT));
    let assured = "10.9.1.2:0 0.0.0.7:0 10.10.0.11:0 ASSURED";
    assert_eq!(templates(&lab), [assured], "by UDP's reply");
}

#[test]
fn a_packet_that_lost_its_mark_still_follows_its_connection() {
    let mut lab = Lab::with(&Settings::default());
    let key = ServiceKey::Mark {
        family: Family::V4,
        mark: 7,
    };
    lab.serve(key, Method::Nat, &["10.10.0.11:0"]);
    for port in 1001..1040 {
        let client = format!("10.9.1.2:{port}");
        assert_eq!(
            lab.see(marked(tcp(&client, VIP, SYN), 7)),
            to("10.10.0.11:80")
        );
        assert_eq!(lab.see(tcp(&client, VIP, ACK)), to("10.10.0.11:80"));
    }
}

#[test]
fn persistent_clients_stay_on_an_overloaded_server() {
    let mut lab = lab(VIP, 32, &[R1, R2]);
    let limited = DestOptions {
        upper: 2,
        ..DestOptions::new(Method::Nat, 1)
    };
    lab.edit(|d| d.edit_dest(ServiceKey::tcp(ep(VIP)), ep(R1), &limited));
    for port in 1..6 {
        assert_eq!(lab.see(tcp(&format!("10.9.1.2:{port}"), VIP, SYN)), to(R1));
    }
    for port in 1..9 {
        assert_eq!(lab.see(tcp(&format!("10.9.1.3:{port}"), VIP, SYN)), to(R2));
    }
}

#[test]
fn without_a_server_persistence_refuses_too() {
    let mut lab = lab(VIP, 32, &[]);
    assert_eq!(lab.tcp_in(SYN), Verdict::Drop(DropReason::NoDestination));
    assert_eq!(lab.director.template_count(), 0);
}

#[test]
fn a_persistent_connection_is_not_scheduled_anew_by_a_syn() {
    let mut lab = lab(VIP, 32, &[R1, R2]);
    lab.tcp_in(SYN);
    lab.tcp_in(RST);
    lab.tcp_in(SYN);
    assert_eq!(
        lab.connections().len(),
        2,
        "the template and one connection"
    );
    assert_eq!(lab.totals(R1).conns, 1);
}

#[test]
fn a_template_outlives_its_connections_by_its_timeout() {
    let mut lab = lab(VIP, 32, &[R1, R2]);
    let step = |lab: &mut Lab, seconds: u64| {
        for _ in 0..seconds {
            lab.wait(1000);
            lab.director.tick(lab.now, u64::MAX);
        }
    };
    lab.tcp_in(SYN);
    lab.tcp_in(RST);
    step(&mut lab, 99);
    assert_eq!(lab.director.template_count(), 1);
    step(&mut lab, 2);
    assert_eq!(
        (lab.director.template_count(), lab.connections().len()),
        (0, 0)
    );
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    step(&mut lab, 899);
    assert_eq!(lab.director.template_count(), 1, "needed by a connection");
    step(&mut lab, 70);
    assert_eq!(lab.connections().len(), 0);
}

#[test]
fn a_connection_taken_up_in_its_midst_confirms_its_template() {
    let mut lab = lab(VIP, 32, &[R1]);
    lab.edit(|d| {
        d.set_sysctls(Sysctls {
            sloppy_tcp: true,
            ..Sysctls::default()
        });
        Ok(())
    });
    assert_eq!(lab.tcp_in(ACK), to(R1));
    assert_eq!(templates(&lab), [format!("10.9.1.2:0 {VIP} {R1} ASSURED")]);
}

#[test]
fn sip_calls_stay_together_and_only_calls_pass() {
    let mut lab = Lab::with(&Settings::default());
    let key = ServiceKey::udp(ep("10.9.0.100:5060"));
    let mut options = persistent(32);
    options.persistence.as_mut().unwrap().engine = Some(Engine::Sip);
    lab.edit(|d| {
        d.add_service(key, Box::new(Least::default()), options)?;
        for server in ["10.10.0.12:5060", "10.10.0.11:5060"] {
            d.add_dest(key, ep(server), &DestOptions::new(Method::Nat, 1))?;
        }
        Ok(())
    });
    let mut call = |port: u16, tag| {
        let mut s = udp(&format!("10.9.1.2:{port}"), "10.9.0.100:5060");
        s.tag = tag;
        lab.see(s)
    };
    assert_eq!(call(1, 0), Verdict::Drop(DropReason::Unsupported));
    assert_eq!(call(1, 77), to("10.10.0.11:5060"));
    assert_eq!(call(2, 88), to("10.10.0.12:5060"));
    assert_eq!(call(3, 77), to("10.10.0.11:5060"));
    assert_eq!(call(4, 77), to("10.10.0.11:5060"));
    assert_eq!(call(5, 88), to("10.10.0.12:5060"));
}

/// A server calls its client back: the call comes from the service's address, and the client's answer finds the
/// same server even from another port.
#[test]
fn a_server_that_calls_speaks_as_its_service() {
    for one_packet in [false, true] {
        let mut lab = Lab::with(&Settings::default());
        let key = ServiceKey::udp(ep("10.9.0.100:5060"));
        let mut options = persistent(32);
        options.persistence.as_mut().unwrap().engine = Some(Engine::Sip);
        options.one_packet = one_packet;
        lab.edit(|d| {
            d.add_service(key, Box::new(Least::default()), options)?;
            for server in ["10.10.0.12:5060", "10.10.0.11:5060"] {
                d.add_dest(key, ep(server), &DestOptions::new(Method::Nat, 1))?;
            }
            Ok(())
        });
        let tagged = |mut s: Segment, tag| {
            s.tag = tag;
            s
        };
        let call = udp("10.10.0.12:5060", "10.9.1.2:5061");
        assert_eq!(lab.see(tagged(call, 0)), NOT_OURS, "no call");
        assert_eq!(lab.see(tagged(call, 99)), back("10.9.0.100:5060"));
        let stranger = udp("10.10.0.13:5060", "10.9.1.2:5061");
        assert_eq!(lab.see(tagged(stranger, 99)), NOT_OURS);
        let answer = |port| udp(&format!("10.9.1.2:{port}"), "10.9.0.100:5060");
        assert_eq!(lab.see(tagged(answer(5061), 99)), to("10.10.0.12:5060"));
        assert_eq!(lab.see(tagged(answer(5999), 99)), to("10.10.0.12:5060"));
        assert_eq!(lab.director.template_count(), 1);
        let kept = if one_packet { 0 } else { 2 };
        assert_eq!(lab.director.connection_count(), kept);
        let conns = if one_packet { 3 } else { 2 };
        assert_eq!(lab.totals("10.10.0.12:5060").conns, conns);
        assert_eq!(lab.totals("10.10.0.12:5060").out_packets, 1);
    }
}

#[test]
fn with_expire_nodest_conn_templates_go_with_their_server() {
    for expire_nodest_conn in [true, false] {
        let mut lab = lab(VIP, 32, &[R1, R2]);
        lab.edit(|d| {
            let sysctls = Sysctls {
                expire_nodest_conn,
                ..d.sysctls().clone()
            };
            d.set_sysctls(sysctls);
            Ok(())
        });
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        lab.see(tcp("10.9.1.3:1000", VIP, SYN));
        lab.edit(|d| d.remove_dest(ServiceKey::tcp(ep(VIP)), ep(R1)));
        let left = if expire_nodest_conn { 1 } else { 2 };
        assert_eq!(lab.director.template_count(), left);
        assert_eq!(lab.director.connection_count(), left);
    }
}
