//! What is remembered of the routers that were heard.

use std::net::IpAddr;

/// The routers that were heard, in bounded memory. Only those get in that are known not to be forged, or are configured;
/// beyond [`MAX`](Self::MAX) the one heard longest ago is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Senders {
    list: Vec<Sender>,
    clock: u64,
}

/// A router that was heard.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    addr: IpAddr,
    /// When it was heard last, by the count of all.
    heard: u64,
    /// The last AH sequence number.
    pub(super) sequence: Option<u32>,
    /// The last number in a trailer.
    pub(super) stamp: Option<u64>,
    /// It makes checksums with the group's address.
    pub(super) old_checksum: bool,
}

impl Senders {
    /// How many are remembered.
    pub(super) const MAX: usize = 256;

    /// What is remembered of one.
    pub(super) fn get(&self, addr: IpAddr) -> Option<&Sender> {
        self.list.iter().find(|s| s.addr == addr)
    }

    /// One to be remembered from now on.
    pub(super) fn entry(&mut self, addr: IpAddr) -> &mut Sender {
        self.clock += 1;
        let at = self.place(addr);
        let sender = &mut self.list[at];
        sender.heard = self.clock;
        sender
    }

    fn place(&mut self, addr: IpAddr) -> usize {
        if let Some(at) = self.list.iter().position(|s| s.addr == addr) {
            return at;
        }
        if self.list.len() >= Self::MAX
            && let Some((oldest, _)) = self.list.iter().enumerate().min_by_key(|(_, s)| s.heard)
        {
            self.list.swap_remove(oldest);
        }
        self.list.push(Sender {
            addr,
            heard: self.clock,
            sequence: None,
            stamp: None,
            old_checksum: false,
        });
        self.list.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn addr(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    #[test]
    fn the_one_heard_longest_ago_is_forgotten() {
        let mut senders = Senders::default();
        for n in 0..Senders::MAX as u32 {
            senders.entry(addr(n)).sequence = Some(n);
        }
        senders.entry(addr(0));
        senders.entry(addr(1000));
        assert_eq!(senders.list.len(), Senders::MAX);
        assert_eq!(senders.get(addr(0)).unwrap().sequence, Some(0));
        assert!(senders.get(addr(1)).is_none());
        assert_eq!(senders.get(addr(2)).unwrap().sequence, Some(2));
        assert!(senders.get(addr(1000)).unwrap().sequence.is_none());
    }
}
