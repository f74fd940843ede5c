//! Captures: reading and writing pcap files, and a port that replays one.
//!
//! The classic format (draft-ietf-opsawg-pcap): both byte orders, time stamps in microseconds or nanoseconds. A port
//! wants Ethernet; who only reads can have other [links](Link) too. Files come from anywhere, so a bad one is an
//! error that says where and what. What is written is Ethernet, little-endian with nanoseconds.

mod link;

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::{Port, Sent};
use crate::checksum;
use crate::frame::{Burst, Offload, Packet, PortId};

pub use link::{Captured, Link};

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const MAGIC_PCAPNG: u32 = 0x0a0d_0d0a;
const VERSION: [u16; 2] = [2, 4];
const LINKTYPE_ETHERNET: u32 = 1;
/// The longest record believed (libpcap's limit); more is a sign of a damaged file.
const MAX_RECORD: u32 = 262_144;

/// Why a capture cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum PcapError {
    /// Reading failed.
    Io(io::Error),
    /// The file does not begin as a capture does.
    NotPcap,
    /// The file is of the newer format, pcapng.
    Pcapng,
    /// A format version other than 2.
    Version(u16),
    /// A capture of something else than was asked for (Ethernet frames, or IP in any way); the number is the link type.
    LinkType(u32),
    /// The file ends in the midst of the record (or file header) that begins at this offset.
    Truncated {
        /// Bytes from the file's start.
        offset: u64,
    },
    /// The record at this offset claims to be longer than any can be.
    RecordTooLong {
        /// Bytes from the file's start.
        offset: u64,
        /// The length it claims.
        len: u32,
    },
}

impl fmt::Display for PcapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "cannot read the capture: {e}"),
            Self::NotPcap => f.write_str("not a pcap file"),
            Self::Pcapng => f.write_str(
                "a pcapng file, which is not supported; convert it with `editcap -F pcap`",
            ),
            Self::Version(v) => write!(f, "pcap format version {v} is not supported, only 2"),
            Self::LinkType(101) => f.write_str(
                "a capture of raw IP packets (link type 101), which is not supported here (Ethernet is 1)",
            ),
            Self::LinkType(n) => {
                write!(f, "a capture of link type {n}, which is not supported here (Ethernet is 1)")
            }
            Self::Truncated { offset } => {
                write!(f, "the file ends within the record at byte {offset}")
            }
            Self::RecordTooLong { offset, len } => write!(
                f,
                "the record at byte {offset} claims {len} bytes, more than {MAX_RECORD}"
            ),
        }
    }
}

impl std::error::Error for PcapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            _ => None,
        }
    }
}

