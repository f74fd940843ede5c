//! Connections as they are told, and which of them are asked for.

use lvs_core::state::State;
use lvs_core::{ConnInfo, Endpoint, Method};
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
            template: matches!(conn.state, State::Template | State::Assured),
        }
    }
}

/// Which connections are asked for: those that everything given here fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "clients build it")]
pub struct Filter {
    /// Of this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Key>,
    /// To this server.
    #[serde(with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub server: Option<Endpoint>,
    /// Of clients under this prefix.
    #[serde(with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub client: Option<Prefix>,
    /// In this state, by ipvsadm's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A packet's protocol, ends and mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "clients build it")]
pub struct Packet {
    /// TCP (6), UDP (17) or SCTP (132).
    pub protocol: u8,
    /// Where it comes from.
    #[serde(with = "text")]
    pub client: Endpoint,
    /// Where it goes to.
    #[serde(with = "text")]
    pub virtual_address: Endpoint,
}
