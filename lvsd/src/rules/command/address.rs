//! Addresses as ipvsadm reads them: with all that `inet_aton` allows (`10.1` is 10.0.0.1, `010.0.0.1` is 8.0.0.1).

use std::net::Ipv6Addr;

use lvs_core::{Ip, Protocol};

use super::super::Names;

/// Reads `HOST` or `HOST:PORT`; `None` where ipvsadm refuses it. Without a known protocol a port has no name.
pub(super) fn host_port(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Option<(Ip, Option<u16>)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (ip, port) = inner.split_once("]:")?;
        return Some((ipv6(ip)?, Some(port_number(port, protocol, names)?)));
    }
    if let Some(ip) = ipv6(text) {
        return Some((ip, None));
    }
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once(':') {
        None if is_digits => None,
        None => Some((host(text, names)?, None)),
        Some((ip, port)) => Some((host(ip, names)?, Some(port_number(port, protocol, names)?))),
    }
}

/// An IPv4 address or the name of a host that has one.
pub(super) fn host(text: &str, names: &dyn Names) -> Option<Ip> {
    if let Some(word) = inet_aton(text) {
        return Some(Ip::v4(word.to_be_bytes()));
    }
    let is_name = !text.is_empty() && !text.contains(':');
    is_name
        .then(|| names.host(text).ok().map(Ip::from))
        .flatten()
}

/// A decimal number as C's `strtol` reads it: blanks and a sign may come first. `None` outside of the range.
pub(super) fn number(text: &str, least: u32, most: u32) -> Option<u32> {
    let rest = text.trim_start_matches(is_blank);
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i64 = rest.parse().ok()?;
    let value = u32::try_from(value).ok()?;
    (least..=most).contains(&value).then_some(value)
}

/// A number as C's `atoi` reads it: what follows the digits does not count.
pub(super) fn leading_number(text: &str, least: u32, most: u32) -> Option<u32> {
    let digits = text.trim_start_matches(is_blank);
    let signed = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let rest = signed.trim_start_matches(|c: char| c.is_ascii_digit());
    number(text.strip_suffix(rest)?, least, most)
}

/// A blank as C has it (`isspace`).
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn ipv6(text: &str) -> Option<Ip> {
    let ip: Ipv6Addr = text.parse().ok()?;
    ip.to_ipv4_mapped().is_none().then(|| ip.into())
}

fn port_number(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<u16> {
    match number(text, 0, u32::from(u16::MAX)) {
        Some(port) => u16::try_from(port).ok(),
        None => names.port(text, protocol?),
    }
}

/// One to four numbers, decimal, octal (`0…`) or hexadecimal (`0x…`); the last fills all bytes that are left. What follows a
/// blank does not count.
pub(super) fn inet_aton(text: &str) -> Option<u32> {
    let text = text.split(is_blank).next()?;
    let parts: Vec<u32> = text.split('.').map(c_number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let left = 4_u32
        .checked_sub(u32::try_from(first.len()).ok()?)
        .filter(|l| *l > 0)?;
    let fits = u64::from(*last) < 1 << (8 * left) && first.iter().all(|p| *p < 256);
    let high = (0..).zip(first).map(|(i, p)| p << (24 - 8 * i));
    fits.then(|| high.sum::<u32>() | last)
}

fn c_number(text: &str) -> Option<u32> {
    let lower = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (lower, text.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some("")) => ("0", 8),
        (None, Some(octal)) => (octal, 8),
        (None, None) => (text, 10),
    };
    let is_digits = digits.chars().all(|c| c.is_digit(radix));
    is_digits
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_the_manner_of_inet_aton() {
        for (text, want) in [
            ("10.0.0.1", Some(0x0a00_0001)),
            ("10.1", Some(0x0a00_0001)),
            ("10.258", Some(0x0a00_0102)),
            ("10.1.257", Some(0x0a01_0101)),
            ("0", Some(0)),
            ("24", Some(24)),
            ("4294967295", Some(u32::MAX)),
            ("0x0a.010.0.0", Some(0x0a08_0000)),
            ("010.0.0.80", Some(0x0800_0050)),
            ("4294967296", None),
            ("256.1", None),
            ("10.0.0.256", None),
            ("10.0.0.0.1", None),
            ("10..1", None),
            ("08.1", None),
            ("10.0.0.1 x", Some(0x0a00_0001)),
            (" 10.0.0.1", None),
            ("0x", None),
            ("+1.2.3.4", None),
            ("", None),
        ] {
            assert_eq!(inet_aton(text), want, "{text}");
        }
    }

    #[test]
    fn numbers_in_the_manner_of_atoi() {
        for (text, want) in [
            ("64", Some(64)),
            (" +64x9", Some(64)),
            ("64 ", Some(64)),
            ("x64", None),
            ("-1", None),
            ("129", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(leading_number(text, 1, 128), want, "{text}");
        }
    }

    #[test]
    fn numbers_in_the_manner_of_strtol() {
        for (text, want) in [
            ("5", Some(5)),
            (" +5", Some(5)),
            ("-0", Some(0)),
            ("007", Some(7)),
            ("10", Some(10)),
            ("11", None),
            ("-1", None),
            ("5 ", None),
            ("", None),
            ("+", None),
            ("+-5", None),
            ("0x5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text, 0, 10), want, "{text}");
        }
    }
}