impl From<io::Error> for PcapError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl From<PcapError> for io::Error {
    fn from(e: PcapError) -> Self {
        match e {
            PcapError::Io(e) => e,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format is fixed")]
pub struct Record<'a> {
    /// When it was captured, since the Unix epoch.
    pub time: Duration,
    /// How long it was; more than there are bytes if the capture cut it off.
    pub original_len: u32,
    /// The frame, link-layer header first.
    pub bytes: &'a [u8],
}

/// Reads a capture. Give it something buffered: it reads a few bytes at a time.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    big_endian: bool,
    nanos: bool,
    link: Link,
    offset: u64,
    bytes: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads the file header of a capture of Ethernet frames.
    ///
    /// # Errors
    ///
    /// If it is not that of such a capture.
    pub fn new(input: R) -> Result<Self, PcapError> {
        let reader = Self::of_any_link(input)?;
        match reader.link {
            Link::Ethernet => Ok(reader),
            other => Err(PcapError::LinkType(other.number())),
        }
    }

    /// Reads the file header of a capture of IP traffic, behind whatever link-layer header there is.
    ///
    /// # Errors
    ///
    /// If it is not that of a supported capture.
    pub fn of_any_link(mut input: R) -> Result<Self, PcapError> {
        let mut header = [0; 24];
        match read_full(&mut input, &mut header)? {
            0..4 => return Err(PcapError::NotPcap),
            4..24 if known_magic(&header).is_none() => return Err(PcapError::NotPcap),
            4..24 => return Err(PcapError::Truncated { offset: 0 }),
            _ => {}
        }
        let Some((big_endian, magic)) = known_magic(&header) else {
            return Err(PcapError::NotPcap);
        };
        if magic == MAGIC_PCAPNG {
            return Err(PcapError::Pcapng);
        }
        let [_, b, .., c] = words::<6>(&header, big_endian);
        // Two 16-bit numbers, so that which half comes first depends on the byte order.
        let major = if big_endian { b >> 16 } else { b & 0xffff } as u16;
        if major != VERSION[0] {
            return Err(PcapError::Version(major));
        }
        // The upper bits tell the length of the frame check sequence, which is then part of each frame.
        let link_type = c & 0x0fff_ffff;
        let link = Link::of_type(link_type).ok_or(PcapError::LinkType(link_type))?;
        Ok(Self {
            input,
            big_endian,
            nanos: magic == MAGIC_NANOS,
            link,
            offset: header.len() as u64,
            bytes: Vec::new(),
        })
    }

    /// What stands before the packets.
    pub fn link(&self) -> Link {
        self.link
    }

    /// The next frame, or `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// If the record is damaged; nothing useful can be read after that.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, PcapError> {
        let mut header = [0; 16];
        let truncated = PcapError::Truncated {
            offset: self.offset,
        };
        match read_full(&mut self.input, &mut header)? {
            0 => return Ok(None),
            16 => {}
            _ => return Err(truncated),
        }
        let [seconds, fraction, len, original_len] = words(&header, self.big_endian);
        if len > MAX_RECORD {
            return Err(PcapError::RecordTooLong {
                offset: self.offset,
                len,
            });
        }
        self.bytes.resize(len as usize, 0);
        if read_full(&mut self.input, &mut self.bytes)? < self.bytes.len() {
            return Err(truncated);
        }
        self.offset += header.len() as u64 + u64::from(len);
        let fraction = u64::from(fraction);
        let fraction = if self.nanos {
            Duration::from_nanos(fraction)
        } else {
            Duration::from_micros(fraction)
        };
        Ok(Some(Record {
            time: Duration::from_secs(seconds.into()) + fraction,
            original_len,
            bytes: &self.bytes,
        }))
    }
}

/// The byte order (true: big-endian) and the magic number that the file begins with.
fn known_magic(header: &[u8; 24]) -> Option<(bool, u32)> {
    [true, false].into_iter().find_map(|big_endian| {
        let [magic, ..] = words::<6>(header, big_endian);
        matches!(magic, MAGIC_MICROS | MAGIC_NANOS | MAGIC_PCAPNG).then_some((big_endian, magic))
    })
}

/// The 32-bit numbers in a header.
fn words<const N: usize>(header: &[u8], big_endian: bool) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(header.chunks_exact(4)) {
        let bytes = bytes.try_into().unwrap_or([0; 4]);
        *word = if big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
    }
    words
}

/// Reads until `room` is full or the input ends; returns how much was read.
fn read_full(input: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..).filter(|r| !r.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

/// Writes a capture. Give it something buffered, and [`flush`](Self::flush) it.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
}

impl<W: Write> Writer<W> {
    /// Writes the file header.
    ///
    /// # Errors
    ///
    /// If writing fails.
    pub fn new(mut output: W) -> io::Result<Self> {
        let [major, minor] = VERSION.map(u32::from);
        for word in [
            MAGIC_NANOS,
            minor << 16 | major,
            0,
            0,
            MAX_RECORD,
            LINKTYPE_ETHERNET,
        ] {
            output.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { output })
    }

    /// Adds a frame captured at `time` since the Unix epoch (until 2106, when the format's seconds run out).
    ///
    /// # Errors
    ///
    /// If writing fails, or the frame is longer than a record may be (262,144 bytes).
    pub fn write(&mut self, time: Duration, frame: &[u8]) -> io::Result<()> {
        let len = u32::try_from(frame.len())
            .ok()
            .filter(|&n| n <= MAX_RECORD)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame too long"))?;
        for word in [time.as_secs() as u32, time.subsec_nanos(), len, len] {
            self.output.write_all(&word.to_le_bytes())?;
        }
        self.output.write_all(frame)
    }

