//! The kernel's news of files and processes, which no safe wrapper has.
#![expect(unsafe_code, reason = "system calls take pointers and descriptors")]

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use socket2::SockAddr;

/// What tells of changes in folders (inotify(7)).
#[derive(Debug)]
pub(super) struct Inotify {
    file: File,
}

impl Inotify {
    /// One that never waits.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the call takes a number.
        let fd = check(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
        // SAFETY: the kernel has just made this descriptor for us.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Self { file })
    }

    /// Tells of these changes of a folder from now on. The same folder always has the same number.
    pub(super) fn add(&self, folder: &Path, changes: u32) -> io::Result<i32> {
        let folder = CString::new(folder.as_os_str().as_bytes())?;
        let changes = changes | libc::IN_ONLYDIR;
        // SAFETY: the path ends with a zero and lives until the call returns.
        check(unsafe { libc::inotify_add_watch(self.file.as_raw_fd(), folder.as_ptr(), changes) })
    }

    /// Tells of this folder no more.
    pub(super) fn remove(&self, folder: i32) {
        // SAFETY: the call takes two numbers. That the kernel may have forgotten the folder already does not matter.
        unsafe { libc::inotify_rm_watch(self.file.as_raw_fd(), folder) };
    }

    /// All that there is to tell: a folder, what has happened, and the name that it has happened to.
    pub(super) fn drain(&mut self, mut tell: impl FnMut(i32, u32, &OsStr)) {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = self.file.read(&mut buffer) {
            let mut rest = buffer.get(..len).unwrap_or_default();
            while let Some((folder, mask, name, behind)) = event(rest) {
                tell(folder, mask, name);
                rest = behind;
            }
        }
    }
}

impl AsRawFd for Inotify {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// The first event (`struct inotify_event`) and what is behind it.
fn event(bytes: &[u8]) -> Option<(i32, u32, &OsStr, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<16>()?;
    let [folder, mask, _, len] = words(head);
    let (name, rest) = rest.split_at_checked(len as usize)?;
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    Some((folder as i32, mask, OsStr::from_bytes(name), rest))
}

fn words(bytes: &[u8; 16]) -> [u32; 4] {
    let (words, _) = bytes.as_chunks::<4>();
    let mut all = [0; 4];
    for (to, from) in all.iter_mut().zip(words) {
        *to = u32::from_ne_bytes(*from);
    }
    all
}

/// A netlink socket's address of these groups.
pub(super) fn netlink(groups: u32) -> io::Result<SockAddr> {
    // SAFETY: there is room for any address, so for this one, of which all bytes may be zero; its length is as said.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let mut address: libc::sockaddr_nl = std::mem::zeroed();
            address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
            address.nl_groups = groups;
            storage.cast::<libc::sockaddr_nl>().write(address);
            length.write(size_of::<libc::sockaddr_nl>() as libc::socklen_t);
            Ok(())
        })
    }?;
    Ok(address)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart() {
        let mut bytes = Vec::new();
        for (folder, mask, name) in [(1_i32, 8_u32, "f\0\0\0"), (2, 0x400, ""), (-1, 0x4000, "")] {
            bytes.extend(folder.to_ne_bytes());
            bytes.extend(mask.to_ne_bytes());
            bytes.extend(0_u32.to_ne_bytes());
            bytes.extend((name.len() as u32).to_ne_bytes());
            bytes.extend(name.as_bytes());
        }
        let (folder, mask, name, rest) = event(&bytes).unwrap();
        assert_eq!((folder, mask, name), (1, 8, OsStr::new("f")));
        let (folder, mask, name, rest) = event(rest).unwrap();
        assert_eq!((folder, mask, name), (2, 0x400, OsStr::new("")));
        assert_eq!(event(rest).map(|e| e.0), Some(-1));
        for len in 0..rest.len() {
            assert!(event(&rest[..len]).is_none(), "{len}");
        }
        assert!(event(&bytes[..18]).is_none(), "the name is cut");
    }
}
