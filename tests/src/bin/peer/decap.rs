//! A tunnel's open end on a real server.

use std::io;
use std::sync::atomic::AtomicBool;

use lvsd::demo::decap::Decap;

/// Where GUE arrives.
const GUE_PORT: u16 = 6080;

/// Unwraps IPIP, GRE and GUE of every combination of families, for ever. The kernel is given no part in it, so that the
/// tests do the same on every machine.
pub(crate) fn run() -> io::Result<()> {
    let decap = Decap::open(false)?.with_gue(GUE_PORT)?;
    println!("ready");
    decap.run(&AtomicBool::new(false));
    Ok(())
}
