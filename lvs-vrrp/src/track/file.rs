//! The number in a file.

/// What a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no more to say")]
pub enum Reading {
    /// A number.
    Number(i32),
    /// Nothing, which is 0.
    Empty,
    /// Something else than a number, which is 0 to keepalived.
    NoNumber,
    /// A number that is none of 32 bits with sign: what the file said before still counts.
    TooLong,
}

impl Reading {
    /// No more of a file need be read.
    pub const LONGEST: usize = 127;

    /// What the content of a file says, the way keepalived's library function takes it: spaces and line ends before it, a
    /// sign, then digits as C writes them (0x: hexadecimal; 0: octal). What comes behind them does not matter.
    pub fn of(text: &[u8]) -> Self {
        let is_space = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r');
        let begin = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
        let text = text.get(begin..).unwrap_or_default();
        let (negative, digits) = match text {
            [] => return Self::Empty,
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (base, digits) = match digits {
            [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                (16, rest)
            }
            [b'0', ..] => (8, digits),
            _ => (10, digits),
        };
        let values = digits.iter().map_while(|b| char::from(*b).to_digit(base));
        let number = values.map(i64::from).fold(None, |sum: Option<i64>, digit| {
            let sum = sum.unwrap_or(0).saturating_mul(base.into());
            Some(sum.saturating_add(digit))
        });
        let Some(number) = number else {
            return Self::NoNumber;
        };
        let number = if negative { -number } else { number };
        i32::try_from(number).map_or(Self::TooLong, Self::Number)
    }

    /// The number that counts, if the last one does not.
    pub fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number.into()),
            Self::Empty | Self::NoNumber => Some(0),
            Self::TooLong => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reading::{self, Empty, NoNumber, Number, TooLong};

    /// keepalived 2.2.7 was asked about each of these, but for the greatest numbers, which it takes for others.
    #[test]
    fn as_keepalived_reads_them() {
        for (text, reading) in [
            ("8\n", Number(8)),
            (" 9\n", Number(9)),
            ("+10\n", Number(10)),
            ("-11\n", Number(-11)),
            ("12x\n", Number(12)),
            ("14 maintenance\n", Number(14)),
            ("\t15\n", Number(15)),
            ("\n\n17", Number(17)),
            ("1e2", Number(1)),
            ("1 000", Number(1)),
            ("0x10\n", Number(16)),
            ("-0XfF", Number(-255)),
            ("010\n", Number(8)),
            ("08", Number(0)),
            ("0", Number(0)),
            ("0x", Number(0)),
            ("0xg", Number(0)),
            ("2147483647", Number(i32::MAX)),
            ("-2147483648", Number(i32::MIN)),
            ("", Empty),
            ("\n", Empty),
            (" \t\r\n\x0b\x0c", Empty),
            ("x13\n", NoNumber),
            ("- 5", NoNumber),
            ("+-5", NoNumber),
            ("-", NoNumber),
            ("\u{fc}", NoNumber),
            ("2147483648", TooLong),
            ("-2147483649", TooLong),
            ("-4294967296", TooLong),
            ("99999999999999999999", TooLong),
            ("-0xffffffffffffffffffffffff", TooLong),
        ] {
            assert_eq!(Reading::of(text.as_bytes()), reading, "{text:?}");
        }
    }

    #[test]
    fn what_counts() {
        let counts = |text: &str| Reading::of(text.as_bytes()).number();
        assert_eq!(counts("-3"), Some(-3));
        assert_eq!(counts(""), Some(0));
        assert_eq!(counts("maintenance"), Some(0));
        assert_eq!(counts("4000000000"), None);
    }

    #[test]
    fn every_number_is_read_as_it_is_written() {
        for number in (i32::MIN..i32::MAX).step_by(65_521).chain([-1, 0, 1]) {
            let sign = if number < 0 { "-" } else { "" };
            let digits = number.unsigned_abs();
            for text in [
                format!("{number}"),
                format!("{sign}0x{digits:x}\n"),
                format!(" {sign}0{digits:o} "),
            ] {
                assert_eq!(Reading::of(text.as_bytes()), Number(number), "{text:?}");
            }
        }
    }
}
