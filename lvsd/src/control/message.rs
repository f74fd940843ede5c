//! What client and daemon say to each other: one JSON object a line.
//!
//! A client first says which version of the protocol it speaks; the daemon answers in kind or refuses. Then requests and
//! replies alternate. Only [`Request::Connections`] has more than one reply. Unknown fields of a request are refused: what the
//! daemon does not understand it must not half do.

use serde::{Deserialize, Serialize};

use super::conns::{Connection, Count, Filter};
use super::explained::{Explained, Packet};
use super::table::{Key, Table};
use crate::health::Reload;
use crate::health::status::Status;
use crate::vrrp::status::Status as Routers;

/// The version of the protocol spoken here. Another one is spoken when old clients would misunderstand; new requests and new
/// fields in replies make no new version.
pub const VERSION: u32 = 1;

/// The longest request, in bytes: some hundred thousand commands.
pub const LONGEST_REQUEST: usize = 16 << 20;

/// The most words, lists and objects in a request, each of which takes memory however short it is.
pub const MOST_VALUES: usize = 1 << 20;

/// The most refusals in a reply; the last one says how many more there would be.
pub const MOST_REFUSALS: usize = 1000;

/// A client's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "must never change")]
pub struct Hello {
    /// The version it speaks.
    pub protocol: u32,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "request",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Request {
    /// Carries out commands, one after the other, all or none. Answered by [`Reply::Done`] or [`Reply::Refused`].
    Apply {
        /// Each command's words as [`crate::rules::parse_command`] reads them; hosts and ports must be numbers.
        commands: Vec<Vec<String>>,
        /// Only says whether it would be done.
        #[serde(default)]
        rehearse: bool,
    },
    /// Asks for services, servers and counts. Answered by [`Reply::Table`].
    Table {},
    /// Asks for connections and templates, in no particular order. Answered by any number of [`Reply::Connections`] and one
    /// [`Reply::End`].
    Connections {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
    /// Asks how many connections and templates there are, by service, server and state. Answered by [`Reply::Counts`].
    Count {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
    /// Asks what becomes of a packet. Answered by [`Reply::Explained`].
    Explain {
        /// The packet.
        packet: Packet,
    },
    /// Forgets connections or templates of one server at once, so that their clients are scheduled anew. Answered by
    /// [`Reply::Evicted`].
    Evict {
        /// The service.
        service: Key,
        /// The server's address and port.
        server: String,
        /// Whether its templates are forgotten.
        #[serde(default)]
        templates: bool,
        /// Whether its UDP connections are forgotten.
        #[serde(default)]
        udp: bool,
    },
    /// Asks how services, servers and checks of the configuration are. Answered by [`Reply::Status`].
    Status {},
    /// Asks how the virtual routers of the configuration are. Answered by [`Reply::Vrrp`].
    Vrrp {},
    /// Reads the configuration anew, and takes it whole or not at all. Answered by [`Reply::Reloaded`].
    Reload {
        /// Only says what that would do.
        #[serde(default)]
        rehearse: bool,
    },
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "reply",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
#[non_exhaustive]
pub enum Reply {
    /// To a client's first line.
    Hello {
        /// The version the daemon speaks.
        protocol: u32,
        /// The daemon's own version.
        lvsd: String,
    },
    /// All commands have been carried out (or could be).
    Done {},
    /// Nothing has been carried out.
    Refused {
        /// Why not: at least one reason, in the order of the commands.
        refusals: Vec<Refusal>,
    },
    /// Services, servers and counts.
    Table {
        /// All of them.
        table: Table,
    },
    /// Some connections and templates.
    Connections {
        /// At least one.
        connections: Vec<Connection>,
    },
    /// There are no more connections.
    End {
        /// How many there were.
        count: u64,
    },
    /// How many connections and templates there are of each kind that there is.
    Counts {
        /// In no particular order.
        counts: Vec<Count>,
    },
    /// What becomes of a packet.
    Explained {
        /// All about it.
        explained: Box<Explained>,
    },
    /// How many connections and templates have been forgotten.
    Evicted {
        /// That many.
        count: u64,
    },
    /// How services, servers and checks are.
    Status {
        /// All of them.
        status: Status,
    },
    /// How virtual routers are.
    Vrrp {
        /// All of them.
        status: Routers,
    },
    /// What has become of a reload.
    Reloaded {
        /// All about it.
        reload: Reload,
    },
    /// The request was not understood, or the daemon cannot do it. After one that is no request at all the daemon closes.
    Error {
        /// Why, one line.
        message: String,
    },
}

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Refusal {
    /// The command's place in the request, from 0; `None` if the whole would be wrong.
    pub command: Option<usize>,
    /// ipvsadm's exit status.
    pub exit: u8,
    /// What ipvsadm would say. Words of the command are repeated in it as they are.
    pub message: String,
    /// The offending word's place in the command, from 0, if it is one.
    #[serde(default)]
    pub word: Option<usize>,
}
