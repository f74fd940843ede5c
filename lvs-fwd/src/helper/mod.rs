//! Protocol helpers: for protocols that speak of addresses in their payload, above all FTP.
//!
//! NAT changes the addresses of packets, but a server that says "connect to 10.0.0.11, port 33589" says it in the
//! payload. A [`Helper`] reads the payload of the connections to its port, announces the connections that it hears
//! of, and says which bytes are to be replaced. It is a pure function of connection and payload; all that follows
//! from its answer is done here, once for all helpers:
//!
//! - lengths and checksums, complete or partial, of packets and of aggregates (module `mend`);
//! - the sequence numbers of a TCP connection whose payload has changed its length (module `sequence`).
//!
//! ```text
//! packet ─decide→ Forward { helper: n } ─assist→ Helper::look ─mend→ packet ─rewrite→ …
//! ```
//!
//! A helper sees one segment at a time and keeps nothing but 32 bits of notes: what a command in two segments means,
//! it does not find out. So it is with IPVS.

pub mod ftp;
mod mend;
mod sequence;
pub mod sip;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lvs_core::{Assist, Protocol};

pub use ftp::Ftp;
pub(crate) use mend::{Mended, mend};

/// Reads and changes the payload of NAT connections to certain ports.
pub trait Helper: fmt::Debug + Send + Sync {
    /// A short name.
    fn name(&self) -> &'static str;

    /// The protocols (TCP, UDP) and service ports it is for.
    fn serves(&self) -> Vec<(Protocol, u16)>;

    /// Looks at the payload of a packet, of TCP what one segment carries. It may change the notes of `conn` and
    /// announce connections in [`Assist::expected`]; what it does to [`Assist::shift_in`] and [`Assist::shift_out`] counts
    /// for nothing.
    ///
    /// `again` means that bytes which it has replaced are sent once more: `payload` begins where that of the first
    /// time began, and the answer must be the same. Nothing need be announced anew.
    fn look(&self, conn: &mut Assist, payload: &[u8], again: bool) -> Option<Edit>;
}

/// What is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "helpers make it")]
pub struct Edit {
    /// The range of the payload.
    pub range: Range<usize>,
    /// What comes in its place.
    pub with: Vec<u8>,
}

/// The helpers there are, each under the numbers of its ports: [`Settings::helpers`](lvs_core::Settings) of the
/// director must be [`Helpers::ports`].
#[derive(Clone, Debug, Default)]
pub struct Helpers(Arc<[Entry]>);

#[derive(Debug)]
struct Entry {
    serves: (Protocol, u16),
    helper: Arc<dyn Helper>,
}

impl Helpers {
    /// Takes up helpers. Where two want the same port, the first has it.
    pub fn new(helpers: impl IntoIterator<Item = Arc<dyn Helper>>) -> Self {
        let entries = helpers.into_iter().flat_map(|helper| {
            let serves = helper.serves();
            serves.into_iter().map(move |serves| Entry {
                serves,
                helper: helper.clone(),
            })
        });
        Self(entries.collect())
    }

    /// FTP at port 21, as IPVS's module has it.
    pub fn standard() -> Self {
        Self::new([Arc::new(Ftp::default()) as Arc<dyn Helper>])
    }

    /// The ports they serve, by number.
    pub fn ports(&self) -> Vec<(Protocol, u16)> {
        self.0.iter().map(|e| e.serves).collect()
    }

    /// The helper with a number.
    pub fn get(&self, number: u8) -> Option<&dyn Helper> {
        self.0.get(usize::from(number)).map(|e| &*e.helper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_numbered_by_their_ports() {
        let two = Helpers::new([
            Arc::new(Ftp::new(&[21, 2121])) as Arc<dyn Helper>,
            Arc::new(Ftp::new(&[8021])),
        ]);
        let ports = [21, 2121, 8021].map(|p| (Protocol::TCP, p));
        assert_eq!(two.ports(), ports);
        assert!((0..3).all(|n| two.get(n).is_some_and(|h| h.name() == "ftp")));
        assert!(two.get(3).is_none());
        assert_eq!(Helpers::standard().ports(), [(Protocol::TCP, 21)]);
        assert!(Helpers::default().get(0).is_none());
    }
}
