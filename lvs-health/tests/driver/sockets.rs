//! Checks over TCP: what each way to answer, or not to, is taken for, and what the server sees of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use lvs_health::check::{Check, Kind};
use lvs_health::{Passed, Reason};
use socket2::{Domain, Socket, Type};

use crate::bed::{
    check, dns, driver, elsewhere, first_reason, first_verdict, http, impatient, next_verdict,
    nobody, read_request, server, smtp, turn_until,
};

const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nOK\n";

#[test]
fn a_connection_is_taken_or_refused() {
    let addr = server(drop);
    assert_eq!(first_verdict(check(Kind::Tcp, addr)), Ok(Passed::Plainly));
    assert_eq!(first_reason(check(Kind::Tcp, nobody())), Reason::Refused);
}

#[test]
fn over_ipv6_too() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return;
    };
    let addr = listener.local_addr().expect("an address");
    assert_eq!(first_verdict(check(Kind::Tcp, addr)), Ok(Passed::Plainly));
    drop(listener);
    assert_eq!(first_reason(check(Kind::Tcp, addr)), Reason::Refused);
}

#[test]
fn nobody_answers() {
    // A queue for one, which the first takes: the others' packets are dropped.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    full.bind(&any.into()).expect("a port");
    full.listen(0).expect("a listener");
    let addr = full.local_addr().ok().and_then(|a| a.as_socket());
    let addr = addr.expect("an address");
    let mut queue = Vec::new();
    for _ in 0..4 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_nonblocking(true).expect("a socket");
        let _ = client.connect(&addr.into());
        queue.push(client);
    }
    for kind in [Kind::Tcp, http(), smtp()] {
        let reason = first_reason(impatient(check(kind, addr)));
        assert_eq!(reason, Reason::ConnectTimeout);
    }
}

