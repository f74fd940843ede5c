//! What is attached to an interface's TCX ingress hook.

use std::error::Error;
use std::io;

const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_TCX_INGRESS: u32 = 46;

/// The part of `union bpf_attr` that BPF_PROG_QUERY uses.
#[repr(C)]
#[derive(Default)]
struct Query {
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

/// How many programs are attached to `dev`.
pub(crate) fn attached(dev: &str) -> Result<u32, Box<dyn Error>> {
    let mut query = Query {
        ifindex: interface_index(dev)?,
        attach_type: BPF_TCX_INGRESS,
        ..Query::default()
    };
    // SAFETY: the kernel reads and writes at most the size given, which is that of `query`.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_QUERY,
            &raw mut query,
            size_of::<Query>(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(query.count)
}

/// The number of an interface of this namespace.
pub(crate) fn interface_index(dev: &str) -> Result<u32, Box<dyn Error>> {
    let shown = std::fs::read_to_string(format!("/sys/class/net/{dev}/ifindex"))?;
    Ok(shown.trim().parse()?)
}
