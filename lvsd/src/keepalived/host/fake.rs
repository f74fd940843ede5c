//! A host that is made up, for tests, fuzzers and examples.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use super::{Host, Interface, Stat};

/// A host that has what it was told, and nothing else.
///
/// Folders exist because something is in them. Everything belongs to root; files have mode 0644, folders 0755.
///
/// ```
/// use lvsd::keepalived::host::{FakeHost, Host};
///
/// let host = FakeHost::default()
///     .with_file("/etc/keepalived/keepalived.conf", "global_defs {\n}\n")
///     .with_interface("eth0", &["192.0.2.1/24"]);
/// assert_eq!(host.list("/etc".as_ref()).unwrap(), ["keepalived"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    entries: BTreeMap<PathBuf, Entry>,
    users: BTreeMap<String, (u32, u32)>,
    groups: BTreeMap<String, u32>,
    names: BTreeMap<String, IpAddr>,
    interfaces: Option<Vec<Interface>>,
    environment: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Entry {
    content: Content,
    stat: Stat,
}

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Folder,
    Link(PathBuf),
    Unreadable,
}

const FILE: Stat = Stat {
    folder: false,
    file: true,
    mode: 0o644,
    uid: 0,
    gid: 0,
};

const FOLDER: Stat = Stat {
    folder: true,
    file: false,
    mode: 0o755,
    ..FILE
};

/// As many links one path may lead through as in Linux.
const MOST_LINKS: usize = 40;

impl FakeHost {
    /// With a file. Its folders come into being, should they be missing.
    #[must_use]
    pub fn with_file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.with(
            path.as_ref(),
            Content::Bytes(content.as_ref().to_vec()),
            FILE,
        )
    }

    /// With a file of some mode, owner and group.
    #[must_use]
    pub fn with_mode(mut self, path: impl AsRef<Path>, mode: u32, uid: u32, gid: u32) -> Self {
        if let Some(entry) = self.entries.get_mut(path.as_ref()) {
            entry.stat = Stat {
                mode,
                uid,
                gid,
                ..entry.stat
            };
            self
        } else {
            let stat = Stat {
                mode,
                uid,
                gid,
                ..FILE
            };
            self.with(path.as_ref(), Content::Bytes(Vec::new()), stat)
        }
    }

    /// With a file that cannot be read.
    #[must_use]
    pub fn with_unreadable(self, path: impl AsRef<Path>) -> Self {
        self.with(path.as_ref(), Content::Unreadable, FILE)
    }

    /// With a folder.
    #[must_use]
    pub fn with_folder(self, path: impl AsRef<Path>) -> Self {
        self.with(path.as_ref(), Content::Folder, FOLDER)
    }

    /// With a symbolic link.
    #[must_use]
    pub fn with_link(self, path: impl AsRef<Path>, target: impl Into<PathBuf>) -> Self {
        self.with(path.as_ref(), Content::Link(target.into()), FILE)
    }

    /// With a user.
    #[must_use]
    pub fn with_user(mut self, name: &str, uid: u32, gid: u32) -> Self {
        self.users.insert(name.to_owned(), (uid, gid));
        self
    }

    /// With a group.
    #[must_use]
    pub fn with_group(mut self, name: &str, gid: u32) -> Self {
        self.groups.insert(name.to_owned(), gid);
        self
    }

    /// With the address of a host name.
    #[must_use]
    pub fn with_name(mut self, name: &str, addr: IpAddr) -> Self {
        self.names.insert(name.to_owned(), addr);
        self
    }

    /// With an interface, whose addresses are written with their prefixes' lengths; others count as none. It is a
    /// loopback interface if it is called `lo`. Until there is one, interfaces are not known.
    #[must_use]
    pub fn with_interface(mut self, name: &str, addrs: &[&str]) -> Self {
        let addrs = addrs.iter().filter_map(|written| {
            let (addr, len) = written.split_once('/')?;
            Some((addr.parse().ok()?, len.parse().ok()?))
        });
        self.interfaces.get_or_insert_default().push(Interface {
            name: name.to_owned(),
            addrs: addrs.collect(),
            loopback: name == "lo",
        });
        self
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn with(mut self, path: &Path, content: Content, stat: Stat) -> Self {
        for folder in path.ancestors().skip(1) {
            self.entries.entry(folder.to_owned()).or_insert(Entry {
                content: Content::Folder,
                stat: FOLDER,
            });
        }
        self.entries
            .insert(path.to_owned(), Entry { content, stat });
        self
    }

    /// What is there in the end, and under which path.
    fn find(&self, path: &Path) -> Result<(PathBuf, &Entry)> {
        let mut links = 0;
        let mut found = PathBuf::new();
        let mut ahead: Vec<PathBuf> = parts(path);
        while let Some(part) = ahead.pop() {
            match part.components().next() {
                Some(Component::CurDir) | None => continue,
                Some(Component::ParentDir) => {
                    found.pop();
                }
                _ => found.push(part),
            }
            if let Some(Content::Link(target)) = self.entries.get(&found).map(|e| &e.content) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Error::other("too many symbolic links"));
                }
                ahead.extend(parts(target));
                found.pop();
            }
        }
        match self.entries.get(&found) {
            Some(entry) => Ok((found, entry)),
            None => Err(Error::new(ErrorKind::NotFound, "no such file or directory")),
        }
    }
}

