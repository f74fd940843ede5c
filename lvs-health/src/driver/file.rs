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
    match read(&check.path) {
        Ok(text) => judge(check.weight, &text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => judge(check.weight, b""),
        Err(e) => Err(Failure::new(Reason::File, e.to_string())),
    }
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

/// keepalived's rule: a file that is missing or empty says 0, which is how a flag is lifted. Without a weight any number but 0
/// fails; with one the product is added, unless it is as low as a 32-bit number can be. What is no number says nothing (to
/// keepalived, 0).
fn judge(weight: i64, text: &[u8]) -> Verdict {
    let word = text.split(u8::is_ascii_whitespace).find(|w| !w.is_empty());
    let word = word.unwrap_or(b"0");
    let number = str::from_utf8(word).ok().and_then(|w| w.parse().ok());
    let Some(number): Option<i64> = number else {
        let detail = format!("no number: \"{}\"", word.escape_ascii());
        return Err(Failure::new(Reason::Local, detail));
    };
    match (weight, number) {
        (0, 0) => Ok(Passed::Plainly),
        (0, number) => Err(Failure::new(Reason::File, number.to_string())),
        (weight, number) => match weight.saturating_mul(number) {
            ..=LOWEST => {
                let detail = format!("{number} times {weight}");
                Err(Failure::new(Reason::File, detail))
            }
            product => Ok(Passed::Adding(product)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let fails = |reason| move |v: &Verdict| matches!(v, Err(f) if f.reason == reason);
        let (down, unknown) = (fails(Reason::File), fails(Reason::Local));
        for text in ["", "\n", "0", "0\n", "+0", " 0 maintenance\n"] {
            assert_eq!(judge(0, text.as_bytes()), Ok(Passed::Plainly), "{text:?}");
            assert_eq!(judge(3, text.as_bytes()), Ok(Passed::Adding(0)), "{text:?}");
        }
        for text in ["1", "-1\n", "9223372036854775807"] {
            assert!(down(&judge(0, text.as_bytes())), "{text:?}");
        }
        for text in ["yes", "1x", "9223372036854775808", "\u{fc}"] {
            assert!(unknown(&judge(0, text.as_bytes())), "{text:?}");
            assert!(unknown(&judge(1, text.as_bytes())), "{text:?}");
        }
        assert_eq!(judge(-2, b"5\n"), Ok(Passed::Adding(-10)));
        assert_eq!(judge(1, b"-2147483647"), Ok(Passed::Adding(-2_147_483_647)));
        assert!(down(&judge(1, b"-2147483648")));
        assert!(down(&judge(i64::MAX, b"-9223372036854775808")));
    }
}
