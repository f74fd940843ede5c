use lvs_fwd::io::pcap::Reader;

use super::*;
use crate::replay::testing::NoNames;
use crate::replay::trace::unhex;
use crate::rules;

const RULES: &str = "-A -t 10.9.0.100:80 -s rr\n\
                     -a -t 10.9.0.100:80 -r 10.10.0.11:8080 -m\n\
                     -a -t 10.9.0.100:80 -r 10.10.0.12:80 -i\n";

/// SYNs of two clients to the service.
const SYN: [&str; 2] = [
    "450000280d7a4000400617b00a0901310a09006487bf0050baf82252000000005002ffff34e20000",
    "450000280f8540003f0616d40a0901020a090064bb350050000003e8000000005002ffffdafd0000",
];

/// A capture of this link type with these records, one each half second.
fn capture(link: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, link] {
        file.extend(u32::to_le_bytes(word));
    }
    for (i, record) in (0..).zip(records) {
        let len = record.len() as u32;
        for word in [1000 + i / 2, i % 2 * 500_000, len, len] {
            file.extend(u32::to_le_bytes(word));
        }
        file.extend(record);
    }
    file
}

/// The lines told about a capture, and the frames sent.
fn replay_with(rules: &str, options: CaptureOptions, file: &[u8]) -> (Vec<String>, Vec<Vec<u8>>) {
    let rules = rules::parse(rules, &NoNames).unwrap();
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    replay_capture(&rules, options, file, Some(&mut sent), &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    let mut reader = Reader::new(&sent[..]).unwrap();
    let mut frames = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        frames.push(record.bytes.to_vec());
    }
    (told.lines().map(str::to_owned).collect(), frames)
}

fn replay(file: &[u8]) -> (Vec<String>, Vec<Vec<u8>>) {
    replay_with(RULES, CaptureOptions::default(), file)
}

fn packets(hex: &[&str]) -> Vec<Vec<u8>> {
    hex.iter().map(|h| unhex(h).unwrap()).collect()
}

#[test]
fn each_packet_has_a_line_with_its_reason() {
    let not_syn = SYN[0]
        .replacen("5002", "5010", 1)
        .replacen("87bf0050", "87c00050", 1);
    let other_port = SYN[0].replacen("87bf0050", "87bf0051", 1);
    let records = packets(&[SYN[0], SYN[1], SYN[1], &not_syn, &other_port]);
    let (lines, frames) = replay(&capture(101, &records));
    for (line, words) in lines[1..].iter().zip([
        [
            "0.000000",
            "TCP 10.9.1.49:34751 > 10.9.0.100:80 [S] 40",
            "-> 10.10.0.12 TUN",
            "new connection, rr",
        ],
        [
            "0.500000",
            "10.9.1.2:47925",
            "-> 10.10.0.11:8080 NAT",
            "new connection, rr",
        ],
        [
            "1.000000",
            "10.9.1.2:47925",
            "-> 10.10.0.11:8080 NAT",
            "connection",
        ],
        ["1.500000", "[.]", "pass", "no connection; reset sent"],
        ["2.000000", "10.9.0.100:81", "pass", "not ours"],
    ]) {
        for word in words {
            assert!(line.contains(word), "{word:?} is not in {line}");
        }
    }
    assert_eq!(lines[6], "");
    assert!(lines.last().unwrap().contains("dropped: none"), "{lines:?}");
    let to: Vec<&[u8]> = frames.iter().map(|f| &f[..6]).collect();
    // Two to the tunnelled server and the translated one, whose addresses can be told; the reset to the router.
    assert_eq!(to[0], [2, 0, 10, 10, 0, 12]);
    assert_eq!(to[1], [2, 0, 10, 10, 0, 11]);
    assert_eq!(to[3], [2, 0xff, 0, 0, 0, 1]);
    assert_eq!(frames.len(), 4);
}

