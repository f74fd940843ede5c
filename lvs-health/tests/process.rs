//! Programs that are started: what they get, and what they do not.

use std::fs::File;
use std::io::{ErrorKind, Read, pipe};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use lvs_health::process::{Process, Program};

const PATIENCE: Duration = Duration::from_secs(60);

fn words(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|&a| a.into()).collect()
}

fn end(process: &mut Process) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = process.try_wait().expect("our child") {
            return status;
        }
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(1));
    }
}

/// What a shell says that runs this text.
fn said(text: &str, change: impl FnOnce(&mut Program<'_>)) -> String {
    let (mut reader, writer) = pipe().expect("a pipe");
    let argv = words(&["/bin/sh", "-c", text]);
    let mut program = Program::new(&argv);
    change(&mut program);
    program.output = Some(writer.as_fd());
    let mut process = program.start().expect("a shell");
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("its output");
    assert_eq!(end(&mut process).code(), Some(0), "{said}");
    said
}

#[test]
fn exit_statuses_and_signals() {
    for (text, raw) in [("exit 0", 0), ("exit 255", 255 << 8), ("kill -9 $$", 9)] {
        let argv = words(&["/bin/sh", "-c", text]);
        let mut process = Program::new(&argv).start().expect("a shell");
        assert_eq!(end(&mut process), ExitStatus::from_raw(raw), "{text}");
        assert_eq!(end(&mut process), ExitStatus::from_raw(raw), "again");
    }
}

#[test]
fn what_cannot_be_started() {
    let name = format!("/tmp/lvs-health-{}-no-program", std::process::id());
    std::fs::write(&name, "").expect("a file");
    for (argv, kind) in [
        (&["/no/such/program"][..], ErrorKind::NotFound),
        (&["no-such-program-anywhere"], ErrorKind::NotFound),
        (&["/etc/passwd/x"], ErrorKind::NotFound),
        (&[&*name], ErrorKind::PermissionDenied),
        (&["/"], ErrorKind::PermissionDenied),
        (&[""], ErrorKind::InvalidInput),
        (&[], ErrorKind::InvalidInput),
        (&["/bin/true", "a\0b"], ErrorKind::InvalidInput),
    ] {
        let argv = words(argv);
        let error = Program::new(&argv).start().expect_err("no program");
        assert_eq!(error.kind(), kind, "{argv:?}: {error}");
    }
    std::fs::remove_file(name).expect("a file");
    // Nobody is left to be waited for: neither alive nor dead.
    let children = format!("/proc/self/task/{}/children", std::process::id());
    if let Ok(children) = std::fs::read_to_string(children) {
        for child in children.split_whitespace() {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
            assert!(!stat.is_ok_and(|s| s.contains(") Z ")), "{child}");
        }
    }
}

#[test]
fn variables() {
    let text = "echo $EVENT; echo $PATH; env | grep -c ^PATH=";
    let said = said(text, |p| {
        p.variables = &[("EVENT", "up"), ("PATH", "/usr/bin:/bin")];
    });
    assert_eq!(said, "up\n/usr/bin:/bin\n1\n");
}

#[test]
fn nothing_of_ours_but_what_it_should_have() {
    // Also one that would not close by itself.
    let open = File::open("/dev/null").expect("a file");
    let kept = socket2::Socket::from(
        open.try_clone()
            .map(std::os::fd::OwnedFd::from)
            .expect("a file"),
    );
    kept.set_cloexec(false).expect("a descriptor");
    assert!(kept.as_raw_fd() > 2);
    let text = "ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0; \
                grep -E 'SigBlk|SigIgn' /proc/self/status";
    let said = said(text, |_| ());
    // ls has one for the folder itself.
    let none = "0000000000000000";
    let expected = format!("0 1 2 3 /dev/null\nSigBlk:\t{none}\nSigIgn:\t{none}\n");
    assert_eq!(said, expected);
}

#[test]
fn no_groups_are_left() {
    // In a process that has some to leave.
    let this = std::env::current_exe().expect("a program");
    let output = std::process::Command::new("setpriv")
        .args(["--groups", "4,20"])
        .arg(this)
        .args(["--ignored", "--exact", "inside_a_process_with_groups"])
        .output()
        .expect("a process");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn inside_a_process_with_groups() {
    assert_eq!(said("id -G", |_| ()), "0 4 20\n");
    let left = said("id -G", |p| p.user = Some((65534, 65533)));
    assert_eq!(left, "65533\n");
}

#[test]
fn another_user() {
    let text = "id -u; id -g; id -G; grep -E 'Uid|Gid|CapEff' /proc/self/status";
    let said = said(text, |p| p.user = Some((65534, 65533)));
    assert_eq!(
        said,
        "65534\n65533\n65533\nUid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\n\
         CapEff:\t0000000000000000\n"
    );
    // All of our own threads are who they were, and may be looked into as before.
    for thread in std::fs::read_dir("/proc/self/task").expect("a folder") {
        let status = thread.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(status).unwrap_or_default();
        assert!(
            !status.contains("65534") && !status.contains("65533"),
            "{status}"
        );
    }
    // To the kernel, -1 is "as it is".
    for user in [(u32::MAX, 0), (0, u32::MAX)] {
        let argv = words(&["/bin/true"]);
        let mut nobody = Program::new(&argv);
        nobody.user = Some(user);
        let error = nobody.start().expect_err("no such user");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let private = format!("/tmp/lvs-health-{}-private", std::process::id());
    std::fs::copy("/bin/true", &private).expect("a program");
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&private, owner).expect("a program");
    let argv = words(&[&private]);
    let mut program = Program::new(&argv);
    assert!(program.start().is_ok_and(|mut p| end(&mut p).success()));
    program.user = Some((65534, 65533));
    let error = program.start().expect_err("not for everybody");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    std::fs::remove_file(private).expect("a program");
}

#[test]
fn a_group_of_its_own_that_can_be_ended() {
    let argv = words(&["/bin/sh", "-c", "sleep 1000 & wait"]);
    let mut process = Program::new(&argv).start().expect("a shell");
    assert_eq!(process.try_wait().expect("our child"), None);
    process.signal_group(15);
    assert_eq!(end(&mut process).signal(), Some(15));
    // From here on the number is nobody's, or somebody else's: nothing is sent.
    process.signal_group(15);
}

#[test]
fn some_end_with_the_thread_that_started_them() {
    let argv = words(&["/bin/sleep", "1000"]);
    let start = |ends_with_us| {
        let argv = argv.clone();
        let thread = thread::spawn(move || {
            let mut program = Program::new(&argv);
            program.ends_with_us = ends_with_us;
            program.start().expect("a program")
        });
        thread.join().expect("no panic")
    };
    let (mut bound, mut free) = (start(true), start(false));
    assert_eq!(end(&mut bound).signal(), Some(15));
    assert_eq!(free.try_wait().expect("our child"), None);
    free.signal_group(9);
    assert_eq!(end(&mut free).signal(), Some(9));
}

#[test]
fn many_threads_start_many() {
    thread::scope(|scope| {
        for user in [None, Some((65534, 65534))] {
            for _ in 0..3 {
                scope.spawn(move || {
                    let argv = words(&["true"]);
                    for _ in 0..50 {
                        let mut program = Program::new(&argv);
                        program.user = user;
                        let mut process = program.start().expect("a program");
                        assert!(end(&mut process).success());
                    }
                });
            }
        }
    });
}
