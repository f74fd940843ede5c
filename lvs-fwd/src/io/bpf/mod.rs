//! Programs in the kernel: what keeps the host's own stack away from the packets we forward.
//!
//! The host sees every packet that a packet socket sees. Left alone it answers a connection to a virtual
//! service with RST, or forwards the untranslated twin of a real server's reply. So small programs
//! work beside the packet sockets, all on the same maps of [`roles`]:
//!
//! - the [`guard`] at each interface's TCX hook hides from the host what we handle, and the program for
//!   [`returning`] gives back what was the host's after all;
//! - the [`filter`] on each packet socket spares us the copies of what we do not handle;
//! - the [`steer`]ing of a fan-out group brings both directions of a connection to the same worker.
//!
//! They are written with the assembler in [`asm`], share one header walk, and are loaded with
//! bpf(2) directly. The hooks hang on file descriptors: if the process ends, however it does, the host is as
//! before. A program that also forwards established flows in the kernel is another tail to the same walk with a
//! further [`map::Map`] keyed by connection.

pub mod asm;
pub mod filter;
pub mod guard;
pub mod map;
pub mod returning;
pub mod roles;
pub mod steer;

mod chain;
mod sys;
mod walk;

use std::{fmt, io};

pub use guard::Guard;
pub use sys::{Hook, Program, ProgramType, TcxLink, tcx_programs};

/// Why a program, map or attachment was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum BpfError {
    /// The process may not do this. Needed are `CAP_BPF` and `CAP_NET_ADMIN` in the initial user namespace.
    Permission {
        /// The command of bpf(2).
        step: &'static str,
    },
    /// The kernel does not know this; TCX came with Linux 6.6.
    Unsupported {
        /// The command of bpf(2).
        step: &'static str,
    },
    /// The kernel's verifier refused the program: a fault of ours.
    Rejected {
        /// What the verifier said.
        log: String,
    },
    /// The program could not be put together: a fault of ours.
    Assembly(asm::AsmError),
    /// There are more services, real servers, addresses and rules for marks than the maps hold.
    Full,
    /// Anything else.
    Os {
        /// The command of bpf(2).
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BpfError {
    fn from_os(step: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM) => Self::Permission { step },
            Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => Self::Unsupported { step },
            _ => Self::Os { step, source },
        }
    }
}

impl From<asm::AsmError> for BpfError {
    fn from(e: asm::AsmError) -> Self {
        Self::Assembly(e)
    }
}

impl fmt::Display for BpfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission { step } => {
                write!(f, "{step}: not permitted (needs CAP_BPF and CAP_NET_ADMIN)")
            }
            Self::Unsupported { step } => write!(f, "{step}: this kernel does not support it"),
            Self::Rejected { log } => write!(f, "the kernel refused the program: {log}"),
            Self::Assembly(e) => e.fmt(f),
            Self::Full => write!(
                f,
                "more than {} entries or {} rules for marks",
                roles::MAX_ENTRIES,
                roles::MAX_RULES
            ),
            Self::Os { step, source } => write!(f, "{step}: {source}"),
        }
    }
}

impl std::error::Error for BpfError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Assembly(e) => Some(e),
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}
