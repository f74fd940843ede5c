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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::Mutex;

    use super::*;

    static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn log(line: &str) {
        LOGGED.lock().unwrap().push(line.to_owned());
    }

    /// What was logged about a pipe.
    fn said(path: &Path) -> Vec<String> {
        let about = format!("pipe `{}`: ", path.display());
        let logged = LOGGED.lock().unwrap();
        let said = logged.iter().filter_map(|l| l.strip_prefix(&about));
        said.map(str::to_owned).collect()
    }

    /// A path where nothing is.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lvsd-pipe-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    /// What is in a pipe.
    fn read(path: &Path) -> String {
        use std::io::Read as _;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .unwrap();
        let mut all = Vec::new();
        let end = file.read_to_end(&mut all).unwrap_err();
        assert_eq!(
            end.kind(),
            ErrorKind::WouldBlock,
            "somebody may still write"
        );
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let path = path("full");
        let mut pipe = Pipe::new(path.clone(), None, log);
        let line = "x".repeat(99);
        let mut wanted = 0;
        while pipe.lost == 0 {
            pipe.write(&line);
            wanted += 1;
        }
        wanted -= 1;
        assert!(wanted * 100 >= 64 << 10, "{wanted}");
        pipe.write(&line);
        pipe.write(&line);
        assert_eq!(
            said(&path),
            ["it is full, and nobody reads it: lines are lost"]
        );
        assert_eq!(read(&path), format!("{line}\n").repeat(wanted));
        pipe.write("now");
        assert_eq!(read(&path), "now\n");
        assert_eq!(said(&path)[1..], ["3 lines were lost"]);
        drop(pipe);
        assert!(!path.exists() && said(&path).len() == 2);
    }

    #[test]
    fn a_line_is_whole_or_lost() {
        let path = path("long");
        let mut pipe = Pipe::new(path.clone(), None, log);
        pipe.write(&"x".repeat(LONGEST - 1));
        assert_eq!(read(&path).len(), LONGEST);
        pipe.write(&"x".repeat(LONGEST));
        assert_eq!(read(&path), "");
        drop(pipe);
        let last = said(&path).pop().unwrap();
        assert_eq!(last, "1 lines were lost");
    }

    #[test]
    fn it_is_made_again() {
        let path = path("again");
        let mut pipe = Pipe::new(path.clone(), None, log);
        fs::remove_file(&path).unwrap();
        pipe.write("one");
        assert_eq!(read(&path), "one\n");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        pipe.write("two");
        pipe.write("three");
        drop(pipe);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let removed = "somebody has removed it: it is made again";
        let other = "something else is there, and is left alone";
        assert_eq!(said(&path), [removed, removed, other, "2 lines were lost"]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_has_taken_its_place_is_not_removed() {
        let path = path("replaced");
        let pipe = Pipe::new(path.clone(), None, log);
        fs::remove_file(&path).unwrap();
        sys::make_pipe(&path, 0o600).unwrap();
        drop(pipe);
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_there_already() {
        let path = path("there");
        let ours = sys::ourselves();
        sys::make_pipe(&path, 0o600).unwrap();
        let mut pipe = Pipe::new(path.clone(), Some((7, 7)), log);
        pipe.write("one");
        assert_eq!(read(&path), "one\n");
        drop(pipe);
        assert!(path.exists(), "it was not made by us");
        if ours.0 == 0 {
            std::os::unix::fs::chown(&path, Some(7), None).unwrap();
            assert!(Pipe::new(path.clone(), Some((7, 7)), log).is_open());
            assert!(!Pipe::new(path.clone(), None, log).is_open());
            let foreign = "it is there, but belongs to user 7: it is not used";
            assert_eq!(said(&path), [foreign]);
        }
        let link = self::path("link");
        symlink(&path, &link).unwrap();
        assert!(!Pipe::new(link.clone(), Some((7, 7)), log).is_open());
        fs::remove_file(&link).unwrap();
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn it_is_given_away() {
        let path = path("given");
        let other = (7, 8);
        let pipe = Pipe::new(path.clone(), Some(other), log);
        assert!(pipe.is_open());
        let found = fs::metadata(&path).unwrap();
        match sys::ourselves().0 {
            0 => assert_eq!((found.uid(), found.gid()), other),
            _ => assert_eq!(said(&path).len(), 1, "only root can"),
        }
        drop(pipe);
        assert!(!path.exists());
        let nowhere = Pipe::new("/no/such/folder/pipe".into(), None, log);
        assert!(!nowhere.is_open() && said(nowhere.path())[0].starts_with("it cannot be made: "));
    }
}
