//! Files with numbers that are watched.
//!
//! Problem: a file may be written in place, replaced, removed and come back, and its folder too; it may be a link to a file
//! elsewhere, or on a file system that tells of no changes. And while it is being written it is empty.
//!
//! Rule: its folder is watched, and it is read when somebody has closed it after writing, has put it there or taken it away
//! (keepalived's way). Besides, each file is looked at once a second: what is found then and was not told counts when two looks in
//! a row agree. So nothing need be there at the start, and what is half written does not count.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use lvs_vrrp::Time;
use lvs_vrrp::config::Object;
use lvs_vrrp::status::ObjectState;
use lvs_vrrp::track::Reading;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::board::{Board, Detail};
use super::sys::Inotify;
use crate::keepalived::model::TrackFile;

/// How often files are looked at without being told of.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is told of: a file in the folder has been written and closed, or has come or gone; the folder itself has gone.
const NEWS: u32 = libc::IN_CLOSE_WRITE
    | libc::IN_MOVED_TO
    | libc::IN_MOVED_FROM
    | libc::IN_DELETE
    | libc::IN_DELETE_SELF
    | libc::IN_MOVE_SELF;

/// All files.
#[derive(Debug, Default)]
pub(super) struct Files {
    inotify: Option<Inotify>,
    list: Vec<Entry>,
    /// Those that have had their initial content.
    initialised: Vec<String>,
    /// The next look.
    next: Time,
}

/// A file.
#[derive(Debug)]
struct Entry {
    object: Object,
    spec: TrackFile,
    /// Its folder's number in inotify.
    folder: Option<i32>,
    /// What counts.
    number: Option<i64>,
    /// What the last look found, if that does not count yet.
    doubtful: Option<i64>,
    /// What was complained of last.
    complaint: Option<String>,
}

impl Files {
    /// Writes what files are to have at the start into those that have not had it.
    pub(super) fn initialise(&mut self, wanted: &[TrackFile], board: &Board) {
        for file in wanted {
            if self.initialised.contains(&file.name.value) {
                continue;
            }
            self.initialised.push(file.name.value.clone());
            if let Err(e) = initialise(file) {
                let object = Object::File(file.name.value.clone());
                let path = file.path.display();
                board.say(&object, format_args!("cannot be initialised ({path}): {e}"));
            }
        }
    }

    /// These files from now on.
    pub(super) fn apply(
        &mut self,
        wanted: Vec<TrackFile>,
        now: Time,
        registry: &Registry,
        token: Token,
        board: &Board,
    ) {
        if self.inotify.is_none() && !wanted.is_empty() {
            match inotify(registry, token) {
                Ok(inotify) => self.inotify = Some(inotify),
                Err(e) => board.log(&format!(
                    "tracked files are looked at once a second, since the kernel does not tell of changes: {e}"
                )),
            }
        }
        let mut old = std::mem::take(&mut self.list);
        for spec in wanted {
            let object = Object::File(spec.name.value.clone());
            let detail = Detail::File {
                path: spec.path.clone(),
            };
            let known = old.iter().position(|entry| entry.object == object);
            let mut entry = match known {
                Some(at) => {
                    let mut entry = old.swap_remove(at);
                    entry.spec = spec;
                    board.note(&object, detail);
                    entry
                }
                None => {
                    board.begin(&object, detail);
                    Entry {
                        object,
                        spec,
                        folder: None,
                        number: None,
                        doubtful: None,
                        complaint: None,
                    }
                }
            };
            entry.watch_folder(self.inotify.as_ref());
            entry.read(false, board);
            self.list.push(entry);
        }
        for gone in &old {
            board.end(&gone.object);
        }
        self.forget(old.into_iter().filter_map(|entry| entry.folder));
        self.next = now + INTERVAL;
    }

    /// The kernel tells of changes.
    pub(super) fn news(&mut self, now: Time, board: &Board) {
        let Some(inotify) = &mut self.inotify else {
            return;
        };
        let mut lost = false;
        let mut told = Vec::new();
        inotify.drain(|folder, mask, name| {
            if mask & (libc::IN_Q_OVERFLOW | libc::IN_IGNORED | libc::IN_UNMOUNT) != 0
                || mask & (libc::IN_DELETE_SELF | libc::IN_MOVE_SELF) != 0
            {
                lost = true;
            } else {
                told.push((folder, name.to_owned()));
            }
        });
        for entry in &mut self.list {
            let name = entry.spec.path.file_name();
            let own = entry.folder.zip(name);
            let is_told = told.iter().any(|(f, n)| own == Some((*f, n.as_os_str())));
            if lost || is_told {
                entry.read(false, board);
            }
        }
        if lost {
            self.watch_folders();
            self.next = self.next.min(now + INTERVAL);
        }
    }

