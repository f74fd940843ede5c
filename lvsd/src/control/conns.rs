//! Connections as they are told, and which of them are asked for.

use std::fmt;
use std::str::FromStr;

use lvs_core::state::State;
use lvs_core::{ConnInfo, Endpoint, Ip, Method, Protocol};
use lvs_fwd::classify::Prefix;
use serde::{Deserialize, Serialize};

use super::table::{Key, method};
use super::{optional_text, text};
use crate::adm::listing::protocol_name;

/// A connection or persistence template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connection {
    /// `TCP`, `UDP`, `SCTP`, or `IP` for a template of a firewall mark.
    pub protocol: String,
    /// The client; of a template its masked address and port 0.
    #[serde(with = "text")]
    pub client: Endpoint,
    /// The address that the client uses; of a template for a firewall mark, the mark.
    #[serde(with = "text")]
    pub virtual_address: Endpoint,
    /// The real server.
    #[serde(with = "text")]
    pub server: Endpoint,
    /// FullNAT's local end.
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub local: Option<Endpoint>,
    /// How it is forwarded.
    #[serde(with = "method")]
    pub method: Method,
    /// Its state, as ipvsadm names it.
    pub state: String,
    /// Seconds until it is forgotten if no packet comes.
    pub expires: u64,
    /// Whether it is a template.
    pub template: bool,
    /// Packets from the client, at most 2³²−1; 0 for templates.
    pub packets: u32,
    /// The service that opened it, be it still there or not.
    pub service: Key,
}

impl Connection {
    /// What is told of a connection.
    pub fn of(conn: &ConnInfo) -> Self {
        Self {
            protocol: protocol_name(conn.protocol),
            client: conn.client,
            virtual_address: conn.virt,
            server: conn.dest,
            local: conn.local,
            method: conn.method,
            state: conn.state.name().to_owned(),
            expires: conn.expires_in.as_secs(),
            template: conn.is_template(),
            packets: conn.in_packets,
            service: conn.service.into(),
        }
    }
}

/// How many connections or templates have all of this in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Count {
    /// The service that opened them.
    pub service: Key,
    /// The real server, as it is configured.
    #[serde(with = "text")]
    pub server: Endpoint,
    /// As in [`Connection::protocol`].
    pub protocol: String,
    /// As in [`Connection::state`].
    pub state: String,
    /// Whether they are templates.
    pub template: bool,
    /// How many.
    pub count: u64,
}

/// Which connections are asked for: those that everything given here fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "clients build it")]
pub struct Filter {
    /// Opened by this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Key>,
    /// To this server.
    #[serde(with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerAddress>,
    /// Of clients under this prefix. A template's client is its masked address.
    #[serde(with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub client: Option<Prefix>,
    /// In one of these states; none is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<StateName>,
    /// Of this protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolName>,
    /// Only templates, or none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<bool>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl Filter {
    /// Whether the connection is one of those asked for, [`limit`](Self::limit) apart.
    pub fn fits(&self, conn: &ConnInfo) -> bool {
        let state = conn.state.name();
        self.templates.is_none_or(|t| t == conn.is_template())
            && self.protocol.is_none_or(|p| p.0 == conn.protocol)
            && (self.states.is_empty() || self.states.iter().any(|s| s.0.name() == state))
            && self.service.is_none_or(|key| conn.service == key.into())
            && self.server.is_none_or(|server| server.is_that_of(conn))
            && self
                .client
                .is_none_or(|prefix| prefix.contains(conn.client.ip))
    }
}

/// A real server: its address, and perhaps its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "clients build it")]
pub struct ServerAddress {
    /// The address.
    pub ip: Ip,
    /// The port; `None` is any.
    pub port: Option<u16>,
}

impl ServerAddress {
    /// A server may be configured without a port, or be used at another one than its own (by FTP); it is meant by either.
    fn is_that_of(self, conn: &ConnInfo) -> bool {
        let is_port = |port| port == conn.dest.port || port == conn.server.port;
        self.ip == conn.dest.ip && self.port.is_none_or(is_port)
    }
}

impl From<Endpoint> for ServerAddress {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            ip: endpoint.ip,
            port: Some(endpoint.port),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = &'static str;

    /// Reads `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alone = text.parse().map(|ip| Self { ip, port: None });
        let with_port = || text.parse().map(|endpoint: Endpoint| endpoint.into());
        alone
            .or_else(|_| with_port())
            .map_err(|_| "not an address, nor an address and a port")
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => Endpoint::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// The name of a state in listings, which protocols share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StateName(State);

impl StateName {
    /// All names, each once.
    pub fn all() -> Vec<&'static str> {
        let mut names = Vec::new();
        for state in State::ALL {
            if !names.contains(&state.name()) {
                names.push(state.name());
            }
        }
        names
    }
}

impl FromStr for StateName {
    type Err = String;

    /// Reads a name in capital letters or small.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut states = State::ALL.into_iter();
        let found = states.find(|state| state.name().eq_ignore_ascii_case(text));
        found
            .map(Self)
            .ok_or_else(|| format!("there is no state {text:?}"))
    }
}

/// The protocol of connections: `TCP`, `UDP`, `SCTP`, or `IP` for templates of firewall marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProtocolName(Protocol);

impl FromStr for ProtocolName {
    type Err = String;

    /// Reads a name in capital letters or small.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol(0)];
        let is_meant = |p: &Protocol| protocol_name(*p).eq_ignore_ascii_case(text);
        let found = known.into_iter().find(is_meant).map(Self);
        found.ok_or_else(|| format!("{text:?} is not tcp, udp, sctp or ip"))
    }
}

/// For serde: through the text of [`FromStr`].
macro_rules! by_text {
    ($name:ident, $text:expr) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                $text(value)
            }
        }
    };
}

by_text!(StateName, |name: StateName| name.0.name().to_owned());
by_text!(ProtocolName, |name: ProtocolName| protocol_name(name.0));

#[cfg(test)]
mod tests;
