//! What a director says of packets. That it then does so, with all schedulers, is walked through in `lvs-sched`.

use super::*;
use crate::config::MatchedBy;
use crate::director::{Chooser, Explanation, Lack, Outcome};

fn told(lab: &Lab, s: Segment) -> Explanation {
    lab.director.explain(lab.now, &s)
}

fn opening(told: &Explanation) -> (Endpoint, &Chooser) {
    match &told.outcome {
        Outcome::Opens(o) => (o.dest, &o.by),
        other => panic!("{other:?}"),
    }
}

fn persistent() -> ServiceOptions {
    ServiceOptions {
        persistence: Some(Persistence {
            timeout: Duration::from_secs(100),
            prefix: 32,
            engine: None,
        }),
        ..ServiceOptions::default()
    }
}

fn key() -> ServiceKey {
    ServiceKey::tcp(ep(VIP))
}

#[test]
fn a_known_connection_is_shown_with_its_template() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    lab.edit(|d| d.set_options(key(), persistent()));
    let before = told(&lab, tcp(CLIENT, VIP, SYN));
    assert_eq!(opening(&before), (ep(R1), &Chooser::Scheduler));
    assert_eq!(before.connection, None);
    lab.tcp_in(SYN);
    lab.idle(2000);
    for (packet, direction) in [
        (tcp(CLIENT, VIP, ACK), Direction::In),
        (tcp(R1, CLIENT, ACK), Direction::Out),
    ] {
        let told = told(&lab, packet);
        assert_eq!(told.outcome, Outcome::Follows);
        let known = told.connection.unwrap();
        assert_eq!((known.direction, known.conn.dest), (direction, ep(R1)));
        assert_eq!(known.conn.expires_in.as_secs(), 58);
        let template = known.template.unwrap();
        assert!(template.is_template());
        assert_eq!((template.dest, template.expires_in.as_secs()), (ep(R1), 98));
        let service = told.service.unwrap();
        let by = match direction {
            Direction::In => MatchedBy::Address,
            Direction::Out => MatchedBy::Connection,
        };
        assert_eq!((service.key, service.by), (key(), by));
        assert_eq!((service.scheduler, service.persistent), ("least", true));
    }
    let again = told(&lab, tcp("10.9.1.2:7", VIP, SYN));
    let (server, Chooser::Template(template)) = opening(&again) else {
        panic!("{again:?}")
    };
    assert_eq!((server, template.dest), (ep(R1), ep(R1)));
    let counts = |s: &director::Standing| (s.addr, s.active, s.inactive, s.persistent);
    let counts: Vec<_> = again.servers.iter().map(counts).collect();
    assert_eq!(counts, [(ep(R1), 1, 0, 1), (ep(R2), 0, 0, 0)]);
}

#[test]
fn a_template_put_aside_still_belongs_to_its_connections() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    lab.edit(|d| d.set_options(key(), persistent()));
    lab.tcp_in(SYN);
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    let other = "10.9.1.2:7";
    assert_eq!(lab.see(tcp(other, VIP, SYN)), to(R2));
    for (client, server) in [(CLIENT, R1), (other, R2)] {
        let known = told(&lab, tcp(client, VIP, ACK)).connection.unwrap();
        assert_eq!(known.template.unwrap().server, ep(server));
    }
}

#[test]
fn why_a_service_matches_is_said() {
    let mut lab = Lab::with(&Settings::default());
    let (family, mark) = (Family::V4, 7);
    for key in [
        ServiceKey::tcp(ep("10.9.0.1:80")),
        ServiceKey::tcp(ep("10.9.0.1:0")),
        ServiceKey::tcp(ep("10.9.0.1:21")),
        ServiceKey::Mark { family, mark },
    ] {
        lab.edit(|d| d.add_service(key, Box::new(Least::default()), persistent()));
    }
    let by = |port: u16, mark| {
        let packet = Segment {
            mark,
            ..tcp(CLIENT, &format!("10.9.0.1:{port}"), SYN)
        };
        told(&lab, packet).service.map(|s| (s.key.port(), s.by))
    };
    assert_eq!(by(80, 0), Some((80, MatchedBy::Address)));
    assert_eq!(by(80, 7), Some((0, MatchedBy::Mark)));
    assert_eq!(by(80, 8), Some((80, MatchedBy::Address)));
    assert_eq!(by(3000, 0), Some((21, MatchedBy::FtpData)));
    assert_eq!(by(81, 0), Some((0, MatchedBy::AnyPort)));
    let nowhere = told(&lab, tcp(CLIENT, "10.9.0.2:80", SYN));
    assert_eq!(nowhere.outcome, Outcome::Passed(PassReason::NotOurs));
    assert!(nowhere.service.is_none() && nowhere.servers.is_empty());
}

