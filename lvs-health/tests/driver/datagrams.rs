//! Checks over UDP and ICMP.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

use lvs_health::check::{Kind, Udp};
use lvs_health::{Passed, Reason};

use crate::bed::{
    check, dns, driver, elsewhere, first_reason, first_verdict, impatient, next_verdict,
};

fn udp(reply_required: bool) -> Kind {
    Kind::Udp(Udp {
        payload: b"are you there".to_vec(),
        reply_required,
        reply: Vec::new(),
        length: (0, 255),
    })
}

/// Answers each datagram with what `answer` makes of it.
fn udp_server(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("an address");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, client)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..len]) {
                let _ = socket.send_to(&answer, client);
            }
        }
    });
    addr
}

fn nobody() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address")
}

#[test]
fn echoed_or_not() {
    let echo = udp_server(|said| Some(said.to_vec()));
    let silent = udp_server(|_| None);
    for required in [false, true] {
        let verdict = first_verdict(check(udp(required), echo));
        assert_eq!(verdict, Ok(Passed::Plainly));
        // An ICMP error is a failure at once, whether an answer is required or not.
        assert_eq!(
            first_reason(check(udp(required), nobody())),
            Reason::Refused
        );
    }
    let quiet = impatient(check(udp(false), silent));
    assert_eq!(first_verdict(quiet), Ok(Passed::Plainly));
    let required = impatient(check(udp(true), silent));
    assert_eq!(first_reason(required), Reason::AnswerTimeout);
    // An empty datagram is one too.
    let empty = udp_server(|_| Some(Vec::new()));
    assert_eq!(first_verdict(check(udp(true), empty)), Ok(Passed::Plainly));
}

#[test]
fn names() {
    let answered = |code: u8| {
        move |question: &[u8]| {
            let mut answer = question.to_vec();
            answer[2] |= 0x80;
            answer[3] |= code;
            Some(answer)
        }
    };
    let good = udp_server(answered(0));
    assert_eq!(first_verdict(check(dns(), good)), Ok(Passed::Plainly));
    let failing = udp_server(answered(2));
    assert_eq!(first_reason(check(dns(), failing)), Reason::Status);
    let silent = udp_server(|_| None);
    let reason = first_reason(impatient(check(dns(), silent)));
    assert_eq!(reason, Reason::AnswerTimeout);
    assert_eq!(first_reason(check(dns(), nobody())), Reason::Refused);
}

#[test]
fn echoes() {
    let mut driver = driver();
    for ip in ["127.0.0.1", "::1"] {
        let addr = SocketAddr::new(ip.parse().expect("an address"), 0);
        if UdpSocket::bind(addr).is_err() {
            continue;
        }
        // Several at once: each takes its own answer.
        let ids = [0; 5].map(|_| driver.insert(check(Kind::Ping, addr)));
        for id in ids {
            for _ in 0..3 {
                assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly), "{ip}");
            }
        }
    }
}

#[test]
fn echoes_without_raw_sockets() {
    // Where everybody may ping, datagram ICMP sockets are used; only here, under another user, are there no others.
    let text = "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range && ip link set lo up && \
                exec setpriv --bounding-set -all --inh-caps -all --ambient-caps -all \
                --reuid 65534 --regid 65534 --clear-groups \"$0\" \"$@\"";
    let test = "datagrams::inside_a_network_where_all_may_ping";
    let output = elsewhere(&["unshare", "--net", "sh", "-c", text], test);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the test above, in a network of its own"]
fn inside_a_network_where_all_may_ping() {
    let addr = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), 0);
    for addr in [
        addr,
        SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), 0),
    ] {
        assert_eq!(first_verdict(check(Kind::Ping, addr)), Ok(Passed::Plainly));
    }
}
