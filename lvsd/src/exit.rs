//! Exit statuses.
//!
//! | status | of our own commands | of ipvsadm's names |
//! |---|---|---|
//! | 1 | what is asked for cannot be done | a listing fails |
//! | 2 | the command line, or a file, is wrong | likewise, or there is no daemon |
//! | 3 and above | the command's own: its usage has them | |
//! | 128 + signal | stopped by a signal | |
//! | 255 | | the daemon refuses a change, as the kernel would, or does not answer |

/// What is asked for cannot be done or shown.
pub(crate) const FAILED: u8 = 1;

/// The command line, or a file, is wrong.
pub(crate) const WRONG: u8 = 2;

/// The daemon refuses a change.
pub(crate) const REFUSED: u8 = 255;

/// Stopped by a signal, as shells say it.
pub(crate) fn by_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
