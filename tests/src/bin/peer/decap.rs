//! A tunnel's open end on a real server.

use std::io;
use std::sync::atomic::AtomicBool;

use lvsd::demo::decap::Decap;

/// Unwraps IPIP of every combination of families, for ever. The kernel is given no part in it, so that the
/// tests do the same on every machine.
pub(crate) fn run() -> io::Result<()> {
    let decap = Decap::open(false)?;
    println!("ready");
    decap.run(&AtomicBool::new(false));
    Ok(())
}
