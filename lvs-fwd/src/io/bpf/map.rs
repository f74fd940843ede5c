//! Maps in the kernel, with keys and values of fixed length.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::sys::MapType;
use super::{BpfError, sys};

/// A map shared with programs, from keys of `K` bytes to values of `V` bytes. It takes memory as entries come.
#[derive(Debug)]
pub struct Map<const K: usize, const V: usize> {
    fd: OwnedFd,
}

impl<const K: usize, const V: usize> Map<K, V> {
    /// Creates a hash map for at most `max_entries`. The name (15 bytes of letters, digits, `_`, `.`) shows up in
    /// tools.
    pub fn hash(name: &str, max_entries: u32) -> Result<Self, BpfError> {
        let fd = sys::create_map(MapType::Hash, name, K as u32, V as u32, max_entries)?;
        Ok(Self { fd })
    }

    /// Creates a map of prefixes. Keys are a length in bits (four bytes, native order) and the bits; a program that
    /// asks for a whole key finds the longest prefix of it.
    pub fn prefixes(name: &str, max_entries: u32) -> Result<Self, BpfError> {
        let fd = sys::create_map(MapType::Prefixes, name, K as u32, V as u32, max_entries)?;
        Ok(Self { fd })
    }

    /// The descriptor to write into programs, for [`Asm::load_map`](super::asm::Asm::load_map). The program
    /// must be loaded while the map lives; from then on it keeps the map itself.
    pub fn raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Inserts or replaces.
    pub fn insert(&self, key: &[u8; K], value: &[u8; V]) -> Result<(), BpfError> {
        sys::update(self.fd.as_fd(), key, value).map_err(|e| match e.raw_os_error() {
            Some(libc::E2BIG | libc::ENOSPC) => BpfError::Full,
            _ => BpfError::from_os("BPF_MAP_UPDATE_ELEM", e),
        })
    }

    /// Removes; returns whether there was such an entry.
    pub fn remove(&self, key: &[u8; K]) -> Result<bool, BpfError> {
        match sys::delete(self.fd.as_fd(), key) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(BpfError::from_os("BPF_MAP_DELETE_ELEM", e)),
        }
    }

    /// Reads an entry; of prefixes, the longest that matches.
    pub fn get(&self, key: &[u8; K]) -> Result<Option<[u8; V]>, BpfError> {
        match sys::lookup(self.fd.as_fd(), key) {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(BpfError::from_os("BPF_MAP_LOOKUP_ELEM", e)),
        }
    }
}
