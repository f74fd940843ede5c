//! Why a change is refused.

use std::fmt;

use crate::addr::{Endpoint, Ip};
use crate::service::{LocalAddr, ServiceKey};

/// Why a change of the configuration is refused; the texts are those ipvsadm's users know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The service is there already.
    ServiceExists(ServiceKey),
    /// There is no such service.
    NoSuchService(ServiceKey),
    /// The service has this destination already.
    DestinationExists(ServiceKey, Endpoint),
    /// The service has no such destination.
    NoSuchDestination(ServiceKey, Endpoint),
    /// Only a tunnel may lead to the other address family.
    FamilyMismatch(ServiceKey, Endpoint),
    /// The weight is above 2³¹−1.
    WeightTooLarge(u32),
    /// The protocol of a service must be TCP, UDP or SCTP.
    ProtocolNotBalanced(ServiceKey),
    /// Firewall mark 0 is no mark.
    ZeroMark,
    /// A persistence mask must have 1 to 32 (IPv6: 128) bits, and the timeout be 1 s to 31 days.
    BadPersistence(ServiceKey),
    /// A timeout of a service must be 1 s to 31 days.
    BadTimeout(ServiceKey),
    /// The lower threshold is above the upper one, or that above 2³¹−1.
    BadThresholds(ServiceKey, Endpoint),
    /// FullNAT must remember its connections.
    OnePacketFullNat(ServiceKey),
    /// A GUE tunnel needs a port.
    NoTunnelPort(ServiceKey, Endpoint),
    /// An address cannot be both a virtual address and a local address of FullNAT.
    LocalIsVirtual(Ip),
    /// A local address's ports end before they begin, or begin at 0.
    BadPortRange(LocalAddr),
    /// FullNAT towards this server needs a local address of its family.
    NoLocalAddress(ServiceKey, Endpoint),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceExists(s) => write!(f, "service {s} already exists"),
            Self::NoSuchService(s) => write!(f, "no such service: {s}"),
            Self::DestinationExists(s, d) => write!(f, "service {s} already has the server {d}"),
            Self::NoSuchDestination(s, d) => write!(f, "service {s} has no server {d}"),
            Self::FamilyMismatch(s, d) => {
                write!(
                    f,
                    "server {d} of service {s}: only tunnels may lead to the other family"
                )
            }
            Self::WeightTooLarge(w) => write!(f, "weight {w} is above 2147483647"),
            Self::ProtocolNotBalanced(s) => {
                write!(f, "service {s}: only TCP, UDP and SCTP are balanced")
            }
            Self::ZeroMark => f.write_str("firewall mark 0 means no mark"),
            Self::BadPersistence(s) => write!(
                f,
                "service {s}: persistence needs a timeout of 1 to 2678400 s and a mask of 1 to 32 (IPv6: 128) bits"
            ),
            Self::BadTimeout(s) => {
                write!(f, "service {s}: a timeout must be 1 to 2678400 s")
            }
            Self::BadThresholds(s, d) => write!(
                f,
                "server {d} of service {s}: the lower threshold must not be above the upper one, nor that above 2147483647"
            ),
            Self::OnePacketFullNat(s) => write!(
                f,
                "service {s}: one-packet scheduling remembers no connections, which FullNAT needs"
            ),
            Self::NoTunnelPort(s, d) => {
                write!(f, "server {d} of service {s}: a GUE tunnel needs a port")
            }
            Self::LocalIsVirtual(ip) => {
                write!(
                    f,
                    "{ip} cannot be a virtual address and a local address at once"
                )
            }
            Self::BadPortRange(l) => {
                write!(
                    f,
                    "local address {}: bad ports {}-{}",
                    l.ip, l.first_port, l.last_port
                )
            }
            Self::NoLocalAddress(s, d) => {
                write!(
                    f,
                    "server {d} of service {s}: FullNAT needs a local address of its family"
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {}
