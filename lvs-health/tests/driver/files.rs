//! Files that say how a server is.

use std::fs;
use std::path::PathBuf;

use lvs_health::check::{Check, FileCheck, Kind};
use lvs_health::{Passed, Reason};

use crate::bed::{check, driver, first_verdict, next_verdict, nobody, scratch};

fn file(path: PathBuf, weight: i64) -> Check {
    check(Kind::File(FileCheck { path, weight }), nobody())
}

#[test]
fn a_flag_is_set_and_lifted() {
    let path = scratch("flag");
    let mut driver = driver();
    let id = driver.insert(file(path.clone(), 0));
    assert_eq!(
        next_verdict(&mut driver, id),
        Ok(Passed::Plainly),
        "no file"
    );
    fs::write(&path, "1\n").expect("a file");
    let failure = next_verdict(&mut driver, id).expect_err("it says no");
    assert_eq!((failure.reason, &*failure.detail), (Reason::File, "1"));
    assert!(!driver.checker(id).expect("it is there").standing().up);
    // Replaced by another file of the same name, as editors do.
    let other = scratch("other-flag");
    fs::write(&other, "0\n").expect("a file");
    fs::rename(&other, &path).expect("a file");
    assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
    assert!(driver.checker(id).expect("it is there").standing().up);
    fs::remove_file(&path).expect("a file");
    assert_eq!(next_verdict(&mut driver, id), Ok(Passed::Plainly));
}

#[test]
fn numbers_and_what_is_none() {
    let path = scratch("number");
    fs::write(&path, "7").expect("a file");
    let verdict = first_verdict(file(path.clone(), -3));
    assert_eq!(verdict, Ok(Passed::Adding(-21)));
    fs::write(&path, "x".repeat(1_000_000)).expect("a file");
    let failure = first_verdict(file(path.clone(), 1)).expect_err("no number");
    assert_eq!(failure.reason, Reason::Local);
    assert!(failure.detail.len() < 200, "{failure}");
    fs::remove_file(path).expect("a file");

    for odd in ["/dev/zero", "/proc/self"] {
        let failure = first_verdict(file(odd.into(), 0)).expect_err("no file");
        assert_eq!(failure.reason, Reason::File, "{odd}");
    }
}
