//! What becomes of a packet, as it is told.

use lvs_core::Endpoint;
use serde::{Deserialize, Serialize};

use super::text;

/// A packet that is asked about: the first of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The interface it comes in by, for rules for marks that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}
