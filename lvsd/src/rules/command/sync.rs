//! The daemon that synchronises connections with other directors (`--start-daemon`, `--stop-daemon`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::options::SyncOption;
use super::CommandError;
use super::line::{cut, value_of};

/// A sync daemon. What is not said the director chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct SyncDaemon {
    /// What it does.
    pub role: Role,
    /// The network interface it uses, `eth0` unless another is said; at most 15 bytes.
    pub interface: String,
    /// The directors' common number, 0 unless another is said.
    pub id: u8,
    /// The longest message in bytes, 1 to 65507.
    pub max_len: Option<u16>,
    /// The multicast group.
    pub group: Option<IpAddr>,
    /// The UDP port, not 0.
    pub port: Option<u16>,
    /// The time to live of its packets, not 0.
    pub ttl: Option<u8>,
}

/// What a sync daemon does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "ipvsadm's two")]
pub enum Role {
    /// It tells of connections.
    #[default]
    Master,
    /// It is told of them.
    Backup,
}

impl Role {
    /// The role's name in commands and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::Master, Self::Backup]
            .into_iter()
            .find(|role| role.name() == text)
    }
}

impl Default for SyncDaemon {
    fn default() -> Self {
        Self {
            role: Role::Master,
            interface: "eth0".to_owned(),
            id: 0,
            max_len: None,
            group: None,
            port: None,
            ttl: None,
        }
    }
}

impl SyncDaemon {
    /// Takes in what an option says.
    pub(super) fn set(&mut self, option: SyncOption, text: &str) -> Result<(), CommandError> {
        match option {
            SyncOption::Id => self.id = value_of(text, 0..=255, "syncid")?,
            // As much as fits into a UDP datagram of IPv4.
            SyncOption::MaxLen => self.max_len = Some(value_of(text, 1..=65507, "sync-maxlen")?),
            SyncOption::Interface if text.is_empty() => {}
            SyncOption::Interface => self.interface = cut(text, 15).to_owned(),
            SyncOption::Group => self.group = Some(group(text)?),
            SyncOption::Port => self.port = Some(value_of(text, 1..=65535, "mcast-port")?),
            SyncOption::Ttl => self.ttl = Some(value_of(text, 1..=255, "mcast-ttl")?),
        }
        Ok(())
    }
}

fn group(text: &str) -> Result<IpAddr, CommandError> {
    let (family, group) = match text.contains(':') {
        true => ("IPv6", text.parse::<Ipv6Addr>().ok().map(IpAddr::from)),
        false => ("IPv4", text.parse::<Ipv4Addr>().ok().map(IpAddr::from)),
    };
    group
        .filter(IpAddr::is_multicast)
        .ok_or_else(|| CommandError::usage(format!("invalid {family} mcast-group `{text}'")))
}
