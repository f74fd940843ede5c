//! What the kernel says of an interface.

#![expect(unsafe_code, reason = "ioctl takes a union")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::socket;
use crate::route::Mac;

/// An interface of this network namespace, as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Device {
    /// The kernel's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: Mac,
    /// The longest IP packet it carries.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Whether its frames are Ethernet frames.
    pub ethernet: bool,
}

impl Device {
    /// Finds an interface by its name. `InvalidInput` if the name is too long to be one; `ENODEV` if
    /// there is none.
    pub fn by_name(name: &str) -> io::Result<Self> {
        let mut request = empty();
        // One byte stays zero to end the name.
        if name.len() >= request.ifr_name.len() || name.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        Self::ask(&socket::for_ioctl()?, request)
    }

    /// Finds an interface by its number; `ENODEV` if there is none.
    pub fn by_index(index: u32) -> io::Result<Self> {
        let socket = socket::for_ioctl()?;
        let mut request = empty();
        request.ifr_ifru.ifru_ifindex = index as libc::c_int;
        ioctl(&socket, libc::SIOCGIFNAME as _, &mut request)?;
        Self::ask(&socket, request)
    }

    fn ask(socket: &OwnedFd, mut request: libc::ifreq) -> io::Result<Self> {
        ioctl(socket, libc::SIOCGIFINDEX as _, &mut request)?;
        // SAFETY: SIOCGIFINDEX has filled this member.
        let index = unsafe { request.ifr_ifru.ifru_ifindex } as u32;
        ioctl(socket, libc::SIOCGIFMTU as _, &mut request)?;
        // SAFETY: SIOCGIFMTU has filled this member.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu } as u32;
        ioctl(socket, libc::SIOCGIFFLAGS as _, &mut request)?;
        // SAFETY: SIOCGIFFLAGS has filled this member.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        ioctl(socket, libc::SIOCGIFHWADDR as _, &mut request)?;
        // SAFETY: SIOCGIFHWADDR has filled this member.
        let hardware = unsafe { request.ifr_ifru.ifru_hwaddr };
        let mut mac = Mac::default();
        for (to, from) in mac.0.iter_mut().zip(hardware.sa_data) {
            *to = from as u8;
        }
        // SAFETY: the kernel ends the name with a zero within the array, which `empty` and `by_name` left there too.
        let name = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
        Ok(Self {
            index,
            name: name.to_string_lossy().into_owned(),
            mac,
            mtu,
            up: flags & libc::IFF_UP != 0,
            ethernet: hardware.sa_family == libc::ARPHRD_ETHER,
        })
    }
}

fn empty() -> libc::ifreq {
    // SAFETY: all zero is a valid value of every member of the structure and its union.
    unsafe { std::mem::zeroed() }
}

fn ioctl(socket: &OwnedFd, what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every command used here reads and writes one ifreq.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, std::ptr::from_mut(request)) };
    socket::check(result).map(drop)
}
