//! bpf(2): the few commands in use, each behind a safe function.
//!
//! The kernel takes one structure a command and insists that whatever it does not know is zero, so each
//! is a plain C layout without hidden padding, filled completely. File descriptors come back owned and
//! close-on-exec (the kernel sees to that), so nothing outlives the process.

#![expect(unsafe_code, reason = "bpf(2) takes pointers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::BpfError;

/// What a program is for, and thereby what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the ones in use")]
#[repr(u32)]
pub enum ProgramType {
    /// Chooses the packets a socket gets, or the socket a packet goes to.
    SocketFilter = 1,
    /// Decides about packets at an interface's TCX hook.
    SchedCls = 3,
}

/// A program in the kernel. It goes once nothing uses it and this is dropped.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A program's hold on one of an interface's TCX hooks; dropping it lets go, and so does the end of the
/// process, however it comes.
#[derive(Debug)]
pub struct TcxLink {
    _fd: OwnedFd,
}

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP: u32 = 1;
const MAP_UPDATE: u32 = 2;
const MAP_DELETE: u32 = 3;
const PROG_LOAD: u32 = 5;
const PROG_TEST_RUN: u32 = 10;
const OBJ_GET_INFO: u32 = 15;
const PROG_QUERY: u32 = 16;
const LINK_CREATE: u32 = 28;

/// What a map's keys are.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum MapType {
    /// Values to be found again as they are.
    Hash = 1,
    /// Prefixes: a number of bits and then the bits; the longest that matches is found.
    Prefixes = 11,
}

/// Entries take memory when they come, not when the map is made.
const NO_PREALLOC: u32 = 1;
/// With no other program named: before all that are there.
const BEFORE: u32 = 8;

/// Where at an interface a program sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
#[repr(u32)]
pub enum Hook {
    /// What comes in, behind packet sockets and before the host's IP layer.
    Ingress = 46,
    /// What goes out, behind the host's IP layer and before packet sockets that listen.
    Egress = 47,
}

/// The licence the kernel asks for: helpers in use are open to any, but TCX programs commonly say so.
const LICENSE: &[u8] = b"Dual MIT/GPL\0";

/// Creates a map.
pub(super) fn create_map(
    kind: MapType,
    name: &str,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
) -> Result<OwnedFd, BpfError> {
    #[repr(C)]
    struct Attr {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        name: [u8; 16],
    }
    let mut attr = Attr {
        map_type: kind as u32,
        key_size,
        value_size,
        max_entries,
        map_flags: NO_PREALLOC,
        inner_map_fd: 0,
        numa_node: 0,
        name: object_name(name),
    };
    // SAFETY: the structure is MAP_CREATE's and holds no pointer.
    let fd = unsafe { bpf(MAP_CREATE, &mut attr) };
    fd.map(owned)
        .map_err(|e| BpfError::from_os("BPF_MAP_CREATE", e))
}

#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Inserts or replaces. The lengths must be those the map was created with.
pub(super) fn update<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
    value: &[u8; V],
) -> io::Result<()> {
    let mut attr = element(map, key);
    attr.value = value.as_ptr() as u64;
    // SAFETY: key and value are as long as the map's, which `map::HashMap` sees to, and outlive the call.
    unsafe { bpf(MAP_UPDATE, &mut attr) }.map(drop)
}

/// Removes an entry; `NotFound` if there is none.
pub(super) fn delete<const K: usize>(map: BorrowedFd<'_>, key: &[u8; K]) -> io::Result<()> {
    let mut attr = element(map, key);
    // SAFETY: the key is as long as the map's and outlives the call.
    unsafe { bpf(MAP_DELETE, &mut attr) }.map(drop)
}

/// Reads an entry; `NotFound` if there is none.
pub(super) fn lookup<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
) -> io::Result<[u8; V]> {
    let mut value = [0; V];
    let mut attr = element(map, key);
    attr.value = value.as_mut_ptr() as u64;
    // SAFETY: key and value are as long as the map's; the kernel writes the value before the call ends.
    unsafe { bpf(MAP_LOOKUP, &mut attr) }?;
    Ok(value)
}

