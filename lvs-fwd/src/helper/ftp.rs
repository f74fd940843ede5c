//! FTP (RFC 959, RFC 2428): data connections through NAT.
//!
//! | who says | what follows |
//! |---|---|
//! | client: `PASV`, `EPSV` | noted; only then an answer is believed |
//! | server: `227 … (h1,h2,h3,h4,p1,p2)` | any port of the client → VIP:port ⇒ server:port; the address becomes the VIP |
//! | server: `229 … (\|\|\|port\|)` | the same; an address, if there is one, goes |
//! | client: `PORT h1,h2,h3,h4,p1,p2`, `EPRT \|1\|addr\|port\|` | client's port → VIP:20 ⇒ server:20, by which the server's connection is known |
//!
//! The numbers of the last row are those for a service at port 21: one less than the service's and the server's
//! control ports. All of it holds for IPv6, with `EPSV`, `229` and `EPRT |2|`.
//!
//! As in IPVS, upper and lower case are one; replies, `PORT` and `EPRT` must stand at the start of a segment, and whole
//! in it; `PASV` and `EPSV` may stand anywhere; and only an established control connection is listened to.
//!
//! We are stricter than IPVS in one thing: **addresses must be the speaker's own**. IPVS takes any address from either
//! side, which lets a client point the server, or a server the client, at third parties through the director (the
//! bounce attack, RFC 2577 section 3). A message with another address passes as it is, and announces nothing.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use lvs_core::state::State;
use lvs_core::{Assist, Direction, Endpoint, Expected, Family, Ip, Protocol};

use super::{Edit, Helper};

/// Notes: what the client has asked for.
const NOTHING: u32 = 0;
const PASSIVE: u32 = 1;
const EXTENDED_PASSIVE: u32 = 2;

/// The helper for FTP's control connections.
#[derive(Clone, Debug)]
pub struct Ftp {
    ports: Vec<u16>,
}

impl Default for Ftp {
    /// At port 21.
    fn default() -> Self {
        Self::new(&[21])
    }
}

impl Ftp {
    /// For control connections to these ports.
    pub fn new(ports: &[u16]) -> Self {
        Self {
            ports: ports.to_vec(),
        }
    }
}

impl Helper for Ftp {
    fn name(&self) -> &'static str {
        "ftp"
    }

    fn serves(&self) -> Vec<(Protocol, u16)> {
        self.ports.iter().map(|p| (Protocol::TCP, *p)).collect()
    }

    fn look(&self, conn: &mut Assist, payload: &[u8], again: bool) -> Option<Edit> {
        match conn.direction {
            Direction::Out if again => passive(conn, payload)
                .or_else(|| extended_passive(conn, payload))
                .and_then(|reply| reply.edit(payload)),
            _ if conn.state != State::Established => None,
            Direction::Out => answer(conn, payload),
            Direction::In => {
                command(conn, payload);
                None
            }
        }
    }
}

/// What the client says.
fn command(conn: &mut Assist, payload: &[u8]) {
    if let Some(asked) = asked_for(payload, conn.virt.ip.family()) {
        conn.notes = asked.unwrap_or(conn.notes);
        return;
    }
    let Some(at) = active(payload, conn.virt.ip.family()) else {
        return;
    };
    let data = |control: Endpoint| {
        let port = control.port.checked_sub(1).filter(|p| *p != 0)?;
        Some(Endpoint::new(control.ip, port))
    };
    if let (true, Some(virt), Some(dest)) =
        (at.ip == conn.client.ip, data(conn.virt), data(conn.dest))
    {
        let client = at;
        conn.expected.push(Expected { client, virt, dest });
    }
}

/// What the server says.
fn answer(conn: &mut Assist, payload: &[u8]) -> Option<Edit> {
    let reply = match conn.notes {
        PASSIVE => passive(conn, payload),
        EXTENDED_PASSIVE => extended_passive(conn, payload),
        _ => None,
    }?;
    conn.notes = NOTHING;
    conn.expected.push(Expected {
        client: Endpoint::new(conn.client.ip, 0),
        virt: Endpoint::new(conn.virt.ip, reply.port),
        dest: Endpoint::new(conn.dest.ip, reply.port),
    });
    reply.edit(payload)
}

/// An answer of the server's, about its own address.
struct Reply {
    port: u16,
    /// Where in the payload address and port are.
    range: Range<usize>,
    /// What they become.
    with: String,
}

impl Reply {
    fn edit(self, payload: &[u8]) -> Option<Edit> {
        let with = self.with.into_bytes();
        let range = self.range;
        (payload.get(range.clone()) != Some(&with)).then_some(Edit { range, with })
    }
}

