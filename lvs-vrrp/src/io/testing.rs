//! A network for tests.

#![expect(unsafe_code, reason = "a system call is declared unsafe")]

use std::process::Command;

/// Runs a test in a network of its own, on a thread of its own.
pub(crate) fn in_new_network(test: impl FnOnce() + Send) {
    let run = || {
        // SAFETY: takes no pointers; what the thread shares with others, but for the network, stays shared.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        test();
    };
    std::thread::scope(|s| s.spawn(run).join().unwrap());
}

/// Runs `ip` with these words, which must succeed, and returns what it says.
pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip")
        .args(words.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "ip {words}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A pair of interfaces that are connected with each other, `va` and `vb`, both switched on. Returns their numbers.
pub(crate) fn pair() -> [u32; 2] {
    ip("link set lo up");
    ip("link add index 10 name va type veth peer index 11 name vb");
    ip("link set va up");
    ip("link set vb up");
    [10, 11]
}
