//! Scripts: what their ends mean, how they are ended, and what they leave behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lvs_health::check::{Check, Kind, Script};
use lvs_health::driver::{Driver, Notice, Options};
use lvs_health::{Failure, Passed, Reason};

use crate::bed::{
    PATIENCE, check, driver, elsewhere, first_verdict, next_verdict, nobody, scratch, turn_until,
};

fn program(argv: &[&str]) -> Check {
    let script = Script {
        argv: argv.iter().map(|&a| a.into()).collect(),
        user: None,
        timeout: PATIENCE,
        dynamic: false,
    };
    check(Kind::Script(script), nobody())
}

fn shell(text: &str) -> Check {
    program(&["/bin/sh", "-c", text])
}

fn changed(mut check: Check, change: impl FnOnce(&mut Script)) -> Check {
    if let Kind::Script(script) = &mut check.kind {
        change(script);
    }
    check
}

/// With little time, though enough to begin on a busy machine.
fn hurried(check: Check) -> Check {
    changed(check, |s| s.timeout = Duration::from_secs(2))
}

fn failure(check: Check) -> Failure {
    first_verdict(check).expect_err("a failure")
}

/// Turns the driver until this is so.
fn turn_while(driver: &mut Driver, mut not_yet: impl FnMut(&Driver) -> bool) {
    let start = Instant::now();
    while not_yet(driver) {
        assert!(start.elapsed() < PATIENCE, "it never came to that");
        let turned = driver.turn(Some(Duration::from_millis(20)), |_| ());
        turned.expect("epoll");
    }
}

fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // A dead one that nobody has waited for yet has state Z.
    stat.is_ok_and(|s| !s.contains(") Z "))
}

fn wait_for(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().into(),
            _ => assert!(start.elapsed() < PATIENCE, "no {}", path.display()),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn exit_statuses() {
    let plain = |status: u8| first_verdict(shell(&format!("exit {status}")));
    let dynamic = |status: u8| {
        let check = shell(&format!("exit {status}"));
        first_verdict(changed(check, |s| s.dynamic = true))
    };
    assert_eq!(plain(0), Ok(Passed::Plainly));
    for status in [1, 2, 255] {
        let failure = plain(status).expect_err("a failure");
        assert_eq!(failure.reason, Reason::Exit);
        assert_eq!(failure.detail, format!("status {status}"));
    }
    assert_eq!(dynamic(0), Ok(Passed::Plainly));
    assert_eq!(dynamic(1).map_err(|f| f.reason), Err(Reason::Exit));
    assert_eq!(dynamic(2), Ok(Passed::Weighing(0)));
    assert_eq!(dynamic(10), Ok(Passed::Weighing(8)));
    assert_eq!(dynamic(255), Ok(Passed::Weighing(253)));
    let killed = failure(shell("kill -9 $$"));
    assert_eq!(killed.to_string(), "script failed: killed by signal 9");
}

#[test]
fn what_cannot_be_run_says_nothing_about_the_server() {
    for argv in [
        &["/no/such/program"][..],
        &["/etc/passwd"],
        &[],
        &["/bin/\0"],
    ] {
        let failure = failure(program(argv));
        assert_eq!(failure.reason, Reason::Local, "{argv:?}: {failure}");
    }
}

#[test]
fn the_end_of_what_it_says_is_told() {
    let said = failure(shell("echo one; printf 'two \\033[31m' >&2; exit 3"));
    assert_eq!(said.detail, r"status 3: one | two \u{1b}[31m");
    let much = failure(shell("yes | head -c 5000000; echo the end; exit 1"));
    assert!(much.detail.ends_with("y | the end"), "{much}");
    assert!(much.detail.len() < 4096);
}

#[test]
fn whom_it_runs_as() {
    let path = scratch("given");
    fs::write(&path, "").expect("a file");
    let anybody = fs::Permissions::from_mode(0o666);
    fs::set_permissions(&path, anybody).expect("a file");
    let text = format!(
        "{{ read line; echo \"input:$line\"; id -u; id -g; id -G; ps -o pgid= -p $$; echo $$; }} > {}",
        path.display()
    );
    let as_nobody = changed(shell(&text), |s| s.user = Some((65534, 65533)));
    assert_eq!(first_verdict(as_nobody), Ok(Passed::Plainly));
    let given = fs::read_to_string(&path).expect("its output");
    let lines: Vec<_> = given.lines().map(str::trim).collect();
    let [input, user, group, groups, leader, pid] = lines[..] else {
        panic!("{given}");
    };
    assert_eq!(input, "input:");
    assert_eq!((user, group, groups), ("65534", "65533", "65533"));
    assert_eq!(leader, pid, "a process group of its own");
}

#[test]
fn its_environment() {
    let test = "scripts::inside_a_process_with_an_odd_environment";
    let odd = [
        "env",
        "IFS=x",
        "LD_PRELOAD=",
        "LD_LIBRARY_PATH=/",
        "OTHER=1",
    ];
    let output = elsewhere(&odd, test);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the test above, with an environment of its own"]
fn inside_a_process_with_an_odd_environment() {
    // printenv passes if there is such a variable.
    for unwanted in ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"] {
        assert!(std::env::var_os(unwanted).is_some());
        let failure = failure(program(&["printenv", unwanted]));
        assert_eq!(failure.detail, "status 1", "{unwanted}");
    }
    let verdict = first_verdict(program(&["printenv", "OTHER"]));
    assert_eq!(verdict, Ok(Passed::Plainly));
}

#[test]
fn one_that_takes_too_long_is_ended() {
    let path = scratch("pid");
    let text = format!(
        "echo waiting; echo $$ > {}; exec sleep 1000",
        path.display()
    );
    let mut driver = driver();
    let id = driver.insert(hurried(shell(&text)));
    let failure = next_verdict(&mut driver, id).expect_err("time was over");
    assert_eq!(
        failure.to_string(),
        "no complete answer in time: still runs after 2 s: waiting"
    );
    driver.remove(id);
    turn_while(&mut driver, |d| d.scripts_running() > 0);
    assert!(!alive(&wait_for(&path)));
}

#[test]
fn one_that_ignores_being_asked_to_end_is_killed() {
    let path = scratch("stubborn");
    let text = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done",
        path.display()
    );
    let mut driver = driver();
    let start = Instant::now();
    let id = driver.insert(hurried(shell(&text)));
    let reason = next_verdict(&mut driver, id)
        .expect_err("time was over")
        .reason;
    assert_eq!(reason, Reason::AnswerTimeout);
    driver.remove(id);
    assert_eq!(driver.scripts_running(), 1);
    turn_while(&mut driver, |d| d.scripts_running() > 0);
    assert!(
        start.elapsed() >= Duration::from_secs(4),
        "it had its grace"
    );
    assert!(!alive(&wait_for(&path)));
}

