//! `lvsd replay --rules FILE CAPTURE`: what these rules would do with this traffic.
//!
//! Every packet of the capture arrives at a director with these rules, at the moment it was captured, in a
//! [network](network) invented for it. One line tells what became of it and why; what would have been sent can be
//! captured in turn.
//!
//! Captures are seldom made with a replay in mind. What a capture has cut off counts as zeros, which decides nothing.
//! TCP segments longer than the MTU are aggregates that a network card has put together, and are treated so.
//! Packets that the capturing machine had sent itself are skipped where the capture knows them.

mod network;
mod story;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use lvs_core::{Dest, DropReason, Family, PassReason, Time};
use lvs_fwd::frame::{MAX_FRAME, Offload};
use lvs_fwd::io::pcap::{Captured, Link, PcapError, Reader, Record, Writer};
use lvs_fwd::route::{Mac, Topology};
use serde_json::{Value, json};

use super::engine::Engine;
use super::play::spaced;
use super::trace::Object;
use crate::daemon::{self, Summary as Totals};
use crate::rules::RuleSet;
use story::{Noted, Story, Summary, Told};

/// How to tell of a capture's packets, and what the network is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct CaptureOptions {
    /// One JSON object for each packet, and one for the totals, instead of lines and a table.
    pub json: bool,
    /// The longest IP packet the network carries, in bytes.
    pub mtu: u32,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            json: false,
            mtu: 1500,
        }
    }
}

/// Why a capture cannot be replayed to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// The rules cannot be had here.
    Rules(String),
    /// The capture cannot be read.
    Capture(PcapError),
    /// What was sent cannot be captured.
    Sent(io::Error),
    /// The stories cannot be told.
    Told(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(e) => f.write_str(e),
            Self::Capture(e) => e.fmt(f),
            Self::Sent(e) | Self::Told(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for CaptureError {}

/// Replays the capture `input` to a director with these rules, tells of each packet on `told`, and captures what
/// would have been sent in `sent`.
///
/// # Errors
///
/// What could not be read, written or configured. Of a damaged capture, what comes before the damage is replayed and
/// told, totals included.
pub fn replay_capture<R: Read, W: Write>(
    rules: &RuleSet,
    options: CaptureOptions,
    input: R,
    sent: Option<W>,
    told: &mut dyn Write,
) -> Result<(), CaptureError> {
    let mut reader = Reader::of_any_link(input).map_err(CaptureError::Capture)?;
    let mut sent = sent
        .map(Writer::new)
        .transpose()
        .map_err(CaptureError::Sent)?;
    let mut director = Replayed::new(rules, options.mtu).map_err(CaptureError::Rules)?;
    let mut tell = |text: &dyn fmt::Display| writeln!(told, "{text}").map_err(CaptureError::Told);
    if !options.json {
        tell(&Story::heading())?;
    }
    let link = reader.link();
    let damage = loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break Ok(()),
            Err(e) => break Err(CaptureError::Capture(e)),
        };
        let (story, frames) = director.receive(link, &record);
        if let Some(sent) = &mut sent {
            for frame in frames {
                sent.write(record.time, &frame)
                    .map_err(CaptureError::Sent)?;
            }
        }
        match options.json {
            true => tell(&story.to_json())?,
            false => tell(&story)?,
        }
    };
    if let Some(sent) = &mut sent {
        sent.flush().map_err(CaptureError::Sent)?;
    }
    match options.json {
        true => tell(&director.totals_json())?,
        false => tell(&format_args!(
            "\n{}",
            director.totals().to_string().trim_end()
        ))?,
    }
    damage
}

/// A director that a capture is replayed to.
struct Replayed {
    engine: Engine,
    topology: Topology,
    mtu: u32,
    first: Option<Duration>,
}

impl Replayed {
    fn new(rules: &RuleSet, mtu: u32) -> Result<Self, String> {
        if let Some(ip) = network::clash(rules) {
            return Err(format!(
                "the rules use {ip}, which the invented network needs for itself"
            ));
        }
        let topology = network::of(rules, mtu);
        let mut engine = Engine::new(topology.clone(), rules.sysctls.clone());
        // All packets come in by one interface: the one a rule asks for, whichever that is.
        engine.set_marks(rules.marks.iter().map(|m| m.rule.clone()).collect());
        daemon::apply(engine.director(), rules).map_err(|e| e.to_string())?;
        Ok(Self {
            engine,
            topology,
            mtu,
            first: None,
        })
    }

