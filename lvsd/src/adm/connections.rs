//! Connections as ipvsadm lists them.

use std::io::{self, Write};

use lvs_core::{Endpoint, Protocol};

use super::front::Rows;
use super::names::{self, Shown};
use crate::control::conns::Connection;

/// The listing `-L -c`: headings, then a line for each connection or template.
pub(super) struct Lines<'a> {
    /// Whether there are columns for what persistence engines know.
    pub(super) engines: bool,
    pub(super) names: &'a dyn Shown,
}

impl Rows for Lines<'_> {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let engines = match self.engines {
            true => "        pe name          pe_data",
            false => "",
        };
        writeln!(
            out,
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination{engines}"
        )
    }

    fn row(&mut self, out: &mut dyn Write, connection: &Connection) -> io::Result<()> {
        let protocol = match &*connection.protocol {
            "TCP" => Protocol::TCP,
            "UDP" => Protocol::UDP,
            "SCTP" => Protocol::SCTP,
            _ => Protocol(0),
        };
        let name = |at: Endpoint| names::endpoint(self.names, at, protocol);
        let expires = connection.expires;
        writeln!(
            out,
            "{:<3} {:<6} {:<11} {:<18} {:<18} {}",
            connection.protocol,
            format!("{:02}:{:02}", expires / 60, expires % 60),
            connection.state,
            name(connection.client),
            name(connection.virtual_address),
            name(connection.server),
        )
    }

    fn end(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
