//! Whether a connection is taken: nothing is said, nothing is read.

use super::{Failure, Passed, Probe, Progress, Reason, Verdict};

/// Passed once the connection is there (`TCP_CHECK`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Probe for Tcp {
    fn opened(&mut self, _: &mut Vec<u8>) -> Progress {
        Progress::Done(Ok(Passed::Plainly))
    }

    fn received(&mut self, _: &[u8], _: &mut Vec<u8>) -> Progress {
        Progress::Done(Ok(Passed::Plainly))
    }

    fn closed(&mut self) -> Verdict {
        Err(Reason::Closed.into())
    }

    fn expired(&mut self) -> Verdict {
        Err(Failure::from(Reason::ConnectTimeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_enough() {
        let mut out = Vec::new();
        let progress = Tcp.opened(&mut out);
        assert_eq!(progress, Progress::Done(Ok(Passed::Plainly)));
        assert!(out.is_empty());
    }

    #[test]
    fn none_is_not() {
        assert_eq!(Tcp.expired().unwrap_err().reason, Reason::ConnectTimeout);
        assert_eq!(Tcp.closed().unwrap_err().reason, Reason::Closed);
    }
}