    /// Looks at all, if it is time.
    pub(super) fn tick(&mut self, now: Time, board: &Board) {
        if now < self.next || self.list.is_empty() {
            return;
        }
        self.next = now + INTERVAL;
        self.watch_folders();
        for entry in &mut self.list {
            entry.read(true, board);
        }
    }

    /// When [`Files::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        (!self.list.is_empty()).then_some(self.next)
    }

    /// Watches folders that were not there, or are others now.
    fn watch_folders(&mut self) {
        let mut left = Vec::new();
        for entry in &mut self.list {
            let before = entry.folder;
            entry.watch_folder(self.inotify.as_ref());
            left.extend(before.filter(|_| before != entry.folder));
        }
        self.forget(left);
    }

    /// Folders that were watched for a file are not any more, unless for another one.
    fn forget(&self, folders: impl IntoIterator<Item = i32>) {
        for folder in folders {
            let is_left = self.list.iter().any(|entry| entry.folder == Some(folder));
            if let Some(inotify) = self.inotify.as_ref().filter(|_| !is_left) {
                inotify.remove(folder);
            }
        }
    }
}

impl Entry {
    /// Costs nothing if it is watched already.
    fn watch_folder(&mut self, inotify: Option<&Inotify>) {
        let folder = match self.spec.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        self.folder = inotify.and_then(|inotify| inotify.add(folder, NEWS).ok());
    }

    /// Reads it. What is found without having been told of must be found twice.
    fn read(&mut self, untold: bool, board: &Board) {
        let (found, complaint) = look(&self.spec.path);
        if complaint != self.complaint {
            if let Some(complaint) = &complaint {
                board.say(&self.object, complaint);
            }
            self.complaint = complaint;
        }
        // What cannot be known is as it was, or as if there was nothing.
        let found = found.or(self.number).unwrap_or(0);
        if self.number == Some(found) {
            self.doubtful = None;
            return;
        }
        let is_first = self.number.is_none();
        if untold && !is_first && self.doubtful != Some(found) {
            self.doubtful = Some(found);
            return;
        }
        let was = self.number.replace(found);
        self.doubtful = None;
        let why = match was {
            None => format!("says {found}"),
            Some(was) => format!("says {found}, and said {was}"),
        };
        board.tell(&self.object, ObjectState::Number(found), &why);
    }
}

/// The number in a file, if it can be known, and what is wrong with it.
fn look(path: &Path) -> (Option<i64>, Option<String>) {
    let shown = path.display();
    let text = match begin_of(path) {
        Ok(text) => text,
        // A flag that has been taken away.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return (Some(0), None);
        }
        Err(e) => {
            let complaint = format!("{shown}: {e}: what it said before still counts");
            return (None, Some(complaint));
        }
    };
    let reading = Reading::of(&text);
    let complaint = match reading {
        Reading::Number(_) | Reading::Empty => None,
        Reading::NoNumber => Some("no number, which counts as 0"),
        Reading::TooLong => Some("a number too great: what it said before still counts"),
    };
    let said = || text.trim_ascii().escape_ascii().to_string();
    let complaint = complaint.map(|what| format!("{shown} says \"{}\", {what}", said()));
    (reading.number(), complaint)
}

/// As much of a file as counts.
fn begin_of(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe or a device would make us wait, or act.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    file.take(Reading::LONGEST as u64).read_to_end(&mut text)?;
    Ok(text)
}

fn initialise(file: &TrackFile) -> io::Result<()> {
    let Some(init) = file.init else { return Ok(()) };
    let mut options = OpenOptions::new();
    options.write(true);
    match init.overwrite {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    match options.open(&file.path) {
        Ok(mut open) => writeln!(open, "{}", init.value),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn inotify(registry: &Registry, token: Token) -> io::Result<Inotify> {
    let inotify = Inotify::new()?;
    registry.register(
        &mut SourceFd(&inotify.as_raw_fd()),
        token,
        Interest::READABLE,
    )?;
    Ok(inotify)
}
