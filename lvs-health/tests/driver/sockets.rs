//! Checks over sockets: what each way to answer, or not to, is taken for.

use lvs_health::check::Kind;
use lvs_health::{Passed, Reason};

use crate::bed::{check, first_reason, first_verdict, nobody, server};

#[test]
fn a_connection_is_taken_or_refused() {
    let addr = server(drop);
    assert_eq!(first_verdict(check(Kind::Tcp, addr)), Ok(Passed::Plainly));
    assert_eq!(first_reason(check(Kind::Tcp, nobody())), Reason::Refused);
}
