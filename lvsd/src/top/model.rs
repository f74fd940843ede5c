//! What `lvsd top` shows: from the table, the keys that were pressed and the terminal's size to the lines of the screen.
//!
//! Nothing here reads a clock, a socket or a terminal.

use std::collections::HashMap;
use std::time::Duration;

use lvs_core::ServiceKey;

use super::columns::{Layout, Row, escape, name, state};
use super::keys::Key;
use super::number::{bits, short};
use super::order::Sort;
use super::terminal::Size;
use crate::control::table::{Counters, Server, Service, Table};
use crate::span;

/// How many tables long it is said that something has happened.
const NOTICED: u32 = 8;

const KEYS: &str = "q quit  s sort  / filter  space pause  h help";

const HELP: [&str; 17] = [
    "q               quit",
    "s, left, right  sort by new connections (cps), packets (pps) or bits (bps) a second,",
    "                by connections there are (conns), or by name",
    "up, down        scroll a line, page up and page down a screen, home and end all the way",
    "/               only what contains the text that you type then; enter ends typing,",
    "                escape shows everything again",
    "space           pause, and go on",
    "h               this page, and back",
    "",
    "Active   connections in a state like ESTABLISHED (ipvsadm: ActiveConn)",
    "InAct    all others (InActConn)",
    "CPS      new connections a second; InPPS, InBit/s packets and bits from clients, OutPPS,",
    "         OutBit/s from servers (none with direct routing and tunnels)",
    "State    quiesced: weight 0; overloaded: at its upper threshold, not yet below the lower;",
    "         no server: none takes new connections",
    "",
    "Rates are IPVS's estimates: averages that lvsd renews every 2 seconds.",
];

/// A line of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// ASCII without control characters, no longer than the screen is wide.
    pub(super) text: String,
    pub(super) style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Reverse,
    Alert,
}

/// All that decides what is shown.
#[derive(Debug)]
pub(super) struct Model {
    size: Size,
    interval: Duration,
    sort: Sort,
    table: Option<Table>,
    scroll: usize,
    filter: String,
    is_typing: bool,
    is_paused: bool,
    is_helping: bool,
    /// Why there is no new table.
    trouble: Option<String>,
    /// What has happened, and how many tables long it is still said.
    notice: Option<(String, u32)>,
}

/// A service and those of its servers that are shown.
struct Block<'a> {
    service: &'a Service,
    servers: Vec<&'a Server>,
}

impl Model {
    pub(super) fn new(size: Size, interval: Duration, sort: Sort) -> Self {
        Self {
            size,
            interval,
            sort,
            table: None,
            scroll: 0,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            is_helping: false,
            trouble: None,
            notice: None,
        }
    }

