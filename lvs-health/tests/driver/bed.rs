//! What the tests share: checks, a loop that turns a driver until something has been seen, and peers.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lvs_health::check::{Check, Http, HttpVersion, Kind, Page, Target, Timing};
use lvs_health::driver::{CheckId, Driver, Ended, Options};
use lvs_health::{Reason, Verdict};

/// However busy the machine is, nothing here takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn driver() -> Driver {
    Driver::new(Options::default(), 1).expect("epoll")
}

/// At once, and every 50 ms.
pub(crate) fn timing() -> Timing {
    Timing {
        interval: Duration::from_millis(50),
        timeout: PATIENCE,
        retries: 0,
        warmup: Duration::ZERO,
        ..Timing::default()
    }
}

pub(crate) fn check(kind: Kind, addr: SocketAddr) -> Check {
    Check {
        kind,
        target: Target::new(addr),
        timing: timing(),
        alpha: false,
    }
}

/// With a timeout that will be met.
pub(crate) fn impatient(mut check: Check) -> Check {
    check.timing.timeout = Duration::from_millis(300);
    check
}

/// Turns the driver until `seen` says so of a run that has ended.
pub(crate) fn turn_until(driver: &mut Driver, mut seen: impl FnMut(&Ended<'_>) -> bool) {
    let start = Instant::now();
    let mut over = false;
    while !over {
        assert!(start.elapsed() < PATIENCE, "nothing of the kind happened");
        let turned = driver.turn(Some(Duration::from_millis(100)), |ended| {
            over |= seen(&ended);
        });
        turned.expect("epoll");
    }
}

/// What the check's next run finds.
pub(crate) fn next_verdict(driver: &mut Driver, id: CheckId) -> Verdict {
    let mut verdict = None;
    turn_until(driver, |ended| {
        if ended.id == id {
            verdict = ended.checker.history().last().map(|r| r.verdict.clone());
        }
        verdict.is_some()
    });
    verdict.expect("a run has a verdict")
}

/// What a check finds at its first run.
pub(crate) fn first_verdict(check: Check) -> Verdict {
    let mut driver = driver();
    let id = driver.insert(check);
    next_verdict(&mut driver, id)
}

pub(crate) fn first_reason(check: Check) -> Reason {
    first_verdict(check).expect_err("a failure").reason
}

/// A server that does this with each of its connections, one after the other.
pub(crate) fn server(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            serve(client);
        }
    });
    addr
}

/// Reads what a client sends before the blank line that ends a request.
pub(crate) fn read_request(client: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1..) => request.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// A port that nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

pub(crate) fn http() -> Kind {
    Kind::Http(Http {
        pages: vec![Page {
            path: "/".into(),
            host: None,
            digest: None,
            status: Vec::new(),
            pattern: None,
        }],
        version: HttpVersion::V1_0,
        tls: None,
        fast_recovery: false,
    })
}

pub(crate) fn smtp() -> Kind {
    Kind::Smtp {
        helo: "checker.example".into(),
    }
}

pub(crate) fn dns() -> Kind {
    Kind::Dns {
        record: 6,
        name: "example.org".into(),
    }
}

/// A path that is nobody else's, at which nothing is.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lvs-health-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    path
}

/// Runs one of this program's ignored tests in a process of its own, which `wrapper` prepares, and returns what it says.
pub(crate) fn elsewhere(wrapper: &[&str], test: &str) -> String {
    let this = std::env::current_exe().expect("a program");
    let (program, arguments) = wrapper.split_first().expect("a program");
    let output = Command::new(program)
        .args(arguments)
        .arg(this)
        .args(["--ignored", "--exact", "--test-threads=1", test])
        .output()
        .expect("a process");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
