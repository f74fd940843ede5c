//! The way back: packets that were hidden from the host, but are its own after all.
//!
//! Whoever got such a packet by a packet socket sends it unchanged out of the interface it came in by, with a mark
//! (`SO_MARK`) that nobody else uses. This program at the interface's TCX egress hook turns it round, so that it
//! comes in once more. There the [guard](super::guard) takes the mark off and lets it pass, and the
//! [filter](super::filter) keeps the packet sockets from getting it again.

use super::BpfError;
use super::asm::{Asm, If, Reg::*, Size};
use super::guard::PASS;
use super::walk::{SKB_IFINDEX, SKB_MARK};

const CALL_REDIRECT: i32 = 23;
/// Redirects to the interface's ingress.
const INGRESS: i32 = 1;

/// The program. `mark`, below 2^31, is that of packets to be turned round.
pub fn code(mark: u32) -> Result<Vec<u64>, BpfError> {
    let mut asm = Asm::new();
    let a = &mut asm;
    let pass = a.label();
    a.load(Size::W, R2, R1, SKB_MARK);
    a.jump_if(R2, If::NotEqual, mark as i32, pass);
    a.load(Size::W, R1, R1, SKB_IFINDEX);
    a.set(R2, INGRESS);
    a.call(CALL_REDIRECT);
    a.exit();
    a.place(pass);
    a.exit_with(PASS);
    Ok(asm.finish()?)
}