/// Its parts, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .map(|c| PathBuf::from(c.as_os_str()))
        .collect()
}

impl Host for FakeHost {
    fn read(&self, path: &Path, most: usize) -> Result<Vec<u8>> {
        match &self.find(path)?.1.content {
            Content::Bytes(bytes) if bytes.len() > most => Err(ErrorKind::FileTooLarge.into()),
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Folder => Err(Error::new(ErrorKind::IsADirectory, "is a directory")),
            Content::Link(_) | Content::Unreadable => {
                Err(Error::new(ErrorKind::PermissionDenied, "permission denied"))
            }
        }
    }

    fn stat(&self, path: &Path) -> Result<Stat> {
        Ok(self.find(path)?.1.stat)
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        Ok(self.find(path)?.0)
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>> {
        let (folder, entry) = self.find(folder)?;
        if !entry.stat.folder {
            return Err(Error::new(ErrorKind::NotADirectory, "not a directory"));
        }
        Ok(self
            .entries
            .keys()
            .filter(|path| path.parent() == Some(&folder))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        let known = self.users.get(name).copied();
        known.or_else(|| {
            let uid: u32 = name.parse().ok()?;
            self.users.values().find(|u| u.0 == uid).copied()
        })
    }

    fn group(&self, name: &str) -> Option<u32> {
        let known = self.groups.get(name).copied();
        known.or_else(|| name.parse().ok())
    }

    fn resolve(&self, name: &str, port: u16) -> Option<SocketAddr> {
        let addr = *self.names.get(name)?;
        Some(SocketAddr::new(addr, port))
    }

    fn interfaces(&self) -> Option<Vec<Interface>> {
        self.interfaces.clone()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn name(&self) -> String {
        "lb1.example".to_owned()
    }

    fn random(&self) -> u64 {
        4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_what_it_was_told() {
        let host = FakeHost::default()
            .with_file("/etc/a/one", "1")
            .with_file("two", "2")
            .with_mode("/etc/a/run", 0o755, 7, 8)
            .with_link("/etc/b", "a")
            .with_link("/etc/loop", "/etc/loop")
            .with_unreadable("/etc/a/secret")
            .with_user("www", 33, 34)
            .with_interface("eth0", &["10.0.0.1/24"]);
        assert_eq!(host.read("/etc/b/one".as_ref(), 99).unwrap(), b"1");
        assert_eq!(host.read("/etc/./a/../b/one".as_ref(), 99).unwrap(), b"1");
        assert_eq!(host.read("./two".as_ref(), 99).unwrap(), b"2");
        assert_eq!(
            host.list("/etc/b".as_ref()).unwrap(),
            ["one", "run", "secret"]
        );
        assert_eq!(
            host.canonical("/etc/b/run".as_ref()).unwrap(),
            Path::new("/etc/a/run")
        );
        let run = host.stat("/etc/b/run".as_ref()).unwrap();
        assert_eq!((run.mode, run.uid, run.gid), (0o755, 7, 8));
        for wrong in ["/etc/loop", "/etc/a/secret", "/etc/a", "/none"] {
            assert!(host.read(wrong.as_ref(), 99).is_err(), "{wrong}");
        }
        assert_eq!(host.user("33"), Some((33, 34)));
        assert_eq!(host.interfaces().unwrap()[0].addrs.len(), 1);
    }
}