#[test]
fn the_way_there_does_not_exist() {
    // A network namespace of its own, in which not even the loopback interface is up.
    let output = elsewhere(&["unshare", "--net"], "sockets::inside_an_empty_network");
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the test above, in a network of its own"]
fn inside_an_empty_network() {
    let addr = |text: &str| text.parse().expect("an address");
    for target in ["127.0.0.1:80", "192.0.2.1:80"] {
        for kind in [Kind::Tcp, Kind::Ping, dns()] {
            let verdict = first_verdict(impatient(check(kind, addr(target))));
            let failure = verdict.expect_err("a failure");
            assert_eq!(failure.reason, Reason::Unreachable, "{target}");
            assert!(failure.detail.contains("unreachable"), "{failure}");
        }
    }
    // Without any address of IPv6 there is not even one to come from.
    let reason = first_reason(impatient(check(Kind::Tcp, addr("[2001:db8::1]:80"))));
    assert_eq!(reason, Reason::Local);
}

#[test]
fn link_local_addresses() {
    let text = "ip link set lo up && ip link add near type veth peer name far && \
                ip link set near up && ip link set far up && \
                ip addr add fe80::a/64 dev near nodad && ip addr add 10.9.0.1/24 dev near && \
                ip addr add fe80::b/64 dev far nodad && \
                export NEAR=$(ip -o link show near | cut -d: -f1) && exec \"$0\" \"$@\"";
    let test = "sockets::inside_a_network_of_two_interfaces";
    let output = elsewhere(&["unshare", "--net", "sh", "-c", text], test);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the test above, in a network of its own"]
fn inside_a_network_of_two_interfaces() {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let far: Ipv6Addr = "fe80::b".parse().expect("an address");
    let mut there = check(Kind::Tcp, SocketAddr::new(far.into(), port));
    // Of which link? Not known, so nobody can be asked.
    assert_eq!(first_reason(there.clone()), Reason::Local);
    there.target.interface = Some("near".into());
    assert_eq!(first_verdict(there.clone()), Ok(Passed::Plainly));
    there.target.source = "fe80::a".parse().ok();
    assert_eq!(first_verdict(there.clone()), Ok(Passed::Plainly));
    there.kind = Kind::Ping;
    assert_eq!(first_verdict(there.clone()), Ok(Passed::Plainly));
    // Nobody has these addresses, which the network says when nobody has claimed them for three seconds.
    let nobody = ["fe80::c", "10.9.0.9"].map(|ip| ip.parse().expect("an address"));
    let [six, four] = nobody.map(|ip| SocketAddr::new(ip, port));
    for (kind, addr) in [
        (Kind::Ping, six),
        (dns(), six),
        (Kind::Tcp, four),
        (Kind::Ping, four),
        (dns(), four),
    ] {
        let mut nowhere = check(kind, addr);
        nowhere.target.interface = addr.is_ipv6().then(|| "near".into());
        assert_eq!(first_reason(nowhere), Reason::Unreachable, "{addr}");
    }
    // Or with the interface in the address.
    let index = std::env::var("NEAR").ok().and_then(|i| i.parse().ok());
    let addr = SocketAddrV6::new(far, port, 0, index.expect("an index"));
    let scoped = check(Kind::Tcp, addr.into());
    assert_eq!(first_verdict(scoped), Ok(Passed::Plainly));
}

#[test]
fn what_is_wrong_here_says_nothing_about_the_server() {
    let addr = server(drop);
    let mut no_interface = check(Kind::Tcp, addr);
    no_interface.target.interface = Some("nosuchif0".into());
    let mut no_address = check(Kind::Tcp, addr);
    no_address.target.source = Some(Ipv4Addr::new(192, 0, 2, 99).into());
    let mut other_family = check(Kind::Tcp, addr);
    other_family.target.source = Some(Ipv6Addr::LOCALHOST.into());
    for (check, word) in [
        (no_interface, "nosuchif0"),
        (no_address, "192.0.2.99"),
        (other_family, "::1"),
    ] {
        let failure = first_verdict(check).expect_err("a failure");
        assert_eq!(failure.reason, Reason::Local, "{failure}");
        assert!(failure.detail.contains(word), "{failure}");
    }
}

#[test]
fn where_a_probe_comes_from() {
    let (seen, peers) = mpsc::channel();
    let addr = server(move |mut client| {
        seen.send(client.peer_addr()).expect("a test");
        read_request(&mut client);
        let _ = client.write_all(PAGE);
    });
    let source = Ipv4Addr::new(127, 0, 7, 7);
    let port = nobody().port();
    let mut from = check(http(), addr);
    from.target.source = Some(source.into());
    from.target.interface = Some("lo".into());
    let mut driver = driver();
    let id = driver.insert(from.clone());
    assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
    let peer = peers.recv().expect("a peer").expect("an address");
    assert_eq!(peer.ip(), source);

    // Again and again from the same port: no connection is left that would hold it.
    from.target.source_port = Some(port);
    assert!(driver.replace(id, from));
    for _ in 0..5 {
        assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
        let peer = peers.recv().expect("a peer").expect("an address");
        assert_eq!(peer, SocketAddr::new(source.into(), port));
    }
}

#[test]
fn one_port_serves_towards_several_servers() {
    let hung = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = nobody().port();
    let mut driver = driver();
    let ids = hung.each_ref().map(|listener| {
        let addr = listener.local_addr().expect("an address");
        let mut from = impatient(check(smtp(), addr));
        from.target.source_port = Some(port);
        driver.insert(from)
    });
    for id in ids {
        let _ = next_verdict(&mut driver, id);
    }
    for id in ids {
        let history = driver.checker(id).expect("it is there").history();
        assert_eq!(history.failures(Reason::Local), 0);
        assert!(history.failures(Reason::AnswerTimeout) > 0);
    }
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    let addr = server(|mut client| {
        let _ = client.write_all(b"220");
    });
    let mut driver = driver();
    let id = driver.insert(impatient(check(smtp(), addr)));
    while driver.running() == 0 {
        driver.turn(Some(Duration::ZERO), |_| ()).expect("epoll");
    }
    // By now everything has come, and one event tells of it all.
    std::thread::sleep(Duration::from_millis(200));
    let failure = next_verdict(&mut driver, id).expect_err("it is cut off");
    assert_eq!(failure.reason, Reason::Closed);
}

#[test]
fn pages_and_greetings() {
    let web = server(|mut client| {
        read_request(&mut client);
        let _ = client.write_all(PAGE);
    });
    assert_eq!(first_verdict(check(http(), web)), Ok(Passed::Plainly));

    let mail = server(|mut client| {
        let mut line = [0; 512];
        for reply in ["220 hello\r\n", "250 you\r\n", "221 bye\r\n"] {
            let _ = client.write_all(reply.as_bytes());
            let _ = client.read(&mut line);
        }
    });
    assert_eq!(first_verdict(check(smtp(), mail)), Ok(Passed::Plainly));
    let busy = server(|mut client| {
        let _ = client.write_all(b"421 too busy\r\n");
        let _ = client.read(&mut [0; 512]);
    });
    assert_eq!(first_reason(check(smtp(), busy)), Reason::Status);
}

#[test]
fn closed_reset_hung_or_slow() {
    let closed = server(|mut client| {
        read_request(&mut client);
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n");
    });
    assert_eq!(first_reason(check(http(), closed)), Reason::Closed);

    let reset = server(|mut client| {
        let _ = client.read(&mut [0; 4]);
        let client = Socket::from(client);
        client.set_linger(Some(Duration::ZERO)).expect("a socket");
    });
    assert_eq!(first_reason(check(http(), reset)), Reason::Reset);

    // The listener's queue takes the connection; nobody ever answers.
    let hung = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = hung.local_addr().expect("an address");
    for kind in [http(), smtp()] {
        let reason = first_reason(impatient(check(kind, addr)));
        assert_eq!(reason, Reason::AnswerTimeout);
    }
}

/// A server whose answer takes longer than the timeout, though never a single byte of it.
fn dripping() -> Check {
    let addr = server(|mut client| {
        read_request(&mut client);
        for byte in PAGE {
            if client.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(60));
        }
    });
    impatient(check(http(), addr))
}

#[test]
fn a_slow_drip_is_too_slow() {
    assert_eq!(first_reason(dripping()), Reason::AnswerTimeout);
}

#[test]
fn unless_each_step_has_its_time() {
    let mut check = dripping();
    check.timing.each_step = true;
    // Much more than the 60 ms between two bytes, less than the 2.4 s of all: also on a busy machine.
    check.timing.timeout = Duration::from_secs(2);
    assert_eq!(first_verdict(check), Ok(Passed::Plainly));
}

#[test]
fn neither_side_keeps_anything_of_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let addr = listener.local_addr().expect("an address");
    let mut driver = driver();
    let mut fast = check(Kind::Tcp, addr);
    fast.timing.interval = Duration::from_millis(1);
    let id = driver.insert(fast);
    let mut runs = 0;
    turn_until(&mut driver, |_| {
        runs += 1;
        runs == 500
    });
    let found = driver.checker(id).expect("it is there");
    let failures: u64 = Reason::ALL
        .map(|r| found.history().failures(r))
        .iter()
        .sum();
    assert_eq!(failures, 0);
    drop(driver);

    // Local address, remote address, state: 06 is TIME_WAIT.
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let port = format!(":{:04X}", addr.port());
    let waiting = table
        .lines()
        .filter(|l| l.contains(&port) && l.split_whitespace().nth(3) == Some("06"));
    assert_eq!(waiting.count(), 0, "{table}");
    // Most were reset before the server's program could see them; a busy machine lets some through.
    let mut accepted = 0;
    while listener.accept().is_ok() {
        accepted += 1;
    }
    assert!(
        accepted < runs * 9 / 10,
        "{accepted} of {runs} were accepted"
    );
}