    /// Whether no new tables are wanted.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn resized(&mut self, size: Size) {
        self.size = size;
        self.stay_inside();
    }

    /// The daemon's answer.
    pub(super) fn answered(&mut self, table: Table) {
        let came_back = self.trouble.take().is_some();
        let zeroed = self
            .table
            .as_ref()
            .and_then(|before| zeroed(before, &table));
        let happened = match (came_back, zeroed) {
            (true, Some(_)) => Some("lvsd answers again; its counters have begun anew".to_owned()),
            (true, None) => Some("lvsd answers again".to_owned()),
            (false, zeroed) => zeroed,
        };
        let before = self
            .notice
            .take()
            .and_then(|(what, left)| Some((what, left.checked_sub(1)?)));
        self.notice = happened.map(|what| (what, NOTICED)).or(before);
        self.table = Some(table);
        self.stay_inside();
    }

    /// The daemon does not answer.
    pub(super) fn failed(&mut self, why: &str) {
        self.trouble = Some(escape(why));
    }

    /// A key is pressed; `false` if that was to quit.
    pub(super) fn pressed(&mut self, key: Key) -> bool {
        if self.is_typing {
            self.typed(key);
        } else if !self.command(key) {
            return false;
        }
        self.stay_inside();
        true
    }

    fn typed(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.filter.push(c),
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Enter => self.is_typing = false,
            Key::Escape => {
                self.is_typing = false;
                self.filter.clear();
            }
            _ => {}
        }
    }

    fn command(&mut self, key: Key) -> bool {
        let page = self.room().max(1);
        match key {
            Key::Char('q' | 'Q') => return false,
            Key::Char('h' | '?') => self.is_helping = !self.is_helping,
            _ if self.is_helping => self.is_helping = false,
            Key::Char('s') | Key::Right => self.sort = self.sort.step(1),
            Key::Left => self.sort = self.sort.step(Sort::ALL.len() - 1),
            Key::Char(' ') => self.is_paused = !self.is_paused,
            Key::Char('/') => self.is_typing = true,
            Key::Escape => self.filter.clear(),
            Key::Up | Key::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Key::Down | Key::Char('j') => self.scroll += 1,
            Key::PageUp => self.scroll = self.scroll.saturating_sub(page),
            Key::PageDown => self.scroll += page,
            Key::Home => self.scroll = 0,
            Key::End => self.scroll = usize::MAX,
            _ => {}
        }
        true
    }

    /// The lines of the screen, as many as it has or fewer.
    pub(super) fn frame(&self) -> Vec<Line> {
        let Size { rows, columns } = self.size;
        let layout = Layout::of_width(columns);
        let blocks = self.blocks();
        let total = blocks.iter().map(Block::height).sum();
        let mut lines = vec![
            Line::new(self.title(total), Style::Bold),
            Line::new(
                self.table.as_ref().map_or_else(String::new, totals),
                Style::Plain,
            ),
        ];
        if self.is_helping {
            lines.push(Line::new(String::new(), Style::Plain));
            lines.extend(HELP.map(|text| Line::new(text.to_owned(), Style::Plain)));
        } else {
            lines.push(Line::new(
                format!("{:<columns$}", layout.titles()),
                Style::Reverse,
            ));
            lines.extend(self.body(&layout, &blocks));
        }
        lines.truncate(rows.saturating_sub(1));
        while lines.len() + 1 < rows {
            lines.push(Line::new(String::new(), Style::Plain));
        }
        lines.push(self.status());
        for line in &mut lines {
            line.text.truncate(columns);
        }
        lines
    }

    /// The whole table as text.
    pub(super) fn text(&self) -> String {
        let blocks = self.blocks();
        let rows: Vec<Row<'_>> = blocks
            .iter()
            .flat_map(|block| {
                let servers = block.sorted(self.sort).into_iter().map(Row::Server);
                [Row::Service(block.service)].into_iter().chain(servers)
            })
            .collect();
        let layout = Layout::complete(rows.iter().map(|row| name(*row).len()));
        let mut text = self.table.as_ref().map_or_else(String::new, totals);
        text += &format!("\n{}\n", layout.titles());
        rows.iter()
            .for_each(|row| text += &format!("{}\n", layout.row(*row)));
        text
    }

    /// The visible part of the table; only that is made.
    fn body(&self, layout: &Layout, blocks: &[Block<'_>]) -> Vec<Line> {
        let (mut skip, room) = (self.scroll, self.room());
        let mut lines = Vec::with_capacity(room);
        for block in blocks {
            if skip >= block.height() {
                skip -= block.height();
                continue;
            }
            let servers = block.sorted(self.sort).into_iter().map(Row::Server);
            let rows = [Row::Service(block.service)].into_iter().chain(servers);
            for row in rows.skip(skip).take(room - lines.len()) {
                lines.push(Line::new(layout.row(row), style(row)));
            }
            skip = 0;
            if lines.len() == room {
                break;
            }
        }
        lines
    }

    /// What is to be shown, in order.
    fn blocks(&self) -> Vec<Block<'_>> {
        let services = self.table.iter().flat_map(|table| &table.services);
        let mut services: Vec<&Service> = services.collect();
        self.sort.services(&mut services);
        services
            .into_iter()
            .filter_map(|service| self.block(service))
            .collect()
    }

    /// What of a service the filter lets through: all of it if it names the service, else the servers it names.
    fn block<'a>(&self, service: &'a Service) -> Option<Block<'a>> {
        let filter = self.filter.to_ascii_lowercase();
        let fits = |row| {
            let text = format!("{} {}", name(row), state(row));
            filter.is_empty() || text.to_ascii_lowercase().contains(&filter)
        };
        let mut servers: Vec<_> = service.servers.iter().collect();
        if !filter.is_empty() && !fits(Row::Service(service)) {
            servers.retain(|server| fits(Row::Server(server)));
            if servers.is_empty() {
                return None;
            }
        }
        Some(Block { service, servers })
    }

    /// How many lines of the table there is room for, between three above and one below.
    fn room(&self) -> usize {
        self.size.rows.saturating_sub(4)
    }

    /// Keeps the screen full if there is enough to fill it.
    fn stay_inside(&mut self) {
        if self.scroll > 0 {
            let total: usize = self.blocks().iter().map(Block::height).sum();
            self.scroll = self.scroll.min(total.saturating_sub(self.room()));
        }
    }

    fn title(&self, total: usize) -> String {
        let Some(table) = &self.table else {
            return "lvsd top".to_owned();
        };
        let (services, every) = (table.services.len(), self.interval);
        let every = match every.subsec_millis() {
            0 => span::short(every),
            _ => format!("{}ms", every.as_millis()),
        };
        let mut title = format!(
            "lvsd top: {services} services by {}, every {every}",
            self.sort.name()
        );
        if total > self.room() {
            let last = total.min(self.scroll + self.room());
            title += &format!(", lines {}-{last} of {total}", self.scroll + 1);
        }
        if !self.filter.is_empty() {
            title += &format!(", only \"{}\"", self.filter);
        }
        if self.is_paused {
            title += ", paused";
        }
        title
    }

    /// The lowest line: the most important of what there is to say.
    fn status(&self) -> Line {
        if self.is_typing {
            return Line::new(format!("/{}_", self.filter), Style::Plain);
        }
        match (&self.trouble, &self.notice, &self.table) {
            (Some(trouble), ..) => Line::new(format!("{trouble}; trying again"), Style::Alert),
            (None, Some((notice, _)), _) => Line::new(notice.clone(), Style::Alert),
            (None, None, None) => Line::new("waiting for the first answer".to_owned(), Style::Dim),
            (None, None, Some(_)) => Line::new(KEYS.to_owned(), Style::Dim),
        }
    }
}

