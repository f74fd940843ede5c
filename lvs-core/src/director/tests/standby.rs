//! Services that another director serves at present.

use super::*;
use crate::director::Outcome;

const REST: Verdict = Verdict::Pass(PassReason::Standby);
const OTHER: &str = "10.9.0.101:80";

fn mark(mark: u32) -> ServiceKey {
    ServiceKey::Mark {
        family: Family::V4,
        mark,
    }
}

fn marked(s: Segment, mark: u32) -> Segment {
    Segment { mark, ..s }
}

impl Lab {
    fn stand_by(&mut self, addresses: &[&str], marks: &[ServiceKey]) {
        let addresses = addresses.iter().map(|a| ip(a));
        let standby = Standby::new(addresses, marks.iter().copied(), []);
        self.edit(|d| {
            d.set_standby(Arc::new(standby));
            Ok(())
        });
    }

    /// What is decided about a packet, which must be what is told of it before.
    fn see_as_told(&mut self, s: Segment) -> Verdict {
        let told = self.director.explain(self.now, &s).outcome;
        let seen = self.see(s);
        let expected = match seen {
            Verdict::Pass(reason) => Some(Outcome::Passed(reason)),
            Verdict::Drop(reason) => Some(Outcome::Dropped(reason)),
            Verdict::Forward(_) => None,
        };
        match expected {
            Some(outcome) => assert_eq!(told, outcome, "{s:?}"),
            None => assert!(
                matches!(told, Outcome::Follows | Outcome::Opens(_)),
                "{told:?}"
            ),
        }
        seen
    }
}

#[test]
fn nothing_is_opened_or_carried_on_meanwhile() {
    for method in [Method::Nat, Method::FullNat] {
        let mut lab = Lab::tcp(method, &[R1]);
        lab.serve(ServiceKey::tcp(ep(OTHER)), method, &[R2]);
        assert!(matches!(lab.tcp_in(SYN), Verdict::Forward(_)));
        let conn = lab.connection();
        let seen = conn.local.unwrap_or(conn.client);
        let reply = tcp(R1, &seen.to_string(), SYN_ACK);
        lab.see(reply);
        lab.tcp_in(ACK);
        let before = (lab.connections(), lab.totals(R1));

        lab.stand_by(&["10.9.0.100"], &[]);
        for s in [
            tcp(CLIENT, VIP, ACK),
            tcp(CLIENT, VIP, SYN),
            tcp("10.9.1.2:7", VIP, SYN),
            tcp("10.9.1.2:7", VIP, ACK),
            reply,
        ] {
            assert_eq!(lab.see_as_told(s), REST, "{method:?} {s:?}");
        }
        let error = Segment {
            kind: Kind::IcmpError,
            ..tcp(CLIENT, VIP, NONE)
        };
        assert_eq!(lab.see(error), REST);
        assert_eq!((lab.connections(), lab.totals(R1)), before, "untouched");
        let other = lab.see_as_told(tcp(CLIENT, OTHER, SYN));
        assert!(matches!(other, Verdict::Forward(_)), "{other:?}");
        assert_eq!(lab.see_as_told(tcp(CLIENT, "10.9.0.100:81", SYN)), NOT_OURS);

        lab.stand_by(&[], &[]);
        for s in [tcp(CLIENT, VIP, ACK), reply] {
            assert!(matches!(lab.see_as_told(s), Verdict::Forward(_)));
        }
        assert_eq!(lab.connections().len(), 2);
    }
}

#[test]
fn connections_end_by_their_timeouts() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.stand_by(&["10.9.0.100"], &[]);
    lab.wait(59_000);
    assert_eq!(lab.tcp_in(SYN), REST);
    assert_eq!(lab.director.connection_count(), 1);
    lab.wait(2_000);
    assert_eq!(lab.director.connection_count(), 0);
    assert_eq!(lab.tcp_in(ACK), REST);
}

/// Whose address happens to stand by may be a client, elsewhere.
#[test]
fn a_client_may_have_an_address_that_stands_by() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.serve(ServiceKey::tcp(ep(OTHER)), Method::Nat, &[R2]);
    lab.stand_by(&["10.9.0.101"], &[]);
    for port in 40_000..40_020 {
        let client = format!("10.9.0.101:{port}");
        assert_eq!(lab.see_as_told(tcp(&client, VIP, SYN)), to(R1));
        assert_eq!(lab.see_as_told(tcp(R1, &client, SYN_ACK)), back(VIP));
    }
}

