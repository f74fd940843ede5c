//! Checks come, change and go while others run.

use std::time::{Duration, Instant};

use lvs_health::check::Kind;
use lvs_health::{Checker, Passed, Reason};

use crate::bed::{check, driver, impatient, next_verdict, nobody, server, turn_until};

#[test]
fn a_check_is_gone_when_it_was_removed() {
    let mut driver = driver();
    let addr = nobody();
    let id = driver.insert(check(Kind::Tcp, addr));
    assert!(next_verdict(&mut driver, id).is_err());
    assert_eq!(driver.len(), 1);
    let checker = driver.remove(id).expect("it was there");
    assert_eq!(checker.history().failures(Reason::Refused), 1);
    assert!(driver.is_empty());

    // Its place is taken by another, which does not answer to its name.
    let other = driver.insert(check(Kind::Tcp, addr));
    assert_ne!(other, id);
    assert!(driver.checker(id).is_none() && driver.check(id).is_none());
    assert!(driver.remove(id).is_none());
    assert!(!driver.suspend(id, true) && !driver.replace(id, check(Kind::Tcp, addr)));
    turn_until(&mut driver, |ended| {
        assert_eq!(ended.id, other);
        true
    });
}

#[test]
fn what_was_known_is_carried_over() {
    let mut driver = driver();
    let down = check(Kind::Tcp, nobody());
    let id = driver.insert(down.clone());
    let _ = next_verdict(&mut driver, id);
    let checker = driver.remove(id).expect("it was there");
    assert!(!checker.standing().up);
    let id = driver.insert_with(down, checker);
    assert!(!driver.checker(id).expect("it is there").standing().up);
    let _ = next_verdict(&mut driver, id);
    assert_eq!(driver.checker(id).map(|c| c.history().runs()), Some(2));
}

#[test]
fn a_change_gives_up_the_run_under_way_and_an_equal_one_does_not() {
    let hung = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = hung.local_addr().expect("an address");
    let mut driver = driver();
    let before = impatient(check(crate::bed::smtp(), addr));
    let id = driver.insert(before.clone());
    while driver.running() == 0 {
        driver.turn(Some(Duration::ZERO), |_| ()).expect("epoll");
    }
    assert!(driver.replace(id, before));
    assert_eq!(driver.running(), 1);
    assert!(driver.replace(id, check(Kind::Tcp, server(drop))));
    assert_eq!(driver.running(), 0);
    assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
    assert_eq!(driver.checker(id).map(|c| c.history().runs()), Some(1));
    // From a socket to a file and back: two agendas.
    let script = lvs_health::check::Script {
        argv: vec!["/bin/true".into()],
        user: None,
        timeout: Duration::from_secs(60),
        dynamic: false,
    };
    assert!(driver.replace(id, check(Kind::Script(script), addr)));
    assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
    assert!(driver.replace(id, check(Kind::Tcp, nobody())));
    let failure = next_verdict(&mut driver, id).expect_err("nobody is there");
    assert_eq!(failure.reason, Reason::Refused);
}

#[test]
fn a_suspended_check_does_not_run_and_keeps_its_state() {
    let mut driver = driver();
    let addr = nobody();
    let [id, other] = [(); 2].map(|()| driver.insert(check(Kind::Tcp, addr)));
    let _ = next_verdict(&mut driver, id);
    assert!(driver.suspend(id, true));
    let runs = driver.checker(id).map(|c| c.history().runs());
    let mut others = 0;
    turn_until(&mut driver, |ended| {
        assert_eq!(ended.id, other);
        others += 1;
        others == 5
    });
    assert_eq!(driver.checker(id).map(|c| c.history().runs()), runs);
    assert!(!driver.checker(id).expect("it is there").standing().up);
    assert!(driver.suspend(id, false));
    assert!(next_verdict(&mut driver, id).is_err());
}

#[test]
fn a_suspended_run_is_given_up() {
    let hung = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = hung.local_addr().expect("an address");
    let mut driver = driver();
    let id = driver.insert(check(crate::bed::smtp(), addr));
    while driver.running() == 0 {
        driver.turn(Some(Duration::ZERO), |_| ()).expect("epoll");
    }
    driver.suspend(id, true);
    assert_eq!(driver.running(), 0);
    assert_eq!(driver.checker(id).map(|c| c.history().runs()), Some(0));
}

#[test]
fn another_thread_can_end_a_turn() {
    let mut driver = driver();
    let waker = driver.waker();
    let start = Instant::now();
    let waking = std::thread::spawn(move || waker.wake());
    driver.turn(None, |_| ()).expect("epoll");
    waking.join().expect("no panic").expect("a wake-up");
    assert!(start.elapsed() < crate::bed::PATIENCE);
}

#[test]
fn nothing_runs_before_its_time() {
    let mut driver = driver();
    let mut later = check(Kind::Tcp, nobody());
    later.timing.interval = Duration::from_millis(300);
    let start = driver.now();
    let id = driver.insert(later.clone());
    for nth in 0..3 {
        let _ = next_verdict(&mut driver, id);
        let run = driver.checker(id).and_then(|c| c.history().last().cloned());
        let began = run.map(|r| r.at - r.took).expect("it has run");
        assert!(began >= start + later.timing.interval * nth, "{nth}");
    }
    // A checker that knows when it is due is not asked at random.
    let checker: Checker = driver.remove(id).expect("it is there");
    let due = checker.due().expect("it has run");
    let id = driver.insert_with(later, checker);
    let _ = next_verdict(&mut driver, id);
    let run = driver.checker(id).and_then(|c| c.history().last().cloned());
    assert!(run.is_some_and(|r| r.at - r.took >= due));
}