#[test]
fn what_it_has_started_is_ended_with_it() {
    let [asked, stubborn] = [scratch("child"), scratch("stubborn-child")];
    let text = format!(
        "sleep 1000 & echo $! > {}; (trap '' TERM; while :; do sleep 0.1; done) & echo $! > {}; wait",
        asked.display(),
        stubborn.display()
    );
    let mut driver = driver();
    let id = driver.insert(hurried(shell(&text)));
    assert!(next_verdict(&mut driver, id).is_err());
    driver.remove(id);
    turn_while(&mut driver, |d| d.scripts_running() > 0);
    for path in [asked, stubborn] {
        let pid = wait_for(&path);
        turn_while(&mut driver, |_| alive(&pid));
    }
}

#[test]
fn what_a_script_leaves_behind_may_go_on() {
    let path = scratch("background");
    let text = format!("sleep 1000 & echo $! > {}", path.display());
    let mut driver = driver();
    let mut once = shell(&text);
    once.timing.interval = PATIENCE;
    let id = driver.insert(once);
    // It holds the pipe open; the script has ended all the same.
    assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
    drop(driver);
    let pid = wait_for(&path);
    assert!(alive(&pid));
    let killed = std::process::Command::new("kill").arg(&pid).status();
    assert!(killed.is_ok_and(|s| s.success()));
}

#[test]
fn nothing_outlives_the_driver() {
    let path = scratch("orphan");
    let text = format!("echo $$ > {}; exec sleep 1000", path.display());
    let mut driver = driver();
    driver.insert(shell(&text));
    turn_while(&mut driver, |_| !path.exists());
    let pid = wait_for(&path);
    assert!(alive(&pid));
    drop(driver);
    let start = Instant::now();
    while alive(&pid) {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_more_than_allowed_run_at_once() {
    let mut options = Options::default();
    options.max_scripts = 3;
    let mut driver = Driver::new(options, 1).expect("epoll");
    let tcp = driver.insert(check(Kind::Tcp, nobody()));
    for _ in 0..12 {
        let mut once = shell("sleep 0.2");
        once.timing.interval = PATIENCE;
        driver.insert(once);
    }
    let (mut scripts, mut others, mut most) = (0, 0, 0);
    turn_while(&mut driver, |d| {
        most = most.max(d.scripts_running());
        others = d.checker(tcp).map_or(0, |c| c.history().runs());
        scripts = d.script_lateness().runs();
        scripts < 12 || d.scripts_running() > 0
    });
    assert_eq!(most, 3);
    assert!(others > 3, "scripts that wait hold up nobody: {others}");
    assert_eq!(driver.notice(), Some(Notice::CrowdedScripts { limit: 3 }));
    assert_eq!(driver.notice(), None, "said once");
    assert!(driver.script_lateness().worst() >= Duration::from_millis(100));
}

#[test]
fn one_that_says_much_waits_for_nobody_and_nobody_for_it() {
    let mut driver = driver();
    let noisy = driver.insert(hurried(shell("exec yes")));
    let tcp = driver.insert(check(Kind::Tcp, nobody()));
    let mut runs = 0;
    turn_until(&mut driver, |ended| {
        runs += u32::from(ended.id == tcp);
        ended.id == noisy
    });
    assert!(runs > 0);
}
