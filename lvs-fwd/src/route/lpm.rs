//! Longest-prefix match: one hash map for each prefix length in use, longest first. A host has few
//! lengths (three is usual), so this beats a trie, and it does not care how many routes there are. The
//! default route, by which most packets to clients leave, needs no map.

use std::hash::BuildHasherDefault;

use ahash::AHasher;
use hashbrown::HashMap;
use lvs_core::{Family, Ip};

/// What each prefix stands for.
#[derive(Clone, Debug)]
pub(super) struct Lpm<T> {
    /// A mask and the prefixes of that length, longest first.
    by_mask: Vec<(u128, Map<u128, T>)>,
    /// What the prefix of length 0 stands for.
    default: Option<T>,
}

impl<T> Lpm<T> {
    /// Of entries with the same prefix the first one counts. Lengths above the family's are cut to it.
    pub(super) fn new(family: Family, entries: impl Iterator<Item = (Ip, u8, T)>) -> Self {
        let Self {
            mut by_mask,
            mut default,
        } = Self::default();
        for (ip, len, value) in entries {
            if len == 0 {
                default.get_or_insert(value);
                continue;
            }
            let mask = mask(family, len);
            let i = match by_mask.binary_search_by(|(m, _)| mask.cmp(m)) {
                Ok(i) => i,
                Err(i) => {
                    by_mask.insert(i, (mask, Map::default()));
                    i
                }
            };
            if let Some((_, map)) = by_mask.get_mut(i) {
                map.entry(bits(ip) & mask).or_insert(value);
            }
        }
        Self { by_mask, default }
    }

    /// What the longest prefix that holds the address stands for.
    #[inline]
    pub(super) fn get(&self, bits: u128) -> Option<&T> {
        self.by_mask
            .iter()
            .find_map(|(mask, map)| map.get(&(bits & mask)))
            .or(self.default.as_ref())
    }

    /// All entries for one address.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (Ip, &T)> {
        let hosts = self.by_mask.iter().filter(|(mask, _)| *mask == u128::MAX);
        hosts
            .flat_map(|(_, map)| map)
            .map(|(bits, value)| (Ip::v6(bits.to_be_bytes()), value))
    }
}

impl<T> Default for Lpm<T> {
    fn default() -> Self {
        Self {
            by_mask: Vec::new(),
            default: None,
        }
    }
}

/// The hash needs no secret seed: the kernel bounds the number of its routes and neighbours itself.
pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<AHasher>>;

/// The address as a number, its first bit the highest.
#[inline]
pub(super) fn bits(ip: Ip) -> u128 {
    u128::from_be_bytes(*ip.bytes())
}

/// The length of a prefix that holds one address.
pub(super) const fn full_length(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

fn mask(family: Family, prefix_len: u8) -> u128 {
    let host_bits = full_length(family).saturating_sub(prefix_len);
    u128::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0)
}
