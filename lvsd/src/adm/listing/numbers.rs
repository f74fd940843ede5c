//! Counters and rates in columns nine wide.

/// A number as ipvsadm shows it: in full with `--exact`, however long it gets; else shortened to what fits.
pub(super) fn counter(n: u64, exact: bool) -> String {
    const UNITS: [(u64, u64, &str); 4] = [
        (1_000_000_000, 1_000, "K"),
        (100_000_000_000, 1_000_000, "M"),
        (100_000_000_000_000, 1_000_000_000, "G"),
        (u64::MAX, 1_000_000_000_000, "T"),
    ];
    if exact {
        return format!(" {n:>8}");
    }
    if n < 100_000_000 {
        return format!("{n:>9}");
    }
    let unit = UNITS.iter().find(|(below, ..)| n < *below);
    let (_, size, name) = unit.unwrap_or(&UNITS[3]);
    format!("{:>8}{name}", n / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ipvsadm 1.31 was seen to show them.
    #[test]
    fn long_numbers_are_shortened() {
        for (n, short, exact) in [
            (0, "        0", "        0"),
            (99_999_999, " 99999999", " 99999999"),
            (100_000_000, "  100000K", " 100000000"),
            (999_999_999, "  999999K", " 999999999"),
            (1_000_000_000, "    1000M", " 1000000000"),
            (99_999_999_999, "   99999M", " 99999999999"),
            (100_000_000_000, "     100G", " 100000000000"),
            (99_999_999_999_999, "   99999G", " 99999999999999"),
            (100_000_000_000_000, "     100T", " 100000000000000"),
            (u64::MAX, "18446744T", " 18446744073709551615"),
        ] {
            assert_eq!(counter(n, false), short);
            assert_eq!(counter(n, true), exact);
        }
    }
}
