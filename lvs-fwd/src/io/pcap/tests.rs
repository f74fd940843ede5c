use proptest::prelude::*;

use super::*;
use crate::frame::{MAX_FRAME, Outputs};

/// A capture of one four-byte frame at 1.5 s, in every form the format has.
fn tiny(big_endian: bool, nanos: bool) -> Vec<u8> {
    let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4u32 };
    let fraction = if nanos { 500_000_000 } else { 500_000u32 };
    let w32 = |n: u32| {
        if big_endian {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let w16 = |n: u16| {
        if big_endian {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let mut file = w32(magic).to_vec();
    file.extend(w16(2));
    file.extend(w16(4));
    for word in [0, 0, 65535, 1, 1, fraction, 4, 60] {
        file.extend(w32(word));
    }
    file.extend(b"abcd");
    file
}

fn read(file: &[u8]) -> Result<Vec<(Duration, Vec<u8>)>, PcapError> {
    let mut reader = Reader::new(file)?;
    let mut all = Vec::new();
    while let Some(r) = reader.next_record()? {
        all.push((r.time, r.bytes.to_vec()));
    }
    Ok(all)
}

fn written(frames: &[(Duration, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for (time, frame) in frames {
        writer.write(*time, frame).unwrap();
    }
    writer.into_inner()
}

#[test]
fn every_form_of_the_format_reads_the_same() {
    for (big_endian, nanos) in [(false, false), (false, true), (true, false), (true, true)] {
        let file = tiny(big_endian, nanos);
        let mut reader = Reader::new(&file[..]).unwrap();
        let expected = Record {
            time: Duration::from_millis(1500),
            original_len: 60,
            bytes: b"abcd",
        };
        assert_eq!(reader.next_record().unwrap(), Some(expected));
        assert_eq!(reader.next_record().unwrap(), None);
    }
}

#[test]
fn what_is_written_has_the_format_of_the_draft() {
    let file = written(&[(Duration::new(1, 2), b"xyz".to_vec())]);
    let header = [
        0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
    ];
    let record = [
        1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, b'x', b'y', b'z',
    ];
    assert_eq!(file, [&header[..], &record[..]].concat());
    let mut writer = Writer::new(Vec::new()).unwrap();
    assert!(
        writer
            .write(Duration::ZERO, &vec![0; MAX_RECORD as usize + 1])
            .is_err()
    );
}

#[test]
fn what_is_no_ethernet_capture_is_refused_by_name() {
    let refused = |file: &[u8]| read(file).unwrap_err().to_string();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = tiny(false, false);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    assert_eq!(refused(b""), "not a pcap file");
    assert_eq!(
        refused(b"\x1f\x8b\x08 a gzip file of some length"),
        "not a pcap file"
    );
    assert!(refused(&with(0, &[0x0a, 0x0d, 0x0d, 0x0a])).contains("editcap -F pcap"));
    assert!(refused(&with(4, &[3, 0])).contains("version 3"));
    assert!(refused(&with(20, &[101, 0, 0, 0])).contains("raw IP"));
    assert!(refused(&with(20, &[113, 0, 0, 0])).contains("link type 113"));
    assert!(refused(&tiny(false, false)[..23]).contains("byte 0"));
    assert!(refused(&tiny(false, false)[..43]).contains("byte 24"));
    assert!(refused(&with(32, &[0xff; 4])).contains("4294967295"));
    // The length of a frame check sequence is told in the upper bits of the link type.
    assert!(read(&with(23, &[0x50])).is_ok());
}

#[test]
fn a_burst_holds_the_frames_of_one_moment() {
    let at = |us| (Duration::from_micros(us), vec![us as u8; 60]);
    let file = written(&[at(0), at(60), at(100), at(101), at(900)]);
    let reader = Reader::new(&file[..]).unwrap();
    let mut port = PcapPort::new(PortId(1), reader, Writer::new(Vec::new()).unwrap());
    let mut burst = Burst::default();
    let mut seen = Vec::new();
    while !port.is_finished() {
        burst.clear();
        let count = port.receive(&mut burst).unwrap();
        assert_eq!((burst.frames().len(), port.times().len()), (count, count));
        seen.push((port.now().as_micros(), count));
        let mut out = Outputs::default();
        for (i, frame) in burst.frames().iter().enumerate() {
            out.push_frame(PortId(1), i, frame);
        }
        port.transmit(&mut out.for_port(PortId(1), burst.frames()));
    }
    assert_eq!(seen, [(0, 3), (101, 1), (900, 1)]);
    let sent = read(&port.into_writer().into_inner()).unwrap();
    let times: Vec<_> = sent.iter().map(|(t, _)| t.as_micros()).collect();
    assert_eq!(times, [0, 0, 0, 101, 900]);
    assert_eq!(sent[2].1, [100; 60]);
}

#[test]
fn partial_checksums_are_captured_complete() {
    let file = written(&[]);
    let reader = Reader::new(&file[..]).unwrap();
    let mut port = PcapPort::new(PortId(0), reader, Writer::new(Vec::new()).unwrap());
    let packet = Packet {
        offload: Offload {
            flags: Offload::NEEDS_CSUM,
            csum_start: 2,
            csum_offset: 2,
            ..Offload::default()
        },
        head: &[9, 9, 0x12],
        body: &[0x34, 0x00, 0x01, 0x10],
    };
    let sent = port.transmit(&mut [packet].into_iter());
    assert_eq!(sent, Sent { sent: 1, failed: 0 });
    let captured = read(&port.into_writer().into_inner()).unwrap();
    // !(0x1234 + 0x0001 + 0x1000)
    assert_eq!(captured[0].1, [9, 9, 0x12, 0x34, 0xdd, 0xca, 0x10]);
}

#[test]
fn damage_is_told_once_after_the_frames_before_it() {
    let file = written(&[(Duration::ZERO, vec![1; 60]), (Duration::ZERO, vec![2; 60])]);
    let reader = Reader::new(&file[..file.len() - 1]).unwrap();
    let mut port = PcapPort::new(PortId(0), reader, Writer::new(Vec::new()).unwrap());
    let mut burst = Burst::default();
    assert_eq!(port.receive(&mut burst).unwrap(), 1);
    assert!(!port.is_finished());
    let error = port.receive(&mut burst).unwrap_err();
    assert!(error.to_string().contains("byte 100"), "{error}");
    assert_eq!(port.receive(&mut burst).unwrap(), 0);
    assert!(port.is_finished());
}

#[test]
fn frames_longer_than_a_buffer_are_skipped_and_counted() {
    let file = written(&[
        (Duration::ZERO, vec![1; MAX_FRAME + 1]),
        (Duration::ZERO, vec![2; 60]),
    ]);
    let reader = Reader::new(&file[..]).unwrap();
    let mut port = PcapPort::new(PortId(0), reader, Writer::new(Vec::new()).unwrap());
    let mut burst = Burst::default();
    assert_eq!(port.receive(&mut burst).unwrap(), 1);
    assert_eq!(burst.frames()[0].bytes(), [2; 60]);
    assert_eq!(port.skipped(), 1);
}

proptest! {
    #[test]
    fn captures_survive_a_round_trip(
        frames in prop::collection::vec(
            ((0..u32::MAX, 0..1_000_000_000u32), prop::collection::vec(any::<u8>(), 0..200)),
            0..10,
        ),
    ) {
        let frames: Vec<_> = frames
            .into_iter()
            .map(|((s, ns), bytes)| (Duration::new(s.into(), ns), bytes))
            .collect();
        prop_assert_eq!(read(&written(&frames)).unwrap(), frames);
    }

    #[test]
    fn no_file_makes_the_reader_panic(
        magic in prop::sample::select(vec![MAGIC_MICROS, MAGIC_NANOS, MAGIC_MICROS.swap_bytes()]),
        mut file in prop::collection::vec(any::<u8>(), 20..300),
        link_type in 0u8..3,
    ) {
        file[4] = 2;
        file[5] = 0;
        file[16..20].copy_from_slice(&[link_type, 0, 0, 0]);
        let _ = read(&[&magic.to_le_bytes()[..], &file[..]].concat());
        let _ = read(&file);
    }
}
