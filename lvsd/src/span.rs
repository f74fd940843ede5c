//! Spans of time as people write them on command lines, and as they are shown to them.

use std::time::Duration;

/// What spans look like, for messages.
pub(crate) const FORM: &str = "a time such as 30, 30s, 500ms, 5m or 2h";

/// Units, the longer name of two with the same ending first.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a whole number and its unit; without one it is seconds. `None` if it is none, or more than ten years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 3_650 * 86_400_000;
    let unit = |(name, size): &(&str, u64)| Some((text.strip_suffix(name)?, *size));
    let (digits, size) = UNITS.iter().find_map(unit).unwrap_or((text, 1_000));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = digits.parse::<u64>().ok()?.checked_mul(size)?;
    (millis <= LONGEST).then(|| Duration::from_millis(millis))
}

/// In a few letters, to the second: `47s`, `2m05s`, `1h02m`.
pub(crate) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{:02}s", seconds % 60),
        _ => format!("{hours}h{:02}m", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        for (text, millis) in [
            ("0", Some(0)),
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("3650d", Some(315_360_000_000)),
            ("3651d", None),
            ("99999999999999999999", None),
            ("99999999999999999d", None),
            ("", None),
            ("s", None),
            ("-1", None),
            ("+1", None),
            ("1.5s", None),
            ("1 s", None),
            ("1x", None),
        ] {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn spans_are_shown_in_a_few_letters() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (125, "2m05s"),
            (3_599, "59m59s"),
            (3_720, "1h02m"),
            (360_000, "100h00m"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), shown);
        }
    }
}
