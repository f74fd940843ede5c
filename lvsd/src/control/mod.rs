//! The control socket: how a running daemon is looked at and changed.
//!
//! A Unix socket, for root and, if so configured, one group. Both sides speak one JSON object a line
//! ([`message`]); docs/control.md tells users of other programs about it. A change is a list of ipvsadm's commands that is
//! carried out whole or not at all; everything else is made on the client's side from what the daemon tells.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | what is said |
//! | [`table`] | services, servers and their counts as they are told |
//! | `as_rules` | these as the rules that make them |
//! | [`conns`] | connections as they are told, and which are asked for |
//! | [`explained`] | what becomes of a packet, as it is told |
//! | [`desk`] | answers |
//! | [`about`] | which command is to blame for what is wrong together |
//! | [`server`] | the listening side |
//! | [`client`] | the asking side |

pub mod about;
mod as_rules;
pub mod client;
pub mod conns;
pub mod desk;
pub mod explained;
pub mod message;
pub mod server;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;

use std::env;
use std::path::PathBuf;

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lvsd.sock";

/// Names the socket for clients that are not told on their command line.
pub const SOCKET_VARIABLE: &str = "LVSD_SOCKET";

/// The socket to ask: the one given, else the environment's, else the usual one.
pub fn socket_path(given: Option<&str>) -> PathBuf {
    let given = given.map(PathBuf::from);
    given
        .or_else(|| {
            let path = env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
            path.map(PathBuf::from)
        })
        .unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
}

/// For serde: a value as the text that it prints and is read from.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// For serde: the same of what may be missing.
mod optional_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => s.collect_str(value),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        let value = text.map(|text| text.parse().map_err(D::Error::custom));
        value.transpose()
    }
}
