//! Listings for programs.
//!
//! What the daemon tells is shown as it is ([`crate::control::table`], [`crate::control::conns`]); docs/json.md describes
//! every field for users.

use std::io::{self, Write};

use serde::Serialize;

use super::front::Rows;
use crate::control::conns::Connection;

/// Writes a value as one line.
pub(super) fn write(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// An array that is not all there yet: an element a line, so that it can also be read line by line.
#[derive(Debug, Default)]
pub(super) struct Array {
    has_rows: bool,
}

impl Rows for Array {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "[")
    }

    fn row(&mut self, out: &mut dyn Write, connection: &Connection) -> io::Result<()> {
        out.write_all(if self.has_rows { b",\n" } else { b"\n" })?;
        self.has_rows = true;
        Ok(serde_json::to_writer(out, connection)?)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.has_rows { b"\n]\n" } else { b"]\n" })
    }
}
