//! Many checks at once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use lvs_health::check::{Check, Kind};
use lvs_health::driver::{Driver, Notice, Options};
use lvs_health::{Passed, Reason};

use crate::bed::{PATIENCE, check, driver, elsewhere, http, nobody, server, smtp};

/// Turns the driver until each check has run so often.
fn turn_until_all_ran(driver: &mut Driver, ids: &[lvs_health::CheckId], times: u64) {
    let start = Instant::now();
    let runs = |d: &Driver, id| d.checker(id).map_or(0, |c| c.history().runs());
    while ids.iter().any(|&id| runs(driver, id) < times) {
        assert!(start.elapsed() < 2 * PATIENCE, "not all have run");
        for _ in 0..100 {
            let turned = driver.turn(Some(Duration::from_millis(10)), |_| ());
            turned.expect("epoll");
        }
    }
}

#[test]
fn two_thousand_at_once() {
    let good = server(|mut client| {
        let _ = client.read(&mut [0; 512]);
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\nOK");
    });
    let hung = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hung_addr = hung.local_addr().expect("an address");
    let gone = nobody();
    let mut driver = driver();
    let spread = |mut check: Check| {
        check.timing.interval = Duration::from_secs(2);
        check.timing.warmup = Duration::from_secs(2);
        check.timing.timeout = Duration::from_secs(8);
        check
    };
    let mut ids = [const { Vec::new() }; 4];
    for n in 0..2000 {
        let (kind, addr) = match n % 4 {
            0 => (Kind::Tcp, good),
            1 => (http(), good),
            2 => (Kind::Tcp, gone),
            // These are all under way at the same time.
            _ => (smtp(), hung_addr),
        };
        ids[n % 4].push(driver.insert(spread(check(kind, addr))));
    }
    let [tcp, pages, refused, waiting] = ids;
    turn_until_all_ran(
        &mut driver,
        &[tcp.clone(), pages.clone(), refused.clone()].concat(),
        2,
    );
    let last = |id| driver.checker(id).and_then(|c| c.history().last());
    for id in [tcp, pages].concat() {
        assert_eq!(last(id).map(|r| &r.verdict), Some(&Ok(Passed::Plainly)));
    }
    for id in refused {
        let failure = last(id).and_then(|r| r.verdict.as_ref().err());
        assert_eq!(failure.map(|f| f.reason), Some(Reason::Refused));
    }
    drop(hung);
    // Who was accepted by nobody is reset now.
    turn_until_all_ran(&mut driver, &waiting, 1);
    assert_eq!(driver.notice(), None);
    assert!(driver.lateness().runs() >= 6000 / 2);
}

#[test]
fn beyond_the_limit_of_probes_all_have_their_turn() {
    let hung = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = hung.local_addr().expect("an address");
    let mut options = Options::default();
    options.max_probes = 5;
    let mut driver = Driver::new(options, 1).expect("epoll");
    let ids: Vec<_> = (0..20)
        .map(|_| {
            let mut slow = check(smtp(), addr);
            slow.timing.timeout = Duration::from_millis(50);
            slow.timing.interval = PATIENCE;
            driver.insert(slow)
        })
        .collect();
    let mut most = 0;
    let start = Instant::now();
    while driver.lateness().runs() < 20 || driver.running() > 0 {
        assert!(start.elapsed() < PATIENCE);
        most = most.max(driver.running());
        driver
            .turn(Some(Duration::from_millis(10)), |_| ())
            .expect("epoll");
    }
    assert_eq!(most, 5);
    for id in ids {
        assert_eq!(driver.checker(id).map(|c| c.history().runs()), Some(1));
    }
    assert!(driver.lateness().worst() >= Duration::from_millis(140));
    let notice = driver.notice().expect("it is crowded");
    assert_eq!(notice, Notice::CrowdedProbes { limit: 5 });
    assert!(notice.to_string().starts_with("5 checks"), "{notice}");
    assert_eq!(driver.notice(), None, "said once");
}

#[test]
fn few_descriptors() {
    let test = "scale::inside_a_process_with_few_descriptors";
    let output = elsewhere(&["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""], test);
    assert!(output.contains("1 passed"), "{output}");
    // A soft limit is raised as far as the hard one allows.
    let test = "scale::inside_a_process_with_a_low_soft_limit";
    let output = elsewhere(&["sh", "-c", "ulimit -Sn 40; exec \"$0\" \"$@\""], test);
    assert!(output.contains("1 passed"), "{output}");
}

fn hung_checks(count: u32) -> (TcpListener, Vec<Check>) {
    let hung = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = hung.local_addr().expect("an address").port();
    let checks = (1..=count).map(|n| {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(127, 3, 0, 0).to_bits() + n);
        let mut check = check(smtp(), SocketAddr::new(ip.into(), port));
        check.timing.timeout = Duration::from_millis(500);
        check.timing.interval = PATIENCE;
        check
    });
    (hung, checks.collect())
}

#[test]
#[ignore = "run by the test above, under a limit of its own"]
fn inside_a_process_with_few_descriptors() {
    // Also what the driver does not count takes some, so that there are fewer than it thinks.
    let (_hung, checks) = hung_checks(100);
    let others: Vec<_> = (0..12)
        .map_while(|_| std::fs::File::open("/dev/null").ok())
        .collect();
    let mut driver = driver();
    let ids: Vec<_> = checks.into_iter().map(|c| driver.insert(c)).collect();
    turn_until_all_ran(&mut driver, &ids, 1);
    for &id in &ids {
        let history = driver.checker(id).expect("it is there").history();
        assert_eq!(history.failures(Reason::AnswerTimeout), 1);
        assert_eq!(history.failures(Reason::Local), 0);
    }
    assert!(matches!(
        driver.notice(),
        Some(Notice::CrowdedProbes { .. })
    ));
    drop(others);
}

#[test]
#[ignore = "run by a test above, under a limit of its own"]
fn inside_a_process_with_a_low_soft_limit() {
    let (_hung, checks) = hung_checks(200);
    let mut driver = driver();
    let ids: Vec<_> = checks.into_iter().map(|c| driver.insert(c)).collect();
    let start = Instant::now();
    while driver.running() < 200 {
        assert!(start.elapsed() < PATIENCE);
        // All run at once, although 40 descriptors were allowed at first.
        driver.turn(Some(Duration::ZERO), |_| ()).expect("epoll");
    }
    turn_until_all_ran(&mut driver, &ids, 1);
    assert_eq!(driver.notice(), None);
}
