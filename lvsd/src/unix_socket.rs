//! Unix sockets that lvsd listens at: their files.
//!
//! Problem: a socket's file outlives its process, so the next one finds it in its place; and for a moment after it is made,
//! anybody might connect.
//!
//! Rule: a file whose socket nobody listens at is replaced, any other is left alone. Who may connect is settled before anybody can. The
//! file goes with its owner, unless it is another's by then.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The most who may wait to be let in.
const BACKLOG: i32 = 128;

/// The file of a socket; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Its device and number.
    file: (u64, u64),
}

/// Listens at `path`. The socket's file has this mode, and belongs to this group if there is one.
///
/// # Errors
///
/// Somebody listens there already (which is said as `taken`), something else is there, or the system does not allow it.
pub(crate) fn listen(
    path: &Path,
    mode: u32,
    group: Option<u32>,
    taken: &str,
) -> io::Result<(UnixListener, SocketFile)> {
    clear(path, taken)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Nobody can connect before somebody listens.
    std::os::unix::fs::chown(path, None, group)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    let metadata = fs::metadata(path)?;
    socket.listen(BACKLOG)?;
    let file = SocketFile {
        path: path.to_owned(),
        file: (metadata.dev(), metadata.ino()),
    };
    Ok((UnixListener::from(OwnedFd::from(socket)), file))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|m| (m.dev(), m.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody listens at.
fn clear(path: &Path, taken: &str) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(m) if !m.file_type().is_socket() => {
            let what = "something that is no socket is there already";
            return Err(io::Error::new(ErrorKind::AlreadyExists, what));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(e) => Err(e),
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, taken)),
    }
}