fn element<const K: usize>(map: BorrowedFd<'_>, key: &[u8; K]) -> ElementAttr {
    ElementAttr {
        map_fd: map.as_raw_fd() as u32,
        pad: 0,
        key: key.as_ptr() as u64,
        value: 0,
        flags: 0,
    }
}

impl Program {
    /// Loads a program. If the verifier refuses it, its log is in the error.
    pub fn load(kind: ProgramType, name: &str, code: &[u64]) -> Result<Self, BpfError> {
        match Self::try_load(kind, name, code, &mut []) {
            Ok(program) => Ok(program),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EACCES | libc::EINVAL)) => {
                // Once more, for the log: asking for it at first would cost time at each start.
                let mut log = vec![0; 1 << 20];
                let again = Self::try_load(kind, name, code, &mut log);
                let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
                again.map_err(|source| match String::from_utf8_lossy(&log[..end]).trim() {
                    "" => BpfError::from_os("BPF_PROG_LOAD", source),
                    log => BpfError::Rejected {
                        log: log.to_owned(),
                    },
                })
            }
            Err(e) => Err(BpfError::from_os("BPF_PROG_LOAD", e)),
        }
    }

    fn try_load(kind: ProgramType, name: &str, code: &[u64], log: &mut [u8]) -> io::Result<Self> {
        #[repr(C)]
        struct Attr {
            prog_type: u32,
            insn_cnt: u32,
            insns: u64,
            license: u64,
            log_level: u32,
            log_size: u32,
            log_buf: u64,
            kern_version: u32,
            prog_flags: u32,
            name: [u8; 16],
            ifindex: u32,
            expected_attach_type: u32,
        }
        let mut attr = Attr {
            prog_type: kind as u32,
            insn_cnt: code.len() as u32,
            insns: code.as_ptr() as u64,
            license: LICENSE.as_ptr() as u64,
            log_level: u32::from(!log.is_empty()),
            log_size: log.len() as u32,
            log_buf: if log.is_empty() {
                0
            } else {
                log.as_mut_ptr() as u64
            },
            kern_version: 0,
            prog_flags: 0,
            name: object_name(name),
            ifindex: 0,
            expected_attach_type: 0,
        };
        // SAFETY: code, licence (ended by a zero byte) and log are as long as said and outlive the call.
        unsafe { bpf(PROG_LOAD, &mut attr) }.map(|fd| Self(owned(fd)))
    }

    /// Attaches the program to an interface's TCX hook (Linux 6.6), before all other programs
    /// there, so that none of them can decide instead of it.
    pub fn attach_tcx(&self, ifindex: u32, hook: Hook) -> Result<TcxLink, BpfError> {
        self.try_attach(ifindex, hook, BEFORE)
            .or_else(|e| match e.raw_os_error() {
                Some(libc::EINVAL) => self.try_attach(ifindex, hook, 0),
                _ => Err(e),
            })
            .map_err(|e| BpfError::from_os("BPF_LINK_CREATE (TCX)", e))
    }

    fn try_attach(&self, ifindex: u32, hook: Hook, flags: u32) -> io::Result<TcxLink> {
        #[repr(C)]
        struct Attr {
            prog_fd: u32,
            ifindex: u32,
            attach_type: u32,
            flags: u32,
            relative: u32,
            pad: u32,
            expected_revision: u64,
        }
        let mut attr = Attr {
            prog_fd: self.0.as_raw_fd() as u32,
            ifindex,
            attach_type: hook as u32,
            flags,
            relative: 0,
            pad: 0,
            expected_revision: 0,
        };
        // SAFETY: the structure is LINK_CREATE's and holds no pointer.
        let fd = unsafe { bpf(LINK_CREATE, &mut attr) }?;
        Ok(TcxLink { _fd: owned(fd) })
    }

    /// The kernel's number of the program, as tools list it.
    pub fn id(&self) -> io::Result<u32> {
        #[repr(C)]
        struct Attr {
            fd: u32,
            len: u32,
            info: u64,
        }
        let mut info = [0u32; 2]; // the first fields of bpf_prog_info: type, id
        let mut attr = Attr {
            fd: self.0.as_raw_fd() as u32,
            len: size_of_val(&info) as u32,
            info: info.as_mut_ptr() as u64,
        };
        // SAFETY: the kernel writes at most `len` bytes to `info`, which outlives the call.
        unsafe { bpf(OBJ_GET_INFO, &mut attr) }?;
        Ok(info[1])
    }

    /// Runs the program `repeat` times over one made-up packet (Ethernet header first, at least 14
    /// bytes), for tests and measurements. Returns its result and the mean time in nanoseconds.
    pub fn test_run(&self, frame: &[u8], repeat: u32) -> io::Result<(u32, u32)> {
        self.run(frame, repeat, &mut [])
    }

    /// The same, once, as if the packet had come in by this interface and with this mark of the kernel's
    /// (`SO_MARK`); only for [`ProgramType::SchedCls`]. Returns the result and the mark afterwards.
    pub fn test_run_on(&self, frame: &[u8], ifindex: u32, mark: u32) -> io::Result<(u32, u32)> {
        const LEN: usize = 192; // of struct __sk_buff
        const MARK: usize = 8;
        const IFINDEX: usize = 40;
        let mut context = [0; LEN];
        context[MARK..MARK + 4].copy_from_slice(&mark.to_ne_bytes());
        context[IFINDEX..IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
        let (result, _) = self.run(frame, 1, &mut context)?;
        let mark = context[MARK..].first_chunk().copied().unwrap_or_default();
        Ok((result, u32::from_ne_bytes(mark)))
    }

    fn run(&self, frame: &[u8], repeat: u32, context: &mut [u8]) -> io::Result<(u32, u32)> {
        #[repr(C)]
        struct Attr {
            prog_fd: u32,
            retval: u32,
            data_size_in: u32,
            data_size_out: u32,
            data_in: u64,
            data_out: u64,
            repeat: u32,
            duration: u32,
            ctx_size_in: u32,
            ctx_size_out: u32,
            ctx_in: u64,
            ctx_out: u64,
            flags: u32,
            cpu: u32,
            batch_size: u32,
            pad: u32,
        }
        let mut attr = Attr {
            prog_fd: self.0.as_raw_fd() as u32,
            retval: 0,
            data_size_in: frame.len() as u32,
            data_size_out: 0,
            data_in: frame.as_ptr() as u64,
            data_out: 0,
            repeat,
            duration: 0,
            ctx_size_in: context.len() as u32,
            ctx_size_out: context.len() as u32,
            ctx_in: 0,
            ctx_out: 0,
            flags: 0,
            cpu: 0,
            batch_size: 0,
            pad: 0,
        };
        if !context.is_empty() {
            attr.ctx_in = context.as_ptr() as u64;
            attr.ctx_out = context.as_mut_ptr() as u64;
        }
        // SAFETY: the frame is only read, the context read and written up to its length; both outlive the call.
        unsafe { bpf(PROG_TEST_RUN, &mut attr) }?;
        Ok((attr.retval, attr.duration))
    }
}

