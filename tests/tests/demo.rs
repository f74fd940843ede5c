//! `lvsd demo`: for root and for everybody, and nothing is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tests::Process;
use tests::command::{eventually, lvsd, output, run, text};
use tests::process::PATIENCE;

const NOBODY: &str = "65534";

/// What a demo could leave behind: named namespaces, interfaces, and processes of its session.
fn traces(session: Option<u32>) -> (String, String, String) {
    let processes = session.map(|id| text(&output(&["pgrep", "-s", &id.to_string()], "").stdout));
    (
        run(&["ip", "netns", "list"]),
        run(&["ip", "-br", "link"]),
        processes.unwrap_or_default(),
    )
}

/// A copy of lvsd that anybody may run, removed when dropped.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let copy = std::env::temp_dir().join(format!("lvs-e2e-{}-demo", std::process::id()));
        fs::copy(lvsd(), &copy).expect("the temporary folder can be written to");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Left for the system to clean up if it cannot be removed.
        let _ = fs::remove_file(&self.0);
    }
}

#[track_caller]
fn assert_succeeds(argv: &[&str]) {
    let before = traces(None);
    let out = output(&[&["timeout", "90"], argv].concat(), "");
    let table = text(&out.stdout);
    assert!(out.status.success(), "{table}{}", text(&out.stderr));
    for method in ["NAT", "DR", "TUN", "FullNAT"] {
        assert!(table.contains(method), "no {method} in: {table}");
    }
    assert_eq!(traces(None), before);
}

/// The demos take turns: they are about the same namespaces and the same processors.
#[test]
fn the_demo_succeeds_and_leaves_nothing() {
    assert_succeeds(&[&lvsd(), "demo"]);

    let copy = Copy::new();
    let path = copy.0.to_str().expect("a path in UTF-8");
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    assert_succeeds(&["setpriv", &user, &group, "--clear-groups", path, "demo"]);

    for signal in ["INT", "TERM"] {
        interrupted_it_leaves_nothing(signal);
    }
}

fn interrupted_it_leaves_nothing(signal: &str) {
    let before = traces(None);
    let log = std::env::temp_dir().join(format!("lvs-e2e-{}-demo.log", std::process::id()));
    let mut demo = Process::here("demo", &log, &["setsid", &lvsd(), "demo"]);
    let session = Some(demo.pid());
    // It has built its network and is in the midst of traffic.
    demo.await_saying("NAT");
    assert!(!demo.has_ended(), "{}", demo.said());
    demo.signal(signal);
    let status = demo.await_end();
    assert!(
        !status.success(),
        "an interrupted demo has not shown that all is right"
    );
    let gone = || traces(session) == before;
    assert!(eventually(PATIENCE, gone), "{:?}", traces(session));
    fs::remove_file(log).expect("the log is ours");
}
