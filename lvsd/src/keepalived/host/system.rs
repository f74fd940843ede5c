//! The host that we run on.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io, ptr};

use super::{Host, Interface, Stat};

/// The host that we run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn read(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        let most_and_one = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most_and_one).read_to_end(&mut bytes)?;
        match bytes.len() > most {
            true => Err(ErrorKind::FileTooLarge.into()),
            false => Ok(bytes),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let stat = fs::metadata(path)?;
        Ok(Stat {
            folder: stat.is_dir(),
            file: stat.is_file(),
            mode: stat.mode() & 0o7777,
            uid: stat.uid(),
            gid: stat.gid(),
        })
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name()))
            .filter_map(|name| name.map(OsString::into_string).map(Result::ok).transpose())
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        user_by_name(name).or_else(|| user_by_number(name.parse().ok()?))
    }

    fn group(&self, name: &str) -> Option<u32> {
        group_by_name(name).or_else(|| name.parse().ok())
    }

    fn resolve(&self, name: &str, port: u16) -> Option<SocketAddr> {
        (name, port).to_socket_addrs().ok()?.next()
    }

    fn interfaces(&self) -> Option<Vec<Interface>> {
        interfaces().ok()
    }

    fn environment(&self, name: &str) -> Option<String> {
        // Such a name would make the standard library panic on some systems.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        env::var(name).ok()
    }

    fn name(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim_end().to_owned()
    }

    fn random(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}

/// What one account takes at most in the C library's buffer.
const ACCOUNT: usize = 64 * 1024;

#[expect(
    unsafe_code,
    reason = "the standard library does not know accounts, and they are not only in files"
)]
fn user_by_name(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0; ACCOUNT];
    // SAFETY: all zero is a valid passwd.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = ptr::null_mut();
    // SAFETY: name ends with a zero, the buffer is as long as said, and all live until it returns.
    let failed = unsafe {
        libc::getpwnam_r(
            name.as_ptr(),
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    (failed == 0 && !found.is_null()).then_some((entry.pw_uid, entry.pw_gid))
}

#[expect(
    unsafe_code,
    reason = "the standard library does not know accounts, and they are not only in files"
)]
fn user_by_number(uid: u32) -> Option<(u32, u32)> {
    let mut buffer = vec![0; ACCOUNT];
    // SAFETY: all zero is a valid passwd.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = ptr::null_mut();
    // SAFETY: the buffer is as long as said, and all live until it returns.
    let failed = unsafe {
        libc::getpwuid_r(
            uid,
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    (failed == 0 && !found.is_null()).then_some((entry.pw_uid, entry.pw_gid))
}

#[expect(
    unsafe_code,
    reason = "the standard library does not know accounts, and they are not only in files"
)]
fn group_by_name(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0; ACCOUNT];
    // SAFETY: all zero is a valid group.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let mut found = ptr::null_mut();
    // SAFETY: name ends with a zero, the buffer is as long as said, and all live until it returns.
    let failed = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    (failed == 0 && !found.is_null()).then_some(entry.gr_gid)
}

/// The interfaces of the calling thread's network namespace, by name.
#[expect(unsafe_code, reason = "the standard library does not know interfaces")]
fn interfaces() -> io::Result<Vec<Interface>> {
    let mut first = ptr::null_mut();
    // SAFETY: it fills in a pointer to a list.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    let mut next = first;
    // SAFETY: the list's links are valid until it is freed, or null.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: names in the list end with a zero.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        let name = name.to_string_lossy().into_owned();
        let interface = found.entry(name.clone()).or_insert_with(|| Interface {
            name,
            addrs: Vec::new(),
            loopback: entry.ifa_flags & libc::IFF_LOOPBACK as u32 != 0,
        });
        // SAFETY: both are null or addresses in the list.
        let (addr, mask) = unsafe { (ip(entry.ifa_addr), ip(entry.ifa_netmask)) };
        if let (Some(addr), Some(mask)) = (addr, mask) {
            interface.addrs.push((addr, ones(mask)));
        }
    }
    // SAFETY: nothing refers to the list any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(found.into_values().collect())
}

/// # Safety
///
/// `addr` is null, or an address whose family says how long it is.
#[expect(unsafe_code, reason = "what a socket address is, its first bytes say")]
unsafe fn ip(addr: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null or valid, says the caller.
    match i32::from(unsafe { addr.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: an address of this family is one of these, if perhaps not aligned as such.
            let addr = unsafe { addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(addr.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: an address of this family is one of these, if perhaps not aligned as such.
            let addr = unsafe { addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(addr.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// The length of the prefix that a mask keeps.
fn ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reloads must not wait for a writer, or take in a device without end.
    #[test]
    fn reads_nothing_but_regular_files() {
        let host = SystemHost;
        let pipe = env::temp_dir().join(format!("lvsd-test-pipe-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [&*pipe, Path::new("/dev/zero"), Path::new("/")] {
            assert!(host.read(path, 99).is_err(), "{}", path.display());
        }
        fs::remove_file(pipe).unwrap();
        let here = Path::new("/proc/self/exe");
        let large = host.read(here, 99).unwrap_err();
        assert_eq!(large.kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn knows_what_every_host_has() {
        let host = SystemHost;
        assert_eq!(host.user("root"), Some((0, 0)));
        assert_eq!(host.user("0"), Some((0, 0)));
        assert_eq!(host.user("no such user"), None);
        assert_eq!(host.group("root"), Some(0));
        assert_eq!(host.group("12345"), Some(12345));
        assert_eq!(host.group("no such group"), None);
        let interfaces = host.interfaces().unwrap();
        let lo = interfaces.iter().find(|i| i.name == "lo").unwrap();
        assert!(lo.loopback);
        assert!(interfaces.iter().all(|i| i.loopback == (i.name == "lo")));
        // A namespace in which it is down has no address on it.
        let home = (Ipv4Addr::LOCALHOST.into(), 8);
        assert!(lo.addrs.is_empty() || lo.addrs.contains(&home));
        assert_eq!(
            host.resolve("127.0.0.1", 80),
            Some(([127, 0, 0, 1], 80).into())
        );
        assert!(!host.name().contains('\n'));
        assert_eq!(host.environment("A=B"), None);
    }

    #[test]
    fn looks_at_files() {
        let host = SystemHost;
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let names = host.list(here).unwrap();
        assert!(names.is_sorted() && names.iter().any(|n| n == "Cargo.toml"));
        let stat = host.stat(&here.join("Cargo.toml")).unwrap();
        assert!(stat.file && !stat.folder && stat.mode & 0o400 != 0);
        assert!(host.stat(here).unwrap().folder);
        assert!(host.read(here, 99).is_err() && host.stat(&here.join("none")).is_err());
        let there = host.canonical(&here.join("src/../Cargo.toml")).unwrap();
        assert!(there.ends_with("lvsd/Cargo.toml"));
    }
}