/// The numbers of the programs at an interface's TCX hook, in the order they run (at most 64).
pub fn tcx_programs(ifindex: u32, hook: Hook) -> io::Result<Vec<u32>> {
    #[repr(C)]
    struct Attr {
        ifindex: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        count: u32,
        pad: u32,
        prog_attach_flags: u64,
        link_ids: u64,
        link_attach_flags: u64,
        revision: u64,
    }
    let mut ids = vec![0u32; 64];
    let mut attr = Attr {
        ifindex,
        attach_type: hook as u32,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        pad: 0,
        prog_attach_flags: 0,
        link_ids: 0,
        link_attach_flags: 0,
        revision: 0,
    };
    // SAFETY: the kernel writes at most `count` numbers to `ids`, which outlives the call.
    unsafe { bpf(PROG_QUERY, &mut attr) }?;
    ids.truncate(attr.count as usize);
    Ok(ids)
}

/// # Safety
/// `attr` must be the structure of that command without hidden padding, and every address in it valid for what the
/// command does with it.
unsafe fn bpf<T>(command: u32, attr: &mut T) -> io::Result<i32> {
    // SAFETY: by this function's contract; the kernel reads and writes no more than the given size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}

/// Takes a descriptor that bpf(2) has just returned.
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just opened it for us, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A name as the kernel keeps it: up to 15 bytes, ended by zero.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    bytes
}