#[test]
fn what_a_helper_remembers_and_has_announced_is_shown() {
    let mut lab = Lab::with(&Settings {
        helpers: vec![(Protocol::TCP, 21)],
        ..Settings::default()
    });
    let ftp = "10.9.0.9:21";
    lab.serve(ServiceKey::tcp(ep(ftp)), Method::Nat, &["10.10.0.11:21"]);
    lab.see(tcp(CLIENT, ftp, SYN));
    let shift = Shift {
        since: 9,
        delta: 4,
        ..Shift::default()
    };
    let data = tcp("10.9.1.2:5", "10.9.0.9:3000", SYN);
    assert_eq!(
        told(&lab, data).outcome,
        Outcome::Passed(PassReason::NoConnection)
    );
    let now = lab.now;
    lab.workers[0].assist(now, &tcp(CLIENT, ftp, ACK), |a| {
        (a.notes, a.shift_out) = (3, shift);
        a.expected.push(Expected {
            client: ep("10.9.1.2:0"),
            virt: ep("10.9.0.9:3000"),
            dest: ep("10.10.0.11:3000"),
        });
    });
    let helper = told(&lab, tcp(CLIENT, ftp, ACK)).connection.unwrap().helper;
    let helper = helper.unwrap();
    assert_eq!(
        (helper.helper, helper.notes, helper.shift_out),
        (0, 3, shift)
    );
    assert!(helper.controls);
    let announced = told(&lab, data);
    assert_eq!(announced.outcome, Outcome::Follows);
    let conn = announced.connection.unwrap().conn;
    assert_eq!((conn.client.port, conn.state), (0, State::Listen));
    assert!(matches!(lab.see(data), Verdict::Forward(_)));
}

#[test]
fn a_full_table_is_said_unless_the_packets_own_connection_makes_room() {
    let mut lab = Lab::with(&Settings {
        max_connections: 4,
        ..Settings::default()
    });
    lab.serve(key(), Method::Nat, &[R1]);
    let is_full = |lab: &Lab, client: &str| match told(lab, tcp(client, VIP, SYN)).outcome {
        Outcome::Opens(o) => Some(o.full),
        _ => None,
    };
    assert_eq!(is_full(&lab, CLIENT), Some(false));
    lab.tcp_in(SYN);
    lab.tcp_out(RST);
    assert_eq!(lab.connection().state, State::Close);
    assert_eq!(is_full(&lab, CLIENT), Some(false), "a SYN opens it anew");
    // One for each of the four shards.
    let others = (1..200).map(|port| is_full(&lab, &format!("10.9.1.2:{port}")));
    let full = others.filter(|full| *full == Some(true)).count();
    assert!((20..80).contains(&full), "{full}");
}

#[test]
fn connections_in_other_shards_are_found() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    let clients: Vec<_> = (1..40).map(|n| format!("10.9.1.{n}:40000")).collect();
    for client in &clients {
        lab.see(tcp(client, VIP, SYN));
    }
    lab.edit(|d| d.remove_service(key()));
    let nobody = told(&lab, tcp(R1, &clients[0], SYN_ACK));
    assert_eq!(nobody.outcome, Outcome::Passed(PassReason::NotOurs));
    let other = ServiceKey::tcp(ep("10.9.0.200:80"));
    lab.serve(other, Method::Nat, &[R1]);
    for client in &clients {
        let answer = tcp(R1, client, SYN_ACK);
        assert_eq!(told(&lab, answer).outcome, Outcome::Follows);
        let removed = Outcome::Dropped(DropReason::DestinationRemoved);
        let told = told(&lab, tcp(client, VIP, ACK));
        assert_eq!(told.outcome, removed);
        assert_eq!(told.connection.unwrap().conn.service, key());
        assert!(told.service.is_none());
    }
}

#[test]
fn defences_and_servers_without_a_connection_are_said() {
    let mut lab = Lab::with(&Settings {
        sysctls: Sysctls {
            drop_packet: 3,
            am_droprate: 10,
            nat_icmp_send: true,
            ..Sysctls::default()
        },
        ..Settings::default()
    });
    lab.serve(key(), Method::Nat, &[R1]);
    for _ in 0..3 {
        let told = told(&lab, tcp(CLIENT, VIP, SYN));
        assert_eq!(told.outcome, Outcome::Dropped(DropReason::Defence));
        assert_eq!((told.drop_rate, told.lack), (10, None));
    }
    lab.tcp_in(SYN);
    assert_eq!(opening(&told(&lab, tcp(CLIENT, VIP, SYN))).0, ep(R1));
    let unasked = Outcome::Dropped(DropReason::ServerWithoutConnection);
    assert_eq!(told(&lab, tcp(R1, "10.9.1.77:1", SYN)).outcome, unasked);
}

#[test]
fn what_is_lacking_is_said() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    let lack = |lab: &Lab| {
        let told = told(lab, tcp(CLIENT, VIP, SYN));
        assert!(told.lack.is_none() || told.outcome == Outcome::Dropped(DropReason::NoDestination));
        told.lack
    };
    let edit = |lab: &mut Lab, server, weight, upper| {
        let options = DestOptions {
            upper,
            ..DestOptions::new(Method::Nat, weight)
        };
        lab.edit(|d| d.edit_dest(key(), ep(server), &options));
    };
    assert_eq!(lack(&lab), None);
    lab.see(tcp("10.9.1.3:1", VIP, SYN));
    edit(&mut lab, R1, 1, 1);
    assert_eq!(lack(&lab), None);
    edit(&mut lab, R2, 0, 0);
    assert_eq!(lack(&lab), Some(Lack::Overloaded));
    edit(&mut lab, R1, 0, 1);
    assert_eq!(lack(&lab), Some(Lack::Quiesced));
    lab.edit(|d| d.remove_dest(key(), ep(R1)));
    lab.edit(|d| d.remove_dest(key(), ep(R2)));
    assert_eq!(lack(&lab), Some(Lack::NoServers));
    let any = ServiceKey::tcp(ep("10.9.0.7:0"));
    lab.serve(any, Method::Nat, &[R1]);
    let told = told(&lab, tcp(CLIENT, "10.9.0.7:80", SYN));
    assert_eq!(told.lack, Some(Lack::NotPersistent));
}