/// `227`, of which only IPv4 knows.
fn passive(conn: &Assist, payload: &[u8]) -> Option<Reply> {
    let [a, b, c, d] = conn.virt.ip.as_v4()?;
    let text = after(payload, "227 ")?;
    let start = text.iter().position(|c| *c == b'(' || c.is_ascii_digit())?;
    let start = start + text.get(start..)?.iter().position(|c| *c != b'(')?;
    let (at, len) = six_numbers(text.get(start..)?)?;
    let start = payload.len() - text.len() + start;
    let port = at.port;
    (at.ip == conn.dest.ip).then(|| Reply {
        port,
        range: start..start + len,
        with: format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff),
    })
}

/// `229`.
fn extended_passive(conn: &Assist, payload: &[u8]) -> Option<Reply> {
    let text = after(payload, "229 ")?;
    let start = text.iter().position(|c| *c == b'(')?;
    let start = start + text.get(start..)?.iter().position(|c| *c != b'(')?;
    let (fields, len) = delimited(text.get(start..)?)?;
    let [_, _, port] = fields;
    let is_own = match fields {
        [b"", b"", _] => true,
        [family, address, _] => {
            extended_address(family, address, conn.dest.ip.family()) == Some(conn.dest.ip)
        }
    };
    let start = payload.len() - text.len() + start;
    let port = number(port)?;
    is_own.then(|| Reply {
        port,
        range: start..start + len,
        with: format!("|||{port}|"),
    })
}

/// `PORT` and `EPRT`.
fn active(payload: &[u8], family: Family) -> Option<Endpoint> {
    if let Some(text) = after(payload, "PORT ") {
        return match family {
            Family::V4 => six_numbers(text).map(|(at, _)| at),
            Family::V6 => None,
        };
    }
    let ([announced, address, port], _) = delimited(after(payload, "EPRT ")?)?;
    let ip = extended_address(announced, address, family)?;
    Some(Endpoint::new(ip, number(port)?))
}

/// `PASV` and `EPSV`, wherever they stand. `Some(None)` is an `EPSV` that asks for something else (another family, or
/// to promise that no `PASV` will follow).
fn asked_for(payload: &[u8], family: Family) -> Option<Option<u32>> {
    let own = match family {
        Family::V4 => b'1',
        Family::V6 => b'2',
    };
    let mut rest = payload;
    while rest.len() >= 6 {
        if family == Family::V4 && after(rest, "PASV\r\n").is_some() {
            return Some(Some(PASSIVE));
        }
        match after(rest, "EPSV") {
            Some([b'\r', ..]) => return Some(Some(EXTENDED_PASSIVE)),
            Some([b' ', asked, b'\r', ..]) if *asked == own => {
                return Some(Some(EXTENDED_PASSIVE));
            }
            Some([b' ', ..]) => return Some(None),
            _ => {}
        }
        rest = rest.get(1..)?;
    }
    None
}

/// What follows `word`, whatever its case.
fn after<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

/// `h1,h2,h3,h4,p1,p2`, and their length. Something must follow, or the last might go on in the next segment.
fn six_numbers(text: &[u8]) -> Option<(Endpoint, usize)> {
    let mut numbers = [0u8; 6];
    let mut at = 0;
    for (i, n) in numbers.iter_mut().enumerate() {
        if i > 0 {
            at += 1;
            text.get(at - 1).filter(|c| **c == b',')?;
        }
        let digits = text.get(at..)?;
        let len = digits.iter().position(|c| !c.is_ascii_digit())?;
        *n = std::str::from_utf8(digits.get(..len)?).ok()?.parse().ok()?;
        at += len;
    }
    let [a, b, c, d, high, low] = numbers;
    let port = u16::from_be_bytes([high, low]);
    (port != 0).then(|| (Endpoint::new(Ip::v4([a, b, c, d]), port), at))
}

/// The three fields of `|net|address|port|` (RFC 2428 section 2), whatever the delimiter, and the length of all.
fn delimited(text: &[u8]) -> Option<([&[u8]; 3], usize)> {
    let delimiter = *text.first().filter(|c| (33..=126).contains(*c))?;
    let mut fields = [&[][..]; 3];
    let mut at = 1;
    for field in &mut fields {
        let rest = text.get(at..)?;
        let len = rest.iter().position(|c| *c == delimiter)?;
        *field = rest.get(..len)?;
        at += len + 1;
    }
    Some((fields, at))
}

/// An address behind its number: 1 for IPv4, 2 for IPv6. It must be of `family`.
fn extended_address(number: &[u8], address: &[u8], family: Family) -> Option<Ip> {
    let address = std::str::from_utf8(address).ok()?;
    match (number, family) {
        (b"1", Family::V4) => address.parse::<Ipv4Addr>().ok().map(Ip::from),
        (b"2", Family::V6) => address.parse::<Ipv6Addr>().ok().map(Ip::from),
        _ => None,
    }
}

/// A number from 1 to 65535.
fn number(digits: &[u8]) -> Option<u16> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    digits.parse().ok().filter(|n| *n != 0)
}

#[cfg(test)]
mod tests;
