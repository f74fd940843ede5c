//! The number in a file.
//!
//! Files are read once a second, whether they have changed or not: that costs a few microseconds, sees also a file that is
//! replaced or that a network file system changes, and a change is never missed for its time stamp's coarseness.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::check::FileCheck;
use crate::probe::{Failure, Passed, Reason, Verdict};

/// How often files are looked at, unless their check's interval is shorter.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// A number and its line end are shorter.
const LONGEST: u64 = 64;

/// At and below it the server is down.
const LOWEST: i64 = i32::MIN as i64;

/// What the file says now.
pub(super) fn look(check: &FileCheck) -> Verdict {
    let text = match read(&check.path) {
        Ok(text) => text,
        Err(e) => return Err(Failure::new(Reason::File, e.to_string())),
    };
    judge(check.weight, &text)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO or a device would make us wait, or act.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("no regular file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// keepalived's rule: without a weight any number but 0 fails; with one the product is added, unless it is as low as a 32-bit
/// number can be.
fn judge(weight: i64, text: &[u8]) -> Verdict {
    let number = std::str::from_utf8(text.trim_ascii()).ok();
    let Some(number) = number.and_then(|t| t.parse::<i64>().ok()) else {
        return Err(Failure::new(
            Reason::File,
            format!("no number: \"{}\"", text.trim_ascii().escape_ascii()),
        ));
    };
    match (weight, number) {
        (0, 0) => Ok(Passed::Plainly),
        (0, number) => Err(Failure::new(Reason::File, number.to_string())),
        (weight, number) => match weight.saturating_mul(number) {
            ..=LOWEST => Err(Failure::new(
                Reason::File,
                format!("{number} times {weight}"),
            )),
            product => Ok(Passed::Adding(product)),
        },
    }
}
