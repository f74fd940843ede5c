//! Numbers that fit a column.

const UNITS: [char; 6] = ['k', 'M', 'G', 'T', 'P', 'E'];

/// The number itself while it has no more than `digits` digits (4 at least), else three of its digits and a unit: `1.23M`, `12.3M`, `123M`.
/// The rest is cut off.
pub(super) fn short(n: u64, digits: usize) -> String {
    let whole = n.to_string();
    if whole.len() <= digits.max(4) {
        return whole;
    }
    let unit = UNITS.get((whole.len() - 1) / 3 - 1).unwrap_or(&'E');
    let (left, right) = whole.split_at((whole.len() - 1) % 3 + 1);
    match right.get(..3 - left.len()) {
        Some("") | None => format!("{left}{unit}"),
        Some(right) => format!("{left}.{right}{unit}"),
    }
}

/// Bits of so many bytes, always with a unit from 1000 on: people compare them by it.
pub(super) fn bits(bytes: u64) -> String {
    let bits = bytes.saturating_mul(8);
    match bits {
        0..1_000 => bits.to_string(),
        1_000..10_000 => format!("{}.{:02}k", bits / 1_000, bits % 1_000 / 10),
        _ => short(bits, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_to_three_digits() {
        for (n, digits, shown) in [
            (0, 5, "0"),
            (99_999, 5, "99999"),
            (100_000, 5, "100k"),
            (100_000, 6, "100000"),
            (9_999, 4, "9999"),
            (9_999, 0, "9999"),
            (10_000, 4, "10.0k"),
            (12_399, 4, "12.3k"),
            (999_999, 5, "999k"),
            (1_239_999, 5, "1.23M"),
            (12_399_999, 5, "12.3M"),
            (123_999_999, 5, "123M"),
            (1_234_567_890, 6, "1.23G"),
            (u64::MAX, 6, "18.4E"),
        ] {
            assert_eq!(short(n, digits), shown, "{n}");
        }
    }

    #[test]
    fn bits_have_a_unit() {
        for (bytes, shown) in [
            (0, "0"),
            (124, "992"),
            (125, "1.00k"),
            (1_249, "9.99k"),
            (1_250, "10.0k"),
            (125_000, "1.00M"),
            (1_250_000_000, "10.0G"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(bits(bytes), shown, "{bytes}");
        }
    }
}
