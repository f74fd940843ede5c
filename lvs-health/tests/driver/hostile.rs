//! Servers that mean harm, or are so broken that they might as well: nobody else must feel them.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use lvs_health::check::Kind;
use lvs_health::{Passed, Reason};

use crate::bed::{
    check, dns, driver, first_reason, http, impatient, server, smtp, timing, turn_until,
};

/// Sends without end, as fast as it is taken, to many at a time.
fn endless(beginning: &'static [u8], rest: &'static [u8]) -> SocketAddr {
    server(move |mut client| {
        thread::spawn(move || {
            let _ = client.write_all(beginning);
            while client.write_all(rest).is_ok() {}
        });
    })
}

#[test]
fn answers_without_end() {
    let rubbish = endless(b"", &[b'x'; 8192]);
    let header = endless(b"HTTP/1.0 200 OK\r\n", b"X-Header: and another one\r\n");
    for addr in [rubbish, header] {
        let reason = first_reason(check(http(), addr));
        assert!(
            matches!(reason, Reason::TooLong | Reason::Malformed),
            "{reason:?}"
        );
    }
    for lines in [endless(b"", &[b'2'; 8192]), endless(b"", b"250-more\r\n")] {
        let reason = first_reason(check(smtp(), lines));
        assert_ne!(reason, Reason::Local);
    }
}

#[test]
fn endless_senders_hold_up_nobody() {
    let flood = endless(b"HTTP/1.0 200 OK\r\n\r\n", &[b'x'; 65536]);
    let hung = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let hung = hung.local_addr().map(|addr| (hung, addr)).expect("a port");
    let good = server(|mut client| {
        let _ = client.read(&mut [0; 512]);
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\nOK");
    });
    let mut driver = driver();
    for _ in 0..20 {
        driver.insert(check(http(), flood));
        driver.insert(impatient(check(smtp(), hung.1)));
    }
    let id = driver.insert(check(http(), good));
    let mut passed = 0;
    turn_until(&mut driver, |ended| {
        if ended.id == id {
            let run = ended.checker.history().last().expect("it has run");
            assert_eq!(run.verdict, Ok(Passed::Plainly));
            passed += 1;
        }
        passed == 20
    });
}

#[test]
fn datagrams_that_are_no_answer() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("an address");
    thread::spawn(move || {
        while let Ok((_, client)) = socket.recv_from(&mut [0; 512]) {
            for n in 0..200 {
                let _ = socket.send_to(&vec![0x80; n], client);
            }
        }
    });
    let mut driver = driver();
    let id = driver.insert(impatient(check(dns(), addr)));
    turn_until(&mut driver, |ended| {
        assert_eq!(ended.id, id);
        let run = ended.checker.history().last().expect("it has run");
        let failure = run.verdict.as_ref().expect_err("no answer came");
        assert_eq!(failure.reason, Reason::AnswerTimeout);
        true
    });
}

#[test]
fn who_never_reads_gets_no_more() {
    let addr = server(|mut client| {
        // Greets without end and never reads what it is answered.
        thread::spawn(move || while client.write_all(b"220 hello\r\n250 ok\r\n").is_ok() {});
    });
    let mut driver = driver();
    let mut greedy = check(smtp(), addr);
    greedy.timing = timing();
    driver.insert(greedy);
    driver.insert(impatient(check(Kind::Tcp, addr)));
    let mut runs = 0;
    turn_until(&mut driver, |_| {
        runs += 1;
        runs == 50
    });
    assert!(driver.running() <= 2);
    assert_eq!(driver.turn(Some(Duration::ZERO), |_| ()).ok(), Some(()));
}
