//! A network for tests.

#![expect(unsafe_code, reason = "a system call is declared unsafe")]

/// Runs a test in a network of its own, on a thread of its own.
pub(crate) fn in_new_network(test: impl FnOnce() + Send) {
    let run = || {
        // SAFETY: takes no pointers; what the thread shares with others, but for the network, stays shared.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        test();
    };
    std::thread::scope(|s| s.spawn(run).join().unwrap());
}
