//! The file of a journal.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::sys;

/// So many lines more than there are notes, and the file is written anew.
const SLACK: usize = 1000;

/// The most that is read: far more than any host's notes.
const LONGEST: u64 = 256 << 20;

/// How long it is waited for another process to let go of the file: one that has just died, or its guardian, which needs moments.
const PATIENCE: Duration = Duration::from_secs(2);

/// The open file, which no other process has as long as this is there.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    header: String,
    lines: usize,
    /// Its end is the end of a line.
    whole: bool,
}

/// The first line: of whose file it is.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    version: u32,
    boot: String,
    namespace: u64,
    /// The namespace's number may have been another's before; this one has not. 0: the kernel has none.
    cookie: u64,
}

impl File {
    /// Opens or makes the file of the calling thread's network namespace, and reads its lines, if it is of this boot.
    ///
    /// # Errors
    ///
    /// The system's; [`ErrorKind::ResourceBusy`] if another process has it.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<String>)> {
        // A folder that is there is as good as one that is made.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)?;
        let namespace = fs::metadata("/proc/thread-self/ns/net")?.ino();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let header = Header {
            version: 1,
            boot: boot.trim().to_owned(),
            namespace,
            cookie: sys::namespace_cookie(&UnixDatagram::unbound()?).unwrap_or(0),
        };
        let path = folder.join(format!("vrrp-{namespace}.journal"));
        let mut file = locked(&path)?;
        let mut text = String::new();
        // What is no text is not ours.
        let _ = (&mut file).take(LONGEST).read_to_string(&mut text);
        let mut lines = text.lines();
        let theirs = lines.next().map(serde_json::from_str::<Header>);
        let lines = match theirs {
            Some(Ok(theirs)) if theirs == header => lines.map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let mut header = serde_json::to_string(&header).map_err(io::Error::other)?;
        header.push('\n');
        let file = Self {
            path,
            file,
            header,
            lines: 0,
            whole: false,
        };
        Ok((file, lines))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn is_longer_than(&self, notes: usize) -> bool {
        self.lines > notes.saturating_mul(2).saturating_add(SLACK)
    }

    /// Adds lines at the end.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        self.whole = false;
        self.file.write_all(lines.as_bytes())?;
        self.whole = true;
        self.lines += lines.lines().count();
        Ok(())
    }

    /// Puts a file with these lines in its place: there is always the old one or the new one.
    pub(super) fn replace(&mut self, lines: &str) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let _ = fs::remove_file(&temporary); // nobody else makes it: we have the lock
        let mut file = options().create_new(true).open(&temporary)?;
        let written = file
            .write_all(self.header.as_bytes())
            .and_then(|()| file.write_all(lines.as_bytes()))
            .and_then(|()| sys::lock(&file))
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            return written;
        }
        self.file = file;
        self.lines = lines.lines().count();
        self.whole = true;
        Ok(())
    }

    pub(super) fn remove(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens a file that nobody else has open, and that is still at its place when we have it.
fn locked(path: &Path) -> io::Result<fs::File> {
    let begin = Instant::now();
    loop {
        let file = options().create(true).open(path)?;
        match sys::lock(&file) {
            Ok(()) => {}
            Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
            Err(_) if begin.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            Err(_) => {
                let why = "another lvsd has virtual routers in this network namespace";
                return Err(io::Error::new(ErrorKind::ResourceBusy, why));
            }
        }
        let ours = file.metadata()?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => return Ok(file),
            // Its owner has replaced or removed it meanwhile.
            _ => {}
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW);
    options
}
