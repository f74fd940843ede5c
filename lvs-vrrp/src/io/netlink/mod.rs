//! Netlink: how the kernel is asked, told and listened to.
//!
//! A [`Connection`] speaks one of netlink's protocols: NETLINK_ROUTE (links, addresses, routes, rules) or NETLINK_NETFILTER
//! (nftables). It carries [`Request`]s, which are whole messages as bytes, whatever they were made from, so that they can be
//! kept, written down and sent later; and hands out [`Message`]s, which are read as far as their reader wishes.
//!
//! Everything here is synchronous and belongs to the network namespace of the thread that opened the connection; afterwards any
//! thread may use it. To change anything takes `CAP_NET_ADMIN`.

mod attributes;
mod connection;
mod message;
#[cfg(test)]
mod tests;

pub(crate) use attributes::{attributes, number, text};
pub use connection::Connection;
pub use message::{Message, Request};

/// The types of rtnetlink's messages.
pub use netlink_packet_route as route;

/// What messages of all protocols have in common: flags and attributes.
pub use netlink_packet_core as core;
