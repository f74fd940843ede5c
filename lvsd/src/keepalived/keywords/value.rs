//! A word, read as its kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::find::alike;
use super::kind::Kind;
use super::number::{self, Number};
use crate::keepalived::model::Command;

/// What a word says. Which variant it is follows from its [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// [`Kind::Int`], [`Kind::Mode`].
    Int(i64),
    /// [`Kind::Time`], [`Kind::Millis`].
    Time(Duration),
    /// [`Kind::Bool`].
    Bool(bool),
    /// [`Kind::Addr`] and its like.
    Addr(IpAddr),
    /// [`Kind::Prefix`]; no length was written if it is `None`.
    Prefix(IpAddr, Option<u8>),
    /// [`Kind::Addrs`]: the first and the last, of one family.
    Addrs(IpAddr, IpAddr),
    /// [`Kind::Mac`]: five or six octets.
    Mac(Vec<u8>),
    /// [`Kind::Text`], [`Kind::Word`], [`Kind::Interface`], [`Kind::Labels`], [`Kind::Path`], [`Kind::UrlPath`], [`Kind::Quoted`], a name for [`Kind::Host`].
    Text(String),
    /// [`Kind::OneOf`], [`Kind::AnyCase`]: as it is in the table.
    Name(&'static str),
    /// [`Kind::Command`].
    Command(Command),
    /// [`Kind::Hex`]: values, and the bits of them that count.
    Bytes(Vec<(u8, u8)>),
    /// [`Kind::Range`]: the first and the last, which may be the same.
    Range(i64, i64),
    /// [`Kind::Masked`]: a number and a mask.
    Masked(u32, Option<u32>),
}

/// What is wrong with a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The diagnostic's code.
    pub code: &'static str,
    /// In a few words, for the place.
    pub label: String,
    /// What was probably meant.
    pub help: Option<String>,
    /// What keepalived makes of it.
    pub usable: Option<Box<Value>>,
}

impl Kind {
    /// Reads a word. (Those of [`Kind::Command`] and [`Kind::Quoted`] must have lost their quotes as in a shell.)
    ///
    /// # Errors
    ///
    /// It is none of this kind.
    pub fn read(&self, word: &str) -> Result<Value, Fault> {
        match *self {
            Self::Int { min, max } => {
                let number = number::integer(word).ok_or_else(|| not_a_number(word))?;
                within(number, min, max)?;
                sound(number, Value::Int(number.value))
            }
            Self::Time { min, max, places } => time(word, min, max, places),
            Self::Millis { min, max } => {
                let number = number::decimal(word, 3).ok_or_else(|| not_a_number(word))?;
                within(number, limit(min), limit(max))?;
                let micros = number.value.unsigned_abs();
                sound(number, Value::Time(Duration::from_micros(micros)))
            }
            Self::Bool => match word {
                "true" | "on" | "yes" => Ok(Value::Bool(true)),
                "false" | "off" | "no" => Ok(Value::Bool(false)),
                _ => {
                    let lower = word.to_ascii_lowercase();
                    let help = match lower.as_str() {
                        "true" | "on" | "yes" | "false" | "off" | "no" if lower != word => {
                            Some(format!("write `{lower}`"))
                        }
                        "1" | "y" | "enable" | "enabled" => Some("write `on`".to_owned()),
                        "0" | "n" | "disable" | "disabled" => Some("write `off`".to_owned()),
                        _ => None,
                    };
                    Err(bad("neither on nor off", help))
                }
            },
            Self::Addr => address(word).map(Value::Addr),
            Self::Addr4 => match address(word)? {
                addr @ IpAddr::V4(_) => Ok(Value::Addr(addr)),
                IpAddr::V6(_) => Err(bad("an IPv6 address", None)),
            },
            Self::Addr6 => match address(word)? {
                addr @ IpAddr::V6(_) => Ok(Value::Addr(addr)),
                IpAddr::V4(_) => Err(bad("an IPv4 address", None)),
            },
            Self::Host => host(word),
            Self::Prefix => prefix(word),
            Self::Addrs => addresses(word),
            Self::Mask => match word.parse::<Ipv4Addr>() {
                Ok(mask)
                    if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() >= 32
                        && !mask.is_unspecified() =>
                {
                    Ok(Value::Addr(IpAddr::V4(mask)))
                }
                _ => Err(bad("no network mask", None)),
            },
            Self::Mac => mac(word),
            Self::Text | Self::Quoted | Self::Command { .. } => Ok(Value::Text(word.to_owned())),
            Self::Word { max } if word.len() > max => {
                Err(bad(&format!("{} characters", word.len()), None))
            }
            Self::Word { .. } => Ok(Value::Text(word.to_owned())),
            Self::Interface => interface(word),
            Self::Labels => {
                let legal = |c: char| c.is_ascii_hexdigit() || matches!(c, '/' | ':');
                match word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(legal) {
                    true => Ok(Value::Text(word.to_owned())),
                    false => Err(bad("no labels", None)),
                }
            }
            Self::Path if word.starts_with('/') => Ok(Value::Text(word.to_owned())),
            Self::Path => Err(bad("not an absolute path", None)),
            Self::UrlPath => url_path(word),
            Self::OneOf(words) => name(words, word, |w| w == word),
            Self::AnyCase(words) => name(words, word, |w| w.eq_ignore_ascii_case(word)),
            Self::Hex { wild, bytes } => hex(word, wild, bytes),
            Self::Range { min, max } => range(word, min, max),
            Self::Masked => masked(word),
            Self::Mode => mode(word),
            Self::Either(kinds) => either(kinds, word),
        }
    }
}

