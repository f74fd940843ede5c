//! Running programs to their end.
//!
//! A test that goes on after a failed command fails later and elsewhere, so [`run`] panics at once, with
//! what the program said.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `argv` and returns its standard output.
///
/// # Panics
/// If the program is missing or fails.
pub fn run(argv: &[&str]) -> String {
    succeeded(argv, &output(argv, ""))
}

/// Runs `argv` with `input` on its standard input and returns its standard output.
///
/// # Panics
/// If the program is missing or fails.
pub fn run_with(argv: &[&str], input: &str) -> String {
    succeeded(argv, &output(argv, input))
}

/// Runs `argv`, whatever comes of it.
///
/// # Panics
/// If the program is missing.
pub fn output(argv: &[&str], input: &str) -> Output {
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {}: {e} (scripts/test installs it)", argv[0]));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A program that does not read its input closes the pipe early, which is its own affair.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child
        .wait_with_output()
        .expect("the child can be waited for")
}

fn succeeded(argv: &[&str], out: &Output) -> String {
    assert!(
        out.status.success(),
        "`{}` failed ({}): {}{}",
        argv.join(" "),
        out.status,
        text(&out.stdout),
        text(&out.stderr),
    );
    text(&out.stdout)
}

/// What a program wrote, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asks `done` every 20 ms until it says yes; false after `limit`.
pub fn eventually(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The helper binary of this crate, which cargo builds beside the tests.
///
/// # Panics
/// If it is not there.
pub fn peer() -> String {
    built(&target_dir("debug").join("peer"), "cargo build -p tests")
}

/// The daemon under test: `$LVSD`, or the release build of this workspace.
///
/// # Panics
/// If it is not there.
pub fn lvsd() -> String {
    match std::env::var_os("LVSD") {
        Some(path) => built(&PathBuf::from(path), "set LVSD to the path of lvsd"),
        None => built(
            &target_dir("release").join("lvsd"),
            "cargo build --release -p lvsd",
        ),
    }
}

/// The folder of `profile` in the target folder this test was built in; for "debug" that of the test's
/// own profile, whatever it is.
fn target_dir(profile: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own path");
    let own = exe
        .ancestors()
        .find(|dir| dir.ends_with("deps"))
        .and_then(|deps| deps.parent())
        .expect("tests are built in PROFILE/deps")
        .to_owned();
    if profile == "debug" {
        own
    } else {
        own.with_file_name(profile)
    }
}

fn built(path: &std::path::Path, how: &str) -> String {
    assert!(
        path.is_file(),
        "{} is missing: {how}, or run scripts/test",
        path.display()
    );
    path.to_str().expect("a path in UTF-8").to_owned()
}
