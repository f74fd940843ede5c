//! How keepalived reads numbers.
//!
//! Problem: it reads the digits at the beginning of a word and, unless it is strict, shrugs at what follows; decimals are
//! rounded to the places that it keeps.
//!
//! Rule: the same number comes out, with a note of what was odd about the word.

/// A number, in units of its last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: i64,
    /// Something stands behind its digits.
    pub(super) rubbish: bool,
    /// It had more decimals than count.
    pub(super) rounded: bool,
}

/// Reads a decimal number and keeps so many places: 1.5 with three places is 1500. `None` if the word does not begin with a number,
/// or with a gigantic one.
pub(super) fn decimal(word: &str, places: u8) -> Option<Number> {
    let word = word.trim_start();
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (whole, rest) = leading_digits(digits);
    let (fraction, rest) = match rest.strip_prefix('.').filter(|_| places > 0) {
        Some(rest) => leading_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    let kept = fraction.bytes().chain(std::iter::repeat(b'0'));
    for digit in whole.bytes().chain(kept.take(usize::from(places))) {
        value = value
            .checked_mul(10)?
            .checked_add(i64::from(digit - b'0'))?;
    }
    let dropped = fraction.as_bytes().get(usize::from(places)..);
    let dropped = dropped.unwrap_or_default();
    if dropped.first().is_some_and(|d| *d >= b'5') {
        value = value.checked_add(1)?;
    }
    Some(Number {
        value: if negative { -value } else { value },
        rubbish: !rest.trim_end().is_empty(),
        rounded: dropped.iter().any(|d| *d != b'0'),
    })
}

/// Reads a whole number.
pub(super) fn integer(word: &str) -> Option<Number> {
    decimal(word, 0)
}

fn leading_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

/// A number of units of 10^-places as people write it: 1500 with three places is `1.5`.
pub(super) fn shown(value: u64, places: u8) -> String {
    let unit = 10_u64.saturating_pow(u32::from(places));
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let fraction = format!("{fraction:0width$}", width = usize::from(places));
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_keepalived_reads_them() {
        for (word, places, value, rubbish, rounded) in [
            ("3", 0, 3, false, false),
            (" 3", 0, 3, false, false),
            ("+3", 0, 3, false, false),
            ("-253", 0, -253, false, false),
            ("10abc", 0, 10, true, false),
            ("1.5", 0, 1, true, false),
            ("3", 6, 3_000_000, false, false),
            ("2.718", 3, 2_718, false, false),
            (".5", 6, 500_000, false, false),
            ("5.", 6, 5_000_000, false, false),
            ("0.0004", 3, 0, false, true),
            ("0.0005", 3, 1, false, true),
            ("1.50000", 3, 1_500, false, false),
            ("1.5s", 6, 1_500_000, true, false),
        ] {
            let number = Number {
                value,
                rubbish,
                rounded,
            };
            assert_eq!(decimal(word, places), Some(number), "{word}");
        }
        for word in ["", "-", "abc", ".", "99999999999999999999", "9223372036855"] {
            assert_eq!(decimal(word, 6), None, "{word}");
        }
    }

    #[test]
    fn numbers_are_shown_short() {
        for (value, places, text) in [
            (0, 6, "0"),
            (1, 6, "0.000001"),
            (1_500, 3, "1.5"),
            (40_950, 3, "40.95"),
            (60_000_000, 6, "60"),
        ] {
            assert_eq!(shown(value, places), text);
        }
    }
}