fn bad(label: &str, help: Option<String>) -> Fault {
    Fault {
        code: "bad-value",
        label: label.to_owned(),
        help,
        usable: None,
    }
}

fn not_a_number(word: &str) -> Fault {
    let label = match word.bytes().any(|b| b.is_ascii_digit()) {
        true => "no number that can be read",
        false => "no number",
    };
    Fault {
        code: "bad-number",
        ..bad(label, None)
    }
}

fn within(number: Number, min: i64, max: i64) -> Result<(), Fault> {
    let label = match number.value {
        value if value < min => "too small",
        value if value > max => "too large",
        _ => return Ok(()),
    };
    Err(Fault {
        code: "out-of-range",
        ..bad(label, None)
    })
}

/// A number's value, unless something was odd about the word.
fn sound(number: Number, value: Value) -> Result<Value, Fault> {
    let label = match number {
        Number { rubbish: true, .. } => "something stands behind the number",
        Number { rounded: true, .. } => "more decimals than count",
        _ => return Ok(value),
    };
    Err(Fault {
        code: "bad-number",
        usable: Some(Box::new(value)),
        ..bad(label, None)
    })
}

fn limit(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn time(word: &str, min: u64, max: u64, places: u8) -> Result<Value, Fault> {
    let number = number::decimal(word, places).ok_or_else(|| not_a_number(word))?;
    within(number, limit(min), limit(max))?;
    let micros = 10_u64.pow(6_u32.saturating_sub(u32::from(places)));
    let value = number.value.unsigned_abs().saturating_mul(micros);
    let read = sound(number, Value::Time(Duration::from_micros(value)));
    read.map_err(|fault| {
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let help = matches!(unit, "s" | "sec" | "secs" | "ms" | "m").then(|| {
            let digits = word.strip_suffix(unit).unwrap_or(word);
            match unit {
                "s" | "sec" | "secs" => format!("times are in seconds already: write `{digits}`"),
                _ => "times are in seconds, without a unit".to_owned(),
            }
        });
        Fault { help, ..fault }
    })
}

fn address(word: &str) -> Result<IpAddr, Fault> {
    if let Ok(addr) = word.parse() {
        return Ok(addr);
    }
    let split = word
        .rsplit_once(':')
        .filter(|(addr, _)| !addr.contains(':'));
    let help = match (split, word.split_once('/')) {
        (Some((addr, port)), _) if addr.parse::<Ipv4Addr>().is_ok() => Some(format!(
            "write address and port as two words: `{addr} {port}`"
        )),
        (_, Some((addr, _))) if addr.parse::<IpAddr>().is_ok() => Some(format!(
            "an address without a prefix's length is wanted: `{addr}`"
        )),
        _ => {
            let inner = word.strip_prefix('[').and_then(|w| w.split_once(']'));
            let inner = inner.filter(|(addr, _)| addr.parse::<Ipv6Addr>().is_ok());
            let inner =
                inner.map(|(addr, _)| format!("write the address without brackets: `{addr}`"));
            let name =
                || is_name(word).then(|| "names are not looked up: write the address".to_owned());
            inner.or_else(name)
        }
    };
    Err(bad("no IP address", help))
}

/// Whether a word looks like the name of a host: it has a part that cannot be a number mistyped.
fn is_name(word: &str) -> bool {
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let letters = |part: &str| part.len() > 1 && part.chars().all(char::is_alphabetic);
    word.chars().all(legal) && word.split(['.', '-', '_']).any(letters)
}

fn host(word: &str) -> Result<Value, Fault> {
    if let Ok(addr) = word.parse() {
        return Ok(Value::Addr(addr));
    }
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    match !word.is_empty() && word.len() <= 255 && word.chars().all(legal) {
        // What consists of digits and dots was to be an address.
        true if word.chars().any(|c| !c.is_ascii_digit() && c != '.') => {
            Ok(Value::Text(word.to_owned()))
        }
        _ => Err(address(word).err().unwrap_or_else(|| bad("no host", None))),
    }
}

fn prefix(word: &str) -> Result<Value, Fault> {
    let Some((addr, len)) = word.split_once('/') else {
        return Ok(Value::Prefix(address(word)?, None));
    };
    let addr = address(addr)?;
    let most = width(addr);
    match len.parse::<u8>() {
        Ok(len) if len <= most => Ok(Value::Prefix(addr, Some(len))),
        _ => {
            let mask = len.parse::<Ipv4Addr>().ok();
            let help = mask.filter(|_| addr.is_ipv4()).map(|mask| {
                format!(
                    "write the mask as a length: `{addr}/{}`",
                    mask.to_bits().leading_ones()
                )
            });
            Err(Fault {
                usable: Some(Box::new(Value::Prefix(addr, None))),
                ..bad(&format!("a length from 0 to {most} is wanted"), help)
            })
        }
    }
}

fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn addresses(word: &str) -> Result<Value, Fault> {
    if let Some((first, last)) = word.split_once('-') {
        let first = address(first)?;
        let last = match (first, last.parse::<IpAddr>()) {
            (_, Ok(last)) => last,
            (IpAddr::V4(v4), Err(_)) => {
                let [a, b, c, _] = v4.octets();
                let last = last
                    .parse::<u8>()
                    .map_err(|_| bad("no last address", None))?;
                IpAddr::from([a, b, c, last])
            }
            (IpAddr::V6(v6), Err(_)) => {
                let last = u16::from_str_radix(last, 16);
                let last = last.map_err(|_| bad("no last address", None))?;
                let bits = v6.to_bits() & !0xffff | u128::from(last);
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        };
        return match first.is_ipv4() == last.is_ipv4() && first <= last {
            true => Ok(Value::Addrs(first, last)),
            false => Err(bad("the last address comes before the first", None)),
        };
    }
    match prefix(word)? {
        Value::Prefix(addr, Some(len)) => {
            let (first, last) = network(addr, len);
            match first == addr {
                true => Ok(Value::Addrs(first, last)),
                false => Err(bad(
                    "an address within the network, not its own",
                    Some(format!("write `{first}/{len}`")),
                )),
            }
        }
        Value::Prefix(addr, None) => Ok(Value::Addrs(addr, addr)),
        _ => Err(bad("no address", None)),
    }
}

/// The first and last address under a prefix.
fn network(addr: IpAddr, len: u8) -> (IpAddr, IpAddr) {
    match addr {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(u32::from(len)).unwrap_or(0);
            let bits = v4.to_bits();
            (
                IpAddr::V4(Ipv4Addr::from_bits(bits & !host)),
                IpAddr::V4(Ipv4Addr::from_bits(bits | host)),
            )
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(u32::from(len)).unwrap_or(0);
            let bits = v6.to_bits();
            (
                IpAddr::V6(Ipv6Addr::from_bits(bits & !host)),
                IpAddr::V6(Ipv6Addr::from_bits(bits | host)),
            )
        }
    }
}

fn mac(word: &str) -> Result<Value, Fault> {
    let octets = word.split([':', '-']).map(|octet| match octet.len() {
        1 | 2 => u8::from_str_radix(octet, 16).ok(),
        _ => None,
    });
    match octets.collect::<Option<Vec<u8>>>() {
        Some(octets) if matches!(octets.len(), 5 | 6) => Ok(Value::Mac(octets)),
        _ => Err(bad("no MAC address", None)),
    }
}

fn url_path(word: &str) -> Result<Value, Fault> {
    if word.starts_with('/') {
        return Ok(Value::Text(word.to_owned()));
    }
    let behind_host = word
        .split_once("://")
        .map(|(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    Err(Fault {
        usable: Some(Box::new(Value::Text(word.to_owned()))),
        ..bad(
            "it does not begin with `/`",
            Some(format!("write `/{}`", behind_host.unwrap_or(word))),
        )
    })
}

fn interface(word: &str) -> Result<Value, Fault> {
    if let Some((name, _)) = word.split_once(':').filter(|(name, _)| !name.is_empty()) {
        return Err(bad(
            "the label of an address, not an interface",
            Some(format!("write `{name}`")),
        ));
    }
    if word.parse::<IpAddr>().is_ok() {
        return Err(bad("an address, not an interface", None));
    }
    match word.len() {
        0 => Err(bad("nothing", None)),
        1..=15 if !word.contains('/') && word != "." && word != ".." => {
            Ok(Value::Text(word.to_owned()))
        }
        1..=15 => Err(bad("no name of an interface", None)),
        len => Err(bad(
            &format!("{len} characters, more than the 15 that a name can have"),
            None,
        )),
    }
}

fn name(
    words: &'static [&'static str],
    word: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Value, Fault> {
    match words.iter().find(|w| fits(w)) {
        Some(name) => Ok(Value::Name(name)),
        None => {
            let near = alike(word, words.iter().copied());
            let help = near.map(|near| format!("did you mean `{near}`?"));
            Err(bad("not one of them", help))
        }
    }
}

fn hex(word: &str, wild: bool, wanted: usize) -> Result<Value, Fault> {
    let digit = |c: u8| match c {
        b'x' | b'X' if wild => Some((0, 0)),
        _ => Some((char::from(c).to_digit(16)?.try_into().ok()?, 0xf)),
    };
    let mut bytes = Vec::new();
    for part in word.split_ascii_whitespace() {
        for pair in part.as_bytes().chunks(2) {
            let digits: Option<Vec<(u8, u8)>> = pair.iter().map(|c| digit(*c)).collect();
            bytes.push(match digits.as_deref() {
                Some(&[(high, high_mask), (low, low_mask)]) => {
                    (high << 4 | low, high_mask << 4 | low_mask)
                }
                Some(&[(low, mask)]) if wanted == 0 => (low, 0xf0 | mask),
                _ => return Err(bad("not in hexadecimal", None)),
            });
        }
    }
    match wanted == 0 || bytes.len() == wanted {
        true => Ok(Value::Bytes(bytes)),
        false => Err(bad(
            &format!("{} bytes instead of {wanted}", bytes.len()),
            None,
        )),
    }
}

fn range(word: &str, min: i64, max: i64) -> Result<Value, Fault> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let limit = |text: &str| {
        let number = number::integer(text).ok_or_else(|| not_a_number(text))?;
        within(number, min, max)?;
        sound(number, Value::Int(number.value))?;
        Ok(number.value)
    };
    let (first, last) = (limit(first)?, limit(last)?);
    match first <= last {
        true => Ok(Value::Range(first, last)),
        false => Err(bad("the last comes before the first", None)),
    }
}

/// A number as in C.
fn c_number(word: &str) -> Option<u32> {
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    match word.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => word.parse().ok(),
    }
}

fn masked(word: &str) -> Result<Value, Fault> {
    let (value, mask) = match word.split_once('/') {
        Some((value, mask)) => (c_number(value), Some(c_number(mask))),
        None => (c_number(word), None),
    };
    match (value, mask) {
        (Some(value), None) => Ok(Value::Masked(value, None)),
        (Some(value), Some(Some(mask))) => Ok(Value::Masked(value, Some(mask))),
        _ => Err(not_a_number(word)),
    }
}

fn mode(word: &str) -> Result<Value, Fault> {
    let by_name = |name: &str| {
        Some(match name.trim() {
            "IRUSR" => 0o400,
            "IWUSR" => 0o200,
            "IXUSR" => 0o100,
            "IRWXU" => 0o700,
            "IRGRP" => 0o040,
            "IWGRP" => 0o020,
            "IXGRP" => 0o010,
            "IRWXG" => 0o070,
            "IROTH" => 0o004,
            "IWOTH" => 0o002,
            "IXOTH" => 0o001,
            "IRWXO" => 0o007,
            _ => return None,
        })
    };
    let names = || {
        word.split('|')
            .try_fold(0, |bits, name| Some(bits | by_name(name)?))
    };
    match c_number(word).or_else(names) {
        Some(bits) if bits <= 0o777 => Ok(Value::Int(i64::from(bits))),
        _ => Err(bad("no bits of a mode", None)),
    }
}

/// The first that fits; if none does, what is wrong with the one that came nearest.
fn either(kinds: &'static [Kind], word: &str) -> Result<Value, Fault> {
    let mut nearest: Option<Fault> = None;
    for kind in kinds {
        match kind.read(word) {
            Ok(value) => return Ok(value),
            Err(fault) if nearest.is_none() || fault.usable.is_some() || fault.help.is_some() => {
                nearest = Some(fault);
            }
            Err(fault) if fault.code == "out-of-range" => nearest = Some(fault),
            Err(_) => {}
        }
    }
    Err(nearest.unwrap_or_else(|| bad("nothing that fits", None)))
}