    /// One record's packet arrives. Returns its story and the frames that were sent because of it.
    fn receive(&mut self, link: Link, record: &Record<'_>) -> (Story, Vec<Vec<u8>>) {
        let first = *self.first.get_or_insert(record.time);
        let since_first = record.time.saturating_sub(first);
        let story = |summary, told, sent| Story {
            captured: record.time,
            since_first,
            summary,
            told,
            sent,
        };
        let mut bytes = record.bytes.to_vec();
        let original_len = record.original_len as usize;
        if original_len > MAX_FRAME {
            return (
                story(
                    Summary::Other(0, original_len),
                    Told::skipped("longer than any packet"),
                    0,
                ),
                Vec::new(),
            );
        }
        bytes.resize(original_len.max(bytes.len()), 0);
        let Some(Captured {
            ethertype,
            packet,
            is_outgoing,
        }) = link.open(&bytes)
        else {
            return (
                story(
                    Summary::Other(0, bytes.len()),
                    Told::skipped("shorter than its header"),
                    0,
                ),
                Vec::new(),
            );
        };
        let summary = Summary::of(ethertype, packet);
        if is_outgoing {
            return (
                story(summary, Told::skipped("sent by the capturing machine"), 0),
                Vec::new(),
            );
        }
        let family = match ethertype {
            0x86dd => Family::V6,
            _ => Family::V4,
        };
        let source = network::addresses(family, packet).map(|(src, _)| src);
        let sender = network::sender(&self.topology, source);
        // A frame to a group stays one; every other is for the director.
        let group = bytes.first_chunk().map(|mac| Mac(*mac));
        let group = group.filter(|mac| link == Link::Ethernet && mac.is_multicast());
        let to = group.unwrap_or(network::OWN);
        let frame = [&to.0, &sender.0, &ethertype.to_be_bytes()[..], packet].concat();

        self.engine.advance(Time::default() + since_first);
        let director = self.engine.director().clone();
        let count = |engine: &Engine| {
            let counts = engine.counts();
            let conns = director.stats().totals().conns;
            let templates = director.template_count() as u64;
            [conns, templates, counts.icmp_sent, counts.resets_sent]
        };
        let before = count(&self.engine);
        let offload = aggregate(family, packet, self.mtu);
        let (fate, sent) = self.engine.receive(network::PORT, &frame, offload);
        let after = count(&self.engine);
        let [is_new, is_new_client, icmp_sent, reset_sent] =
            std::array::from_fn(|i| after[i] > before[i]);
        let noted = Noted {
            is_new,
            is_new_client,
            icmp_sent,
            reset_sent,
        };
        let segment = self.engine.last_segment();
        let told = Told::of(fate, segment.as_ref(), noted, &director.config());
        let summary = segment.map_or(summary, Summary::Segment);
        let frames: Vec<Vec<u8>> = sent.into_iter().map(|f| f.bytes).collect();
        (story(summary, told, frames.len()), frames)
    }

    fn totals(&self) -> Totals {
        Totals::of(self.engine.director(), self.engine.counts())
    }

    fn totals_json(&self) -> String {
        let counts = self.engine.counts();
        let passed = PassReason::ALL
            .iter()
            .map(|r| (r.name(), counts.passed(*r)));
        let dropped = DropReason::ALL
            .iter()
            .map(|r| (r.name(), counts.dropped(*r)));
        let reasons = |all: &mut dyn Iterator<Item = (&'static str, u64)>| {
            let some = all
                .filter(|(_, n)| *n > 0)
                .map(|(name, n)| (name.to_owned(), json!(n)));
            some.collect::<Object>()
        };
        let server = |d: &Dest| {
            json!({
                "server": d.addr().to_string(),
                "method": d.method().name(),
                "weight": d.weight(),
                "active": d.active(),
                "inactive": d.inactive(),
                "connections": d.live().stats().totals().conns,
            })
        };
        let config = self.engine.director().config();
        let services = config.services();
        let services = services.iter().map(|s| {
            json!({
                "service": s.key().to_string(),
                "scheduler": s.scheduler().name(),
                "connections": s.live().stats().totals().conns,
                "servers": s.dests().iter().map(server).collect::<Value>(),
            })
        });
        spaced(&json!({"totals": {
            "packets": counts.received,
            "to servers": counts.forwarded_in,
            "to clients": counts.forwarded_out,
            "passed": reasons(&mut passed.into_iter()),
            "dropped": reasons(&mut dropped.into_iter()),
            "services": services.collect::<Value>(),
        }}))
    }
}

/// What a network card would have said of a TCP segment longer than the MTU: that it has put it together.
fn aggregate(family: Family, packet: &[u8], mtu: u32) -> Offload {
    let none = Offload::default();
    let (protocol, header_len, gso_type) = match family {
        Family::V4 => (
            packet.get(9),
            packet.first().map(|b| usize::from(b & 15) * 4),
            Offload::GSO_TCPV4,
        ),
        Family::V6 => (packet.get(6), Some(40), Offload::GSO_TCPV6),
    };
    let (Some(6), Some(header_len), true) = (protocol, header_len, packet.len() > mtu as usize)
    else {
        return none;
    };
    let Some(offset) = packet.get(header_len + 12) else {
        return none;
    };
    let headers = header_len + usize::from(offset >> 4) * 4;
    let size = (mtu as usize).saturating_sub(headers);
    match u16::try_from(size) {
        Ok(gso_size @ 1..) => Offload {
            gso_type,
            gso_size,
            ..none
        },
        _ => none,
    }
}