#[test]
fn all_links_carry_the_same_packets() {
    let with = |header: &[u8]| -> Vec<Vec<u8>> {
        let all = packets(&SYN);
        all.iter().map(|p| [header, p].concat()).collect()
    };
    let ethernet = [&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8][..], &[8, 0]].concat();
    let mut cooked = [0; 16];
    cooked[14] = 8;
    let mut cooked2 = [0; 20];
    cooked2[0] = 8;
    let raw = replay(&capture(101, &with(&[])));
    assert_eq!(replay(&capture(1, &with(&ethernet))), raw);
    assert_eq!(replay(&capture(113, &with(&cooked))), raw);
    assert_eq!(replay(&capture(276, &with(&cooked2))), raw);
    cooked[1] = 4;
    let (lines, frames) = replay(&capture(113, &with(&cooked)));
    assert!(
        frames.is_empty() && lines[1].contains("sent by the capturing machine"),
        "{lines:?}"
    );
}

#[test]
fn objects_say_the_same_as_lines() {
    let options = CaptureOptions {
        json: true,
        ..CaptureOptions::default()
    };
    let (lines, _) = replay_with(RULES, options, &capture(101, &packets(&SYN)));
    let [first, second, totals] = &lines[..] else {
        panic!("{lines:?}")
    };
    let parse = |l: &str| serde_json::from_str::<Value>(l).unwrap();
    let first = parse(first);
    assert_eq!(first["decision"], "forward");
    assert_eq!(first["server"], "10.10.0.12");
    assert_eq!(first["packet"]["src"], "10.9.1.49:34751");
    assert_eq!(first["time"], 1000.0);
    assert_eq!(parse(second)["method"], "NAT");
    let totals = parse(totals);
    assert_eq!(totals["totals"]["to servers"], 2);
    assert_eq!(totals["totals"]["services"][0]["connections"], 2);
}

#[test]
fn long_segments_are_aggregates() {
    // A SYN of a tunnelled client, then 3000 bytes of its data in one.
    let syn = unhex(SYN[0]).unwrap();
    let mut data = syn.clone();
    data.resize(40 + 3000, b'x');
    data[2..4].copy_from_slice(&3040_u16.to_be_bytes());
    data[6] = 0; // may be fragmented, and so may be cut anew
    data[33] = 0x10;
    data[10..12].copy_from_slice(&[0, 0]);
    let header = lvs_fwd::checksum::of(&data[..20]);
    data[10..12].copy_from_slice(&header.to_be_bytes());
    let file = capture(101, &[syn, data]);
    let (_, frames) = replay(&file);
    // The SYN, and segments of which each fits the MTU with the tunnel's header.
    let lens: Vec<usize> = frames.iter().map(|f| f.len() - 14).collect();
    assert!(
        lens.len() >= 4 && lens.iter().all(|l| *l <= 1500),
        "{lens:?}"
    );
    let (_, frames) = replay_with(
        RULES,
        CaptureOptions {
            mtu: 9000,
            json: false,
        },
        &file,
    );
    assert_eq!(frames.len(), 2);
}

#[test]
fn damage_is_told_after_what_came_before_it() {
    let mut file = capture(101, &packets(&SYN));
    file.truncate(file.len() - 1);
    let rules = rules::parse(RULES, &NoNames).unwrap();
    let mut told = Vec::new();
    let sent: Option<&mut Vec<u8>> = None;
    let error = replay_capture(
        &rules,
        CaptureOptions::default(),
        &file[..],
        sent,
        &mut told,
    );
    assert!(error.unwrap_err().to_string().contains("byte 80"));
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("10.9.1.49") && told.contains("connections: 1"),
        "{told}"
    );
}

#[test]
fn what_a_capture_cut_off_counts_as_zeros() {
    let mut file = capture(101, &packets(&SYN[..1]));
    // 40 bytes captured of a packet of 60.
    file[24 + 12] = 60;
    file[24 + 16 + 3] = 60;
    file[24 + 16 + 10..24 + 16 + 12].copy_from_slice(&[0x17, 0x9c]);
    let (lines, frames) = replay(&file);
    assert!(
        lines[1].contains("[S] 60") && lines[1].contains("forward"),
        "{lines:?}"
    );
    assert_eq!(frames[0].len(), 14 + 20 + 60);
}

#[test]
fn rules_that_need_the_invented_addresses_are_refused() {
    let rules = rules::parse("-A -t 198.18.0.1:80\n", &NoNames).unwrap();
    let file = capture(101, &[]);
    let sent: Option<&mut Vec<u8>> = None;
    let refused = replay_capture(
        &rules,
        CaptureOptions::default(),
        &file[..],
        sent,
        &mut Vec::new(),
    );
    assert!(refused.unwrap_err().to_string().contains("198.18.0.1"));
}
