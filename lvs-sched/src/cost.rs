//! What the schedulers that compare loads compare, for those who ask why a server was chosen.

use crate::load::{expected_delay_of, overhead_of};

/// How a scheduler that compares loads compares them: the first server of those with the least is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Formula {
    /// 256 × active + inactive connections (`lc`).
    Connections,
    /// The same, divided by the server's weight. Before `twos` compares, it draws; before `lblc` and `lblcr` do, they look for the
    /// destination address among those that they remember.
    ConnectionsByWeight,
    /// Active connections, the new one included, divided by the weight (`sed`, and `nq` where no server is idle).
    DelayByWeight,
}

impl Formula {
    /// That of the scheduler with this name; `None` if it does not compare loads.
    pub fn of(scheduler: &str) -> Option<Self> {
        match scheduler {
            "lc" => Some(Self::Connections),
            "wlc" | "twos" | "lblc" | "lblcr" => Some(Self::ConnectionsByWeight),
            "sed" | "nq" => Some(Self::DelayByWeight),
            _ => None,
        }
    }

    /// The cost of a server with so many connections, before it is divided by the weight if it is.
    pub const fn cost(self, active: u64, inactive: u64) -> u64 {
        match self {
            Self::Connections | Self::ConnectionsByWeight => overhead_of(active, inactive),
            Self::DelayByWeight => expected_delay_of(active),
        }
    }

    /// Whether the cost is divided by the weight before it is compared.
    pub const fn is_by_weight(self) -> bool {
        !matches!(self, Self::Connections)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, dest, packet};
    use crate::{NAMES, build};

    proptest! {
        #[test]
        fn the_first_with_the_least_cost_is_chosen(
            servers in proptest::collection::vec((0..5u32, 0..6u64, 0..600u64), 1..8),
        ) {
            let dests: Vec<_> = servers.iter().map(|&(w, a, i)| dest(w, a, i)).collect();
            for name in ["lc", "wlc", "sed", "lblc", "lblcr"] {
                let formula = Formula::of(name).unwrap();
                let least = (0..servers.len()).filter(|&i| servers[i].0 > 0).min_by_key(|&i| {
                    let (weight, active, inactive) = servers[i];
                    // 60 divides by every weight used, so the quotient is exact.
                    let scale = if formula.is_by_weight() { 60 / u64::from(weight) } else { 1 };
                    formula.cost(active, inactive) * scale
                });
                let mut scheduler = build(name).unwrap();
                scheduler.settle(&dests);
                prop_assert_eq!(scheduler.pick(&dests, &arrival(&packet())), least, "{}", name);
            }
        }
    }

    #[test]
    fn the_others_have_none() {
        let compare = ["lc", "wlc", "sed", "nq", "twos", "lblc", "lblcr"];
        for known in NAMES {
            let has = Formula::of(known.name).is_some();
            assert_eq!(has, compare.contains(&known.name), "{}", known.name);
        }
    }
}
