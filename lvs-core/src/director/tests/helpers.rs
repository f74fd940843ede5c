//! What the director does for protocol helpers.

use super::*;

const CONTROL: &str = "10.9.0.9:21";
const SERVER: &str = "10.10.0.11:21";

fn lab(method: Method) -> Lab {
    let mut lab = Lab::with(&Settings {
        workers: 2,
        helpers: vec![(Protocol::UDP, 69), (Protocol::TCP, 21)],
        ..Settings::default()
    });
    lab.serve(ServiceKey::tcp(ep(CONTROL)), method, &[SERVER]);
    lab
}

fn helper_of(v: Verdict) -> Option<u8> {
    match v {
        Verdict::Forward(f) => f.helper,
        _ => None,
    }
}

fn announce(lab: &mut Lab, client: &str, virt: &str, dest: &str) -> Option<()> {
    let now = lab.now;
    lab.workers[0].assist(now, &tcp(CLIENT, CONTROL, ACK), |a| {
        a.expected.push(Expected {
            client: ep(client),
            virt: ep(virt),
            dest: ep(dest),
        });
    })
}

fn states(lab: &Lab) -> Vec<(String, State)> {
    let mut all: Vec<_> = lab
        .connections()
        .iter()
        .map(|c| (c.client.to_string(), c.state))
        .collect();
    all.sort();
    all
}

#[test]
fn packets_of_helped_connections_say_so() {
    let mut lab = lab(Method::Nat);
    assert_eq!(helper_of(lab.see(tcp(CLIENT, CONTROL, SYN))), Some(1));
    assert_eq!(helper_of(lab.see(tcp(SERVER, CLIENT, SYN_ACK))), Some(1));
    let mut direct = self::lab(Method::DirectRoute);
    assert_eq!(
        helper_of(direct.see(tcp(CLIENT, CONTROL, SYN))),
        None,
        "nothing is translated"
    );
    assert!(announce(&mut direct, "10.9.1.2:0", "10.9.0.9:5", "10.10.0.11:5").is_none());
}

#[test]
fn what_a_helper_notes_is_kept() {
    let mut lab = lab(Method::Nat);
    lab.see(tcp(CLIENT, CONTROL, SYN));
    let now = lab.now;
    let shift = Shift {
        since: 7,
        delta: -2,
        before: 0,
        len: 5,
    };
    let out = tcp(SERVER, CLIENT, ACK);
    lab.workers[1]
        .assist(now, &out, |a| {
            assert_eq!(
                (a.direction, a.notes, a.state),
                (Direction::Out, 0, State::SynRecv)
            );
            assert_eq!(
                (a.client, a.virt, a.dest),
                (ep(CLIENT), ep(CONTROL), ep(SERVER))
            );
            (a.notes, a.shift_out) = (3, shift);
        })
        .unwrap();
    let seen = lab.workers[0].assist(now, &tcp(CLIENT, CONTROL, ACK), |a| {
        (a.direction, a.notes, a.shift_in, a.shift_out)
    });
    assert_eq!(seen, Some((Direction::In, 3, Shift::default(), shift)));
    assert!(
        lab.workers[0]
            .assist(now, &tcp("10.9.1.9:1", CONTROL, ACK), |_| ())
            .is_none()
    );
}

#[test]
fn a_passive_data_connection_comes_from_any_port() {
    let mut lab = lab(Method::Nat);
    lab.see(tcp(CLIENT, CONTROL, SYN));
    lab.see(tcp(CLIENT, CONTROL, ACK));
    for _ in 0..2 {
        announce(&mut lab, "10.9.1.2:0", "10.9.0.9:33589", "10.10.0.11:33589").unwrap();
    }
    assert_eq!(
        states(&lab),
        [
            ("10.9.1.2:0".into(), State::Listen),
            (CLIENT.into(), State::Established)
        ]
    );
    assert_eq!(lab.counts(SERVER), (1, 1));
    let data = "10.9.0.9:33589";
    assert_eq!(
        lab.see(tcp("10.9.1.3:45000", data, SYN)),
        NO_CONNECTION,
        "another client"
    );
    assert_eq!(
        lab.see(tcp("10.9.1.2:45000", data, SYN)),
        to("10.10.0.11:33589")
    );
    assert_eq!(
        lab.see(tcp("10.10.0.11:33589", "10.9.1.2:45000", SYN_ACK)),
        back(data)
    );
    assert_eq!(
        lab.see(tcp("10.9.1.2:45000", data, ACK)),
        to("10.10.0.11:33589")
    );
    assert_eq!(
        states(&lab)[1],
        ("10.9.1.2:45000".into(), State::Established)
    );
    assert_eq!(lab.counts(SERVER), (2, 0));
    assert_eq!(lab.totals(SERVER).conns, 1, "only what was scheduled");
    assert_eq!(
        lab.see(tcp("10.9.1.2:45001", data, SYN)),
        NO_CONNECTION,
        "once only"
    );
}

#[test]
fn an_active_data_connection_comes_from_the_server() {
    let mut lab = lab(Method::Nat);
    lab.see(tcp(CLIENT, CONTROL, SYN));
    announce(&mut lab, "10.9.1.2:5001", "10.9.0.9:20", "10.10.0.11:20").unwrap();
    announce(&mut lab, "10.9.1.2:5001", "10.9.0.9:20", "10.10.0.11:20").unwrap();
    assert_eq!(lab.connections().len(), 2);
    assert_eq!(
        lab.see(tcp("10.10.0.11:20", "10.9.1.2:5001", SYN)),
        back("10.9.0.9:20")
    );
    assert_eq!(
        lab.see(tcp("10.9.1.2:5001", "10.9.0.9:20", SYN_ACK)),
        to("10.10.0.11:20")
    );
    assert_eq!(
        lab.see(tcp("10.10.0.11:20", "10.9.1.2:5001", ACK)),
        back("10.9.0.9:20")
    );
    assert!(states(&lab).contains(&("10.9.1.2:5001".into(), State::Established)));
}

#[test]
fn a_control_connection_stays_while_its_data_connections_do() {
    let mut lab = lab(Method::Nat);
    lab.see(tcp(CLIENT, CONTROL, SYN));
    announce(&mut lab, "10.9.1.2:0", "10.9.0.9:33589", "10.10.0.11:33589").unwrap();
    lab.see(tcp("10.9.1.2:45000", "10.9.0.9:33589", SYN));
    lab.see(tcp("10.9.1.2:45000", "10.9.0.9:33589", ACK));
    lab.see(tcp(CLIENT, CONTROL, RST));
    lab.wait(700_000);
    assert_eq!(lab.connections().len(), 2, "long after its own 10 s");
    assert!(lab.connections().iter().any(|c| c.state == State::SynRecv));
    lab.wait(200_064);
    lab.wait(60_064);
    assert!(lab.connections().is_empty());
}

#[test]
fn what_nobody_came_for_expires() {
    let mut lab = lab(Method::Nat);
    lab.see(tcp(CLIENT, CONTROL, SYN));
    announce(&mut lab, "10.9.1.2:0", "10.9.0.9:33589", "10.10.0.11:33589").unwrap();
    lab.idle(120_064);
    assert_eq!(
        lab.see(tcp("10.9.1.2:45000", "10.9.0.9:33589", SYN)),
        NO_CONNECTION,
        "too late"
    );
    lab.director.tick(lab.now, u64::MAX);
    lab.wait(60_064);
    assert!(lab.connections().is_empty());
    assert_eq!(lab.counts(SERVER), (0, 0));
}
