//! The table's columns: as many as there is room for.

use lvs_core::ServiceKey;

use super::number::{bits, short};
use crate::control::table::{Counters, Server, Service};

/// The least room for names, and the most that names get of a wide terminal.
const NAME: std::ops::RangeInclusive<usize> = 23..=52;

/// What one line of the table is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    Service(&'a Service),
    Server(&'a Server),
}

/// A column beside the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Forward,
    Weight,
    Active,
    Inactive,
    Cps,
    InPackets,
    OutPackets,
    InBits,
    OutBits,
    State,
}

/// From left to right: the column, its title, its width, and when it has to go: the greatest number first.
const COLUMNS: [(Column, &str, usize, u8); 10] = [
    (Column::Forward, "Forward", 7, 9),
    (Column::Weight, "Weight", 6, 4),
    (Column::Active, "Active", 6, 1),
    (Column::Inactive, "InAct", 6, 5),
    (Column::Cps, "CPS", 5, 2),
    (Column::InPackets, "InPPS", 6, 7),
    (Column::OutPackets, "OutPPS", 6, 8),
    (Column::InBits, "InBit/s", 7, 6),
    (Column::OutBits, "OutBit/s", 8, 3),
    (Column::State, "State", 10, 0),
];

/// Those that there is room for, and the room that names have.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    columns: Vec<(Column, &'static str, usize)>,
    name: usize,
}

impl Layout {
    /// Of a terminal of this many columns.
    pub(super) fn of_width(width: usize) -> Self {
        let mut kept = COLUMNS.to_vec();
        let room = |kept: &[(Column, &str, usize, u8)]| {
            let taken: usize = kept.iter().map(|(_, _, width, _)| width + 1).sum();
            width.checked_sub(taken)
        };
        while room(&kept).is_none_or(|room| room < *NAME.start()) {
            let Some(last) = kept.iter().map(|(.., rank)| *rank).max() else {
                break;
            };
            kept.retain(|(.., rank)| *rank != last);
        }
        let name = room(&kept).unwrap_or(width).min(*NAME.end());
        let columns = kept
            .into_iter()
            .map(|(column, title, width, _)| (column, title, width));
        Self {
            columns: columns.collect(),
            name,
        }
    }

    /// With all columns, and room for these names.
    pub(super) fn complete(names: impl Iterator<Item = usize>) -> Self {
        let mut layout = Self::of_width(usize::MAX);
        layout.name = names.max().unwrap_or(0).max(*NAME.start());
        layout
    }

    /// The line above the table.
    pub(super) fn titles(&self) -> String {
        let titles = self.columns.iter().map(|(_, title, _)| (*title).to_owned());
        self.line("Service / server", titles)
    }

    /// A line of the table.
    pub(super) fn row(&self, row: Row<'_>) -> String {
        let cells = self.columns.iter().map(|(column, ..)| cell(*column, row));
        self.line(&name(row), cells)
    }

    fn line(&self, name: &str, cells: impl Iterator<Item = String>) -> String {
        let mut line = format!("{:<1$}", elide(name, self.name), self.name);
        for ((column, _, width), text) in self.columns.iter().zip(cells) {
            line += &match column {
                Column::Forward | Column::State => format!(" {text:<width$}"),
                _ => format!(" {text:>width$}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// What a line of the table begins with.
pub(super) fn name(row: Row<'_>) -> String {
    match row {
        Row::Service(service) => {
            let scheduler = escape(&service.scheduler);
            format!("{} {scheduler}", ServiceKey::from(service.key))
        }
        Row::Server(server) => format!("  {}", server.endpoint()),
    }
}

/// What keeps a server from getting connections, or a service from having any.
pub(super) fn state(row: Row<'_>) -> &'static str {
    match row {
        Row::Server(server) if server.weight == 0 => "quiesced",
        Row::Server(server) if server.overloaded => "overloaded",
        Row::Server(_) => "",
        Row::Service(service) => {
            let is_free = |server: &Server| server.weight > 0 && !server.overloaded;
            if service.servers.iter().any(is_free) {
                ""
            } else {
                "no server"
            }
        }
    }
}

fn cell(column: Column, row: Row<'_>) -> String {
    let rates = match row {
        Row::Service(service) => &service.rates,
        Row::Server(server) => &server.rates,
    };
    let Counters {
        conns,
        in_packets,
        out_packets,
        in_bytes,
        out_bytes,
    } = *rates;
    match (column, row) {
        (Column::Forward, Row::Server(server)) => server.method.name().to_owned(),
        (Column::Weight, Row::Server(server)) => short(server.weight.into(), 6),
        (Column::Forward | Column::Weight, Row::Service(_)) => String::new(),
        (Column::Active, _) => short(sum(row, |server| server.active), 6),
        (Column::Inactive, _) => short(sum(row, |server| server.inactive), 6),
        (Column::Cps, _) => short(conns, 5),
        (Column::InPackets, _) => short(in_packets, 6),
        (Column::OutPackets, _) => short(out_packets, 6),
        (Column::InBits, _) => bits(in_bytes),
        (Column::OutBits, _) => bits(out_bytes),
        (Column::State, _) => state(row).to_owned(),
    }
}

fn sum(row: Row<'_>, of: impl Fn(&Server) -> u64) -> u64 {
    match row {
        Row::Server(server) => of(server),
        Row::Service(service) => service.servers.iter().map(of).fold(0, u64::saturating_add),
    }
}

/// What others say, without what could be more to a terminal than text.
pub(super) fn escape(text: &str) -> String {
    text.escape_default().to_string()
}

/// Cut down to a width: the ends, where an address has its port, stay. All is ASCII.
fn elide(name: &str, width: usize) -> String {
    let Some(left_out) = name.len().checked_sub(width).filter(|n| *n > 0) else {
        return name.to_owned();
    };
    let begin = width.saturating_sub(1).div_ceil(2);
    let end = begin + left_out + 1;
    match (name.get(..begin), name.get(end..)) {
        (Some(begin), Some(end)) => format!("{begin}~{end}"),
        _ => "~".repeat(width.min(1)),
    }
}