impl Line {
    fn new(text: String, style: Style) -> Self {
        Self { text, style }
    }
}

impl<'a> Block<'a> {
    fn height(&self) -> usize {
        1 + self.servers.len()
    }

    fn sorted(&self, sort: Sort) -> Vec<&'a Server> {
        let mut servers = self.servers.clone();
        sort.servers(&mut servers);
        servers
    }
}

fn style(row: Row<'_>) -> Style {
    match (row, state(row)) {
        (_, "overloaded" | "no server") => Style::Alert,
        (Row::Service(_), _) => Style::Bold,
        (Row::Server(_), "") => Style::Plain,
        (Row::Server(_), _) => Style::Dim,
    }
}

fn totals(table: &Table) -> String {
    let Counters {
        conns,
        in_packets,
        out_packets,
        in_bytes,
        out_bytes,
    } = table.rates;
    format!(
        "{} conns, {} templates, {} cps, in {} pps {} bps, out {} pps {} bps",
        short(table.connections, 7),
        short(table.templates, 7),
        short(conns, 5),
        short(in_packets, 5),
        bits(in_bytes),
        short(out_packets, 5),
        bits(out_bytes),
    )
}

/// Which counters stand lower than before, if any.
fn zeroed(before: &Table, now: &Table) -> Option<String> {
    let fell = |before: &Counters, now: &Counters| {
        now.conns < before.conns
            || now.in_packets < before.in_packets
            || now.out_packets < before.out_packets
    };
    if fell(&before.totals, &now.totals) {
        return Some("the counters have begun anew".to_owned());
    }
    let of = |s: &Service| (ServiceKey::from(s.key), s.totals);
    let old: HashMap<_, _> = before.services.iter().map(of).collect();
    let mut fallen = now.services.iter().map(of);
    let (key, _) = fallen.find(|(key, now)| old.get(key).is_some_and(|old| fell(old, now)))?;
    Some(format!("the counters of {key} have begun anew"))
}

#[cfg(test)]
mod tests;
