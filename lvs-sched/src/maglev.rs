//! Maglev's look-up table: which of a fixed number of slots belongs to which server.
//!
//! Problem: spread clients over servers by hash, evenly and by weight, so that few of them move when a server comes or
//! goes, and so that every director on its own spreads them alike.
//!
//! Rule ("Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4): every server has a
//! permutation of the slots. In turn each claims the next free slot of its own, the heavier ones several at a time, until
//! all slots are claimed.

/// The slot of nobody, in a table without members.
pub const NOBODY: u32 = u32::MAX;

/// A server's part in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Member {
    /// Its first choice among the slots.
    pub offset: u32,
    /// How far each choice is from the one before: at least 1 and less than the number of slots.
    pub skip: u32,
    /// How many slots it claims in its turn. Without any it takes no part.
    pub turns: u32,
}

/// The table of these members: for each slot the position of the member that holds it. The number of slots must be prime,
/// or permutations leave some out and the table may never be full.
pub fn table(members: &[Member], slots: u32) -> Vec<u32> {
    let mut table = vec![NOBODY; slots as usize];
    let mut taken = Bits::new(slots);
    let mut taking_part: Vec<(u32, Member)> = (0..).zip(members.iter().copied()).collect();
    taking_part.retain(|(_, member)| member.turns > 0);
    let mut free = if taking_part.is_empty() { 0 } else { slots };
    while free > 0 {
        for (position, member) in &mut taking_part {
            for _ in 0..member.turns.min(free) {
                while taken.has(member.offset) {
                    let next = member.offset + member.skip;
                    // Modulo the number of slots: what goes below 0 is huge.
                    member.offset = next.min(next.wrapping_sub(slots));
                }
                taken.set(member.offset);
                table[member.offset as usize] = *position;
                free -= 1;
            }
        }
    }
    table
}

/// Which slots are taken. Most of the time goes into asking for it, so it should be small.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u32) -> Self {
        Self(vec![0; count as usize / 64 + 1])
    }

    fn has(&self, i: u32) -> bool {
        self.0[i as usize / 64] >> (i % 64) & 1 != 0
    }

    fn set(&mut self, i: u32) {
        self.0[i as usize / 64] |= 1 << (i % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper's table 1: three servers, seven slots; then without the second.
    #[test]
    fn the_papers_example() {
        let member = |(offset, skip)| Member {
            offset,
            skip,
            turns: 1,
        };
        let all = [(3, 4), (0, 2), (3, 1)].map(member);
        assert_eq!(table(&all, 7), [1, 0, 1, 0, 2, 2, 0]);
        assert_eq!(table(&[all[0], all[2]], 7), [0, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn without_turns_there_is_no_part() {
        let idle = Member {
            offset: 1,
            skip: 1,
            turns: 0,
        };
        assert_eq!(table(&[idle], 5), [NOBODY; 5]);
        assert_eq!(table(&[], 5), [NOBODY; 5]);
        let greedy = Member {
            turns: u32::MAX,
            ..idle
        };
        assert_eq!(table(&[idle, greedy, greedy], 5), [1; 5]);
    }
}
