//! What a word can be.

use super::number;

/// What a word can be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number.
    Int {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A time in seconds. The limits are in units of the last place that counts.
    Time {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
        /// How many decimals count.
        places: u8,
    },
    /// A time in milliseconds, of up to three decimals. The limits are in microseconds.
    Millis {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
    },
    /// `true`, `on`, `yes`, or `false`, `off`, `no`.
    Bool,
    /// An address of either family.
    Addr,
    /// An IPv4 address.
    Addr4,
    /// An IPv6 address.
    Addr6,
    /// An address or the name of a host.
    Host,
    /// An address with or without a prefix's length.
    Prefix,
    /// One address, several in a row (`10.0.0.1-9`, `10.0.0.1-10.0.0.9`) or a network.
    Addrs,
    /// A network mask of IPv4.
    Mask,
    /// Six octets, or five before which something else comes.
    Mac,
    /// Any word.
    Text,
    /// Any word of at most so many bytes.
    Word {
        /// So many.
        max: usize,
    },
    /// The name of an interface.
    Interface,
    /// Labels of MPLS or a locator of ILA: digits with `/` or `:` between.
    Labels,
    /// A path from the root.
    Path,
    /// What stands in a URL behind the host.
    UrlPath,
    /// A script: one word of a shell, with its arguments in quotes, and whom it runs as.
    Command {
        /// Whether a user and group may follow.
        user: bool,
    },
    /// One word, quoted as in a shell.
    Quoted,
    /// One of several words.
    OneOf(&'static [&'static str]),
    /// One of several words, in any case.
    AnyCase(&'static [&'static str]),
    /// Bytes in hexadecimal.
    Hex {
        /// Whether `x` may stand for any digit.
        wild: bool,
        /// How many there must be; 0: any number.
        bytes: usize,
    },
    /// A number or two with a hyphen between.
    Range {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number with another behind a slash or not, in decimal or hexadecimal.
    Masked,
    /// Bits of a file's mode: a number as in C, or names with `|` between them.
    Mode,
    /// The first of several that fits.
    Either(&'static [Self]),
}

impl Kind {
    /// In words, for sentences such as "it takes …".
    pub fn describe(&self) -> String {
        let text = match *self {
            Self::Int { min, max } => return int(min, max),
            Self::Time { min, max, places } => {
                let decimals = match places {
                    0 => "a whole number of seconds",
                    _ => "a time in seconds",
                };
                let from = number::shown(min, places);
                let to = number::shown(max, places);
                return match max < super::words::FOREVER {
                    true => format!("{decimals} from {from} to {to}"),
                    false => format!("{decimals}, at least {from}"),
                };
            }
            Self::Millis { min, max } => {
                let (from, to) = (number::shown(min, 3), number::shown(max, 3));
                return match max < super::words::FOREVER {
                    true => format!("a time in milliseconds from {from} to {to}"),
                    false => format!("a time in milliseconds, at least {from}"),
                };
            }
            Self::Bool => "`true`, `on`, `yes`, `false`, `off` or `no`",
            Self::Addr => "an IP address",
            Self::Addr4 => "an IPv4 address",
            Self::Addr6 => "an IPv6 address",
            Self::Host => "an IP address or a host name",
            Self::Prefix => "an IP address, with `/LENGTH` or without",
            Self::Addrs => "an IP address, a range (`10.0.0.1-9`) or a network (`10.0.0.0/28`)",
            Self::Mask => "an IPv4 network mask such as `255.255.255.0`",
            Self::Mac => "a MAC address of six octets, or of the first five",
            Self::Text => "a word",
            Self::Word { max } => return format!("a word of at most {max} characters"),
            Self::Interface => "the name of an interface",
            Self::Labels => "numbers with `/` or `:` between",
            Self::Path => "an absolute path",
            Self::UrlPath => "the path of a URL, which begins with `/`",
            Self::Command { user: false } => "a command, in quotes if it has arguments",
            Self::Command { user: true } => {
                "a command, in quotes if it has arguments, and the user and group it runs as"
            }
            Self::Quoted => "a word, in quotes if it has blanks",
            Self::OneOf(words) => return one_of(words),
            Self::AnyCase(words) => return format!("{}, in any case", one_of(words)),
            Self::Hex { wild, bytes } => {
                let digits = match bytes {
                    0 => "bytes in hexadecimal".to_owned(),
                    _ => format!("{} hexadecimal digits", bytes * 2),
                };
                return match wild {
                    true => format!("{digits}, `x` for any digit"),
                    false => digits,
                };
            }
            Self::Range { min, max } => {
                return format!("{}, or two with a hyphen between", int(min, max));
            }
            Self::Masked => "a number, with `/MASK` or without",
            Self::Mode => "a number such as `077`, or names such as `IRWXG|IRWXO` with `|` between",
            Self::Either(kinds) => {
                let each: Vec<String> = kinds.iter().map(Self::describe).collect();
                return each.join(", or ");
            }
        };
        text.to_owned()
    }

    /// The words that it consists of, if it has such.
    pub fn words(&self) -> Vec<&'static str> {
        match *self {
            Self::OneOf(words) | Self::AnyCase(words) => words.to_vec(),
            Self::Either(kinds) => kinds.iter().flat_map(Self::words).collect(),
            _ => Vec::new(),
        }
    }
}

fn int(min: i64, max: i64) -> String {
    match (min, max) {
        (i64::MIN, i64::MAX) => "a whole number".to_owned(),
        (_, i64::MAX) => format!("a whole number, at least {min}"),
        _ => format!("a whole number from {min} to {max}"),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