    /// Hands everything on to the output.
    ///
    /// # Errors
    ///
    /// If writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// The output.
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// A port that receives what a capture holds, and captures what is sent.
///
/// Everything in a burst is handled at one time, so a burst ends before a frame that was captured more than
/// [`span`](Self::with_span) after its first. [`Self::now`] tells that time; it is also the time of what is sent.
///
/// Captures know no offload state. Received frames are taken as complete, whatever their checksums; of sent
/// ones partial checksums are completed first. Aggregates are captured whole, as tcpdump shows them.
#[derive(Debug)]
pub struct PcapPort<R, W> {
    id: PortId,
    reader: Reader<R>,
    writer: Writer<W>,
    span: Duration,
    /// A frame read but not yet received.
    ahead: Option<(Duration, Vec<u8>)>,
    now: Duration,
    times: Vec<Duration>,
    skipped: u64,
    at_end: bool,
    /// Found while frames before it were being received.
    damage: Option<PcapError>,
}

impl<R: Read, W: Write> PcapPort<R, W> {
    /// A port that replays `reader` and captures to `writer`.
    pub fn new(id: PortId, reader: Reader<R>, writer: Writer<W>) -> Self {
        Self {
            id,
            reader,
            writer,
            span: Duration::from_micros(100),
            ahead: None,
            now: Duration::ZERO,
            times: Vec::new(),
            skipped: 0,
            at_end: false,
            damage: None,
        }
    }

    /// The same port, with another limit for the time between the first and the last frame of a burst
    /// (100 µs unless said otherwise).
    pub fn with_span(self, span: Duration) -> Self {
        Self { span, ..self }
    }

    /// When the frames last received were captured: the time of the first, since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// When each of the frames last received was captured, in order.
    pub fn times(&self) -> &[Duration] {
        &self.times
    }

    /// Whether all of the capture has been received.
    pub fn is_finished(&self) -> bool {
        self.at_end && self.ahead.is_none() && self.damage.is_none()
    }

    /// Frames left out because they are longer than a buffer.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The capture of what was sent.
    pub fn into_writer(self) -> Writer<W> {
        self.writer
    }

    /// Reads the next frame unless one is there already, and tells its time.
    fn look_ahead(&mut self) -> Option<Duration> {
        if self.ahead.is_none() && !self.at_end {
            match self.reader.next_record() {
                Ok(Some(r)) => self.ahead = Some((r.time, r.bytes.to_vec())),
                Ok(None) => self.at_end = true,
                Err(e) => {
                    self.at_end = true;
                    self.damage = Some(e);
                }
            }
        }
        self.ahead.as_ref().map(|(time, _)| *time)
    }
}

impl<R: Read, W: Write> Port for PcapPort<R, W> {
    fn id(&self) -> PortId {
        self.id
    }

    /// Adds the frames of one moment to the burst.
    ///
    /// An error in the capture is told once, after the frames before it; then the capture counts as finished.
    fn receive(&mut self, burst: &mut Burst) -> io::Result<usize> {
        self.times.clear();
        while let Some(room) = burst.next_free() {
            let Some(time) = self.look_ahead() else {
                break;
            };
            match self.times.first() {
                None => self.now = time,
                Some(&first) if time.abs_diff(first) > self.span => break,
                Some(_) => {}
            }
            let Some((_, bytes)) = self.ahead.take() else {
                break;
            };
            if room.fill(&bytes, Offload::default(), self.id) {
                burst.commit();
                self.times.push(time);
            } else {
                self.skipped += 1;
            }
        }
        match self.damage.take_if(|_| self.times.is_empty()) {
            Some(e) => Err(e.into()),
            None => Ok(self.times.len()),
        }
    }

    fn transmit(&mut self, packets: &mut dyn Iterator<Item = Packet<'_>>) -> Sent {
        let mut done = Sent::default();
        for packet in packets {
            let mut frame = packet.to_vec();
            let offload = packet.offload;
            if offload.needs_csum()
                && let Some(summed) = frame.get_mut(offload.csum_start.into()..)
            {
                checksum::complete(summed, offload.csum_offset.into());
            }
            match self.writer.write(self.now, &frame) {
                Ok(()) => done.sent += 1,
                Err(_) => done.failed += 1,
            }
        }
        done
    }
}

#[cfg(test)]
mod tests;