#[test]
fn a_mark_stands_by_for_all_addresses_or_some() {
    let mut lab = Lab::with(&Settings {
        workers: 4,
        ..Settings::default()
    });
    lab.serve(mark(7), Method::Nat, &[R1]);
    lab.serve(mark(8), Method::Nat, &[R2]);
    let opening = |dst, m| marked(tcp(CLIENT, dst, SYN), m);
    assert_eq!(lab.see_as_told(opening(VIP, 7)), to(R1));

    lab.stand_by(&["10.9.0.100"], &[]);
    assert_eq!(lab.see_as_told(opening(VIP, 7)), REST);
    let elsewhere = marked(tcp("10.9.1.4:40000", OTHER, SYN), 7);
    assert_eq!(lab.see_as_told(elsewhere), to(R1));

    lab.stand_by(&[], &[mark(7)]);
    for s in [opening(VIP, 7), elsewhere, opening("10.9.0.102:80", 7)] {
        assert_eq!(lab.see_as_told(s), REST);
    }
    // A wide rule marks answers too, also those of other services' servers.
    assert_eq!(lab.see_as_told(opening(VIP, 8)), REST, "still 7's client");
    let client = "10.9.1.3:40000";
    assert_eq!(lab.see_as_told(marked(tcp(client, VIP, SYN), 8)), to(R2));
    let answer = marked(tcp(R2, client, SYN_ACK), 8);
    assert_eq!(lab.see_as_told(answer), back(VIP));
    assert_eq!(lab.see_as_told(tcp(R2, client, ACK)), back(VIP));
}

#[test]
fn announced_connections_rest_too() {
    let control = "10.9.0.9:21";
    let mut lab = Lab::with(&Settings {
        helpers: vec![(Protocol::TCP, 21)],
        ..Settings::default()
    });
    lab.serve(
        ServiceKey::tcp(ep(control)),
        Method::Nat,
        &["10.10.0.11:21"],
    );
    lab.see(tcp(CLIENT, control, SYN));
    let now = lab.now;
    let announced = lab.workers[0].assist(now, &tcp(CLIENT, control, ACK), |a| {
        a.expected.push(Expected {
            client: ep("10.9.1.2:0"),
            virt: ep("10.9.0.9:33589"),
            dest: ep("10.10.0.11:33589"),
        });
    });
    announced.unwrap();
    lab.stand_by(&["10.9.0.9"], &[]);
    let data = tcp("10.9.1.2:45000", "10.9.0.9:33589", SYN);
    assert_eq!(lab.see_as_told(data), REST);
    lab.stand_by(&[], &[]);
    assert_eq!(lab.see_as_told(data), to("10.10.0.11:33589"));
}

#[test]
fn servers_may_say_what_they_like() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.serve(ServiceKey::tcp(ep(OTHER)), Method::Nat, &[R1, R2]);
    let call = ServiceKey::udp(ep("10.9.0.100:5060"));
    let persistence = Persistence {
        timeout: Duration::from_secs(100),
        prefix: 32,
        engine: Some(service::Engine::Sip),
    };
    lab.edit(|d| {
        d.set_sysctls(Sysctls {
            nat_icmp_send: true,
            ..Sysctls::default()
        });
        let options = ServiceOptions {
            persistence: Some(persistence),
            ..ServiceOptions::default()
        };
        d.add_service(call, Box::new(Least::default()), options)?;
        d.add_dest(
            call,
            ep("10.10.0.12:5060"),
            &DestOptions::new(Method::Nat, 1),
        )
    });
    let refused = Verdict::Drop(DropReason::ServerWithoutConnection);
    let unasked = [R1, R2].map(|server| tcp(server, CLIENT, ACK));
    let called = Segment {
        tag: 9,
        ..udp("10.10.0.12:5060", "10.9.1.2:5061")
    };
    lab.stand_by(&["10.9.0.100"], &[]);
    assert_eq!(unasked.map(|s| lab.see_as_told(s)), [refused; 2]);
    assert_eq!(lab.see_as_told(called), NOT_OURS);
    lab.stand_by(&["10.9.0.101"], &[]);
    assert_eq!(unasked.map(|s| lab.see_as_told(s)), [refused, NOT_OURS]);
    lab.stand_by(&["10.9.0.100", "10.9.0.101"], &[]);
    assert_eq!(unasked.map(|s| lab.see_as_told(s)), [NOT_OURS; 2]);
    lab.stand_by(&[], &[]);
    assert_eq!(lab.see_as_told(called), back("10.9.0.100:5060"));
}

#[test]
fn what_stands_by_is_told() {
    let standby = Standby::new([ip("10.9.0.100")], [mark(7)], [ip("10.9.0.1")]);
    assert!(standby.includes(&ServiceKey::udp(ep("10.9.0.100:53"))));
    assert!(standby.includes(&mark(7)) && !standby.includes(&mark(8)));
    assert!(!standby.includes(&ServiceKey::tcp(ep(OTHER))));
    assert!(!standby.answers_for(&ip("10.9.0.1")) && standby.answers_for(&ip("10.9.0.100")));
    assert!(!standby.is_empty() && Standby::default().is_empty());
    assert!(Standby::new([], [], [ip("10.9.0.1")]).is_empty());
    let other = Standby::new([ip("10.9.0.100"), ip("10.9.0.101")], [mark(8)], []);
    let both = Standby::new([ip("10.9.0.100")], [], []);
    assert_eq!(
        (standby.both(&other), other.both(&standby)),
        (both.clone(), both)
    );
}
