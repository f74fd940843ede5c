//! All that the kernel of a network namespace has been told: what is to be the same before and after.

use std::collections::BTreeSet;

use crate::node::Node;

/// A full dump of a namespace, a line each: links, addresses, routes of all tables, rules, multicast groups, firewall,
/// sysctls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains(BTreeSet<String>);

impl Remains {
    /// Reads it.
    ///
    /// # Panics
    /// If that fails.
    pub fn of(node: &Node) -> Self {
        let dumps = [
            "ip -d -o link show",
            "ip -d -o addr show",
            "ip -4 -d route show table all",
            "ip -6 -d route show table all",
            "ip -4 rule show",
            "ip -6 rule show",
            "ip maddr show",
            "nft list ruleset",
            "sysctl -a --ignore -r ^net\\.",
        ];
        let lines = dumps.iter().flat_map(|dump| {
            let argv: Vec<_> = dump.split(' ').collect();
            // sysctl complains of what cannot be read.
            let out = node.output(&argv);
            let lines = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(
                !lines.is_empty() || *dump == "nft list ruleset",
                "{dump}: {out:?}"
            );
            let lines = lines.lines().filter(|line| !changes_by_itself(line));
            lines
                .map(|line| format!("{dump}: {line}"))
                .collect::<Vec<_>>()
        });
        Self(lines.collect())
    }

    /// What is here and was not there, and the other way round.
    pub fn difference(&self, before: &Self) -> Vec<String> {
        let new = self.0.difference(&before.0).map(|line| format!("+ {line}"));
        let gone = before.0.difference(&self.0).map(|line| format!("- {line}"));
        new.chain(gone).collect()
    }
}

/// Counters of the kernel's that nobody sets.
fn changes_by_itself(line: &str) -> bool {
    let counters = ["conntrack_count", "file-nr", "tcp_mem", "udp_mem", "random"];
    line.starts_with("net.") && counters.iter().any(|counter| line.contains(counter))
}
