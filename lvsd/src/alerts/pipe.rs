//! A named pipe that events are written to, a line each.
//!
//! It is opened for reading as well, so that it can be opened, and written to, while nobody reads it. Nobody is ever waited for:
//! what does not fit any more is lost, and the log says how much. The kernel is asked for room for a mebibyte, which is
//! more than ten thousand lines; without being asked it gives 64 KiB.
//!
//! A pipe is made if it is not there, also later, when somebody has removed it, and removed at the end by who made it. One
//! that is there is used if it belongs to us or to whom it would be given; anything else there is left alone.
//!
//! keepalived ends the lines about services and servers with a line end and a zero byte, and others without the latter; here
//! all end with a line end.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use super::sys;
use super::visible::one_line;

/// The room that is asked for.
const ROOM: i32 = 1 << 20;

/// Longer lines might be torn when others write too (POSIX's `PIPE_BUF`).
const LONGEST: usize = 4096;

/// A pipe that is open, or will be as soon as that is possible.
#[derive(Debug)]
pub(super) struct Pipe {
    path: PathBuf,
    /// Whose it will be, if not ours.
    owner: Option<(u32, u32)>,
    open: Option<Open>,
    /// Why it could not be opened, as it was said last.
    trouble: Option<String>,
    /// Lines that nobody will read.
    lost: usize,
    log: fn(&str),
}

#[derive(Debug)]
struct Open {
    file: File,
    id: Identity,
    made: bool,
}

/// What makes a file the same: its device and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Pipe {
    /// At this path, and opened if that is possible.
    pub(super) fn new(path: PathBuf, owner: Option<(u32, u32)>, log: fn(&str)) -> Self {
        let mut pipe = Self {
            path,
            owner,
            open: None,
            trouble: None,
            lost: 0,
            log,
        };
        pipe.ensure();
        pipe
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Writes a line, whose end is added.
    pub(super) fn write(&mut self, line: &str) {
        self.ensure();
        let Some(open) = &mut self.open else {
            self.lost += 1;
            return;
        };
        let line = format!("{}\n", one_line(line));
        let written = match line.len() {
            ..=LONGEST => open.file.write_all(line.as_bytes()),
            _ => Err(ErrorKind::FileTooLarge.into()),
        };
        match written {
            Ok(()) => self.caught_up(),
            Err(e) => {
                if self.lost == 0 {
                    let why = match e.kind() {
                        ErrorKind::WouldBlock => "it is full, and nobody reads it".to_owned(),
                        _ => e.to_string(),
                    };
                    self.say(&format!("{why}: lines are lost"));
                }
                self.lost += 1;
            }
        }
    }

    /// Opens it if it is not open, or if it has been removed.
    fn ensure(&mut self) {
        let here = fs::symlink_metadata(&self.path).map(|m| identity(&m)).ok();
        if self.open.is_some() && self.open.as_ref().map(|o| o.id) == here {
            return;
        }
        if self.open.take().is_some() {
            self.say("somebody has removed it: it is made again");
        }
        match open(&self.path, self.owner) {
            Ok((open, unable)) => {
                self.trouble = None;
                self.open = Some(open);
                if let Some(unable) = unable {
                    self.say(&unable);
                }
            }
            Err(trouble) => {
                if self.trouble.as_ref() != Some(&trouble) {
                    self.say(&trouble);
                    self.trouble = Some(trouble);
                }
            }
        }
    }

    /// A line was written: those before it that were not are told of.
    fn caught_up(&mut self) {
        if self.lost > 0 {
            self.say(&format!("{} lines were lost", self.lost));
            self.lost = 0;
        }
    }

    fn say(&self, what: &str) {
        (self.log)(&format!("pipe `{}`: {what}", self.path.display()));
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.caught_up();
        let Some(open) = self.open.take().filter(|open| open.made) else {
            return;
        };
        let here = fs::symlink_metadata(&self.path);
        if here.is_ok_and(|m| identity(&m) == open.id) {
            let _ = fs::remove_file(&self.path); // if not, it is used again the next time
        }
    }
}

/// Opens a pipe, and makes it before if need be; or says why that is not done. The second text says what could not be done
/// besides.
fn open(path: &Path, owner: Option<(u32, u32)>) -> Result<(Open, Option<String>), String> {
    let made = match sys::make_pipe(path, 0o644) {
        Ok(()) => true,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
        Err(e) => return Err(format!("it cannot be made: {e}")),
    };
    let cannot = |e| format!("it cannot be opened: {e}");
    // Before it is opened, since that alone does something to devices; and after, since it may be another one by now.
    fitting(&fs::symlink_metadata(path).map_err(cannot)?, owner)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)
        .map_err(cannot)?;
    let found = file.metadata().map_err(cannot)?;
    fitting(&found, owner)?;
    let mut unable = None;
    if made {
        // What it was made with is less whatever our mask forbids.
        let _ = file.set_permissions(Permissions::from_mode(0o644));
        if let Some((user, group)) = owner {
            let given = fchown(&file, Some(user), Some(group));
            unable = given
                .err()
                .map(|e| format!("it cannot be given to user {user}, group {group}: {e}"));
        }
    }
    let _ = sys::widen_pipe(file.as_fd(), ROOM); // it does with less
    let id = identity(&found);
    Ok((Open { file, id, made }, unable))
}

/// Whether what is there can be written to.
fn fitting(found: &fs::Metadata, owner: Option<(u32, u32)>) -> Result<(), String> {
    if !found.file_type().is_fifo() {
        return Err("something else is there, and is left alone".to_owned());
    }
    let uid = found.uid();
    if uid != sys::ourselves().0 && owner.is_none_or(|(user, _)| uid != user) {
        return Err(format!(
            "it is there, but belongs to user {uid}: it is not used"
        ));
    }
    Ok(())
}

fn identity(found: &fs::Metadata) -> Identity {
    Identity(found.dev(), found.ino())
}
