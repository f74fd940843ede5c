//! Networks and lines of configuration for tests.

use std::path::Path;
use std::process::Command;

use lvs_fwd::io::namespace::enter_new_network;

use crate::keepalived::diagnostic::Severity;
use crate::keepalived::host::FakeHost;
use crate::keepalived::model::Vrrp;
use crate::keepalived::{Loaded, Options, load};

/// Runs a test in a network of its own, with an interface `v0` at 10.9.0.1/24 and fe80::1, and its other end `v1`.
pub(super) fn in_new_network(test: impl FnOnce() + Send) {
    let run = || {
        enter_new_network().unwrap();
        for words in [
            "link set lo up",
            "link add v0 type veth peer name v1",
            "link set v0 up",
            "link set v1 up",
            "address add 10.9.0.1/24 dev v0",
            "address add fe80::1/64 dev v0 nodad",
        ] {
            run_in_words("ip", words).unwrap();
        }
        test();
    };
    std::thread::scope(|s| s.spawn(run).join().unwrap());
}

/// What a command prints, or why it fails.
pub(super) fn run_in_words(command: &str, words: &str) -> Result<String, String> {
    let words = words.split_whitespace();
    let output = Command::new(command).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// What comes of lines of a block, without a word of complaint.
pub(super) fn configured(block: &str, lines: &str) -> Vrrp {
    const FILE: &str = "/etc/keepalived/keepalived.conf";
    let text = format!("{block} {{\n{lines}\n}}\n");
    let host = FakeHost::default().with_file(FILE, &text);
    let Loaded {
        config,
        diagnostics,
        ..
    } = load(Path::new(FILE), &Options::default(), &host);
    let wrong: Vec<_> = diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .collect();
    assert!(wrong.is_empty(), "{lines}: {wrong:?}");
    config.vrrp
}
