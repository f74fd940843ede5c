//! Replays what the fuzzers start from and what they have found.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own elsewhere")]
mod targets;

use std::fs;
use std::path::PathBuf;

fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        println!("{}", path.display()); // shown if it fails
        run(&input);
        count += 1;
    }
    assert!(count > 5, "{} is as good as empty", folder.display());
}

#[test]
fn advert() {
    replay("advert", targets::advert);
}

/// Every stored advertisement with each byte changed in some ways, and broken off there.
#[test]
fn advertisements_damaged_in_one_place() {
    replay("advert", |input| {
        for at in 0..input.len() {
            for change in [0x01, 0x08, 0x10, 0x80, 0xff] {
                let mut damaged = input.to_vec();
                damaged[at] ^= change;
                targets::advert(&damaged);
            }
            targets::advert(&input[..at]);
        }
    });
}

#[test]
fn config() {
    replay("config", targets::config);
}

/// Every stored configuration with a byte changed, left out or put in at some places.
#[test]
fn configurations_damaged_in_one_place() {
    replay("config", |input| {
        for at in (0..input.len()).step_by(input.len() / 40 + 1) {
            for byte in *b"\"\\{}$@~#\n " {
                let mut damaged = input.to_vec();
                damaged[at] = byte;
                targets::config(&damaged);
                damaged.insert(at, b'{');
                targets::config(&damaged);
            }
            targets::config(&[&input[..at], &input[at + 1..]].concat());
        }
    });
}

#[test]
fn control() {
    replay("control", targets::control);
}

/// Every stored conversation with some bytes changed in some ways, and broken off there.
#[test]
fn conversations_damaged_in_one_place() {
    replay("control", |input| {
        for at in (0..input.len()).step_by(17) {
            for change in [0x01, 0x20, 0x80] {
                let mut damaged = input.to_vec();
                damaged[at] ^= change;
                targets::control(&damaged);
            }
            targets::control(&input[..at]);
        }
    });
}

/// What health checks hear.
#[test]
fn answers() {
    replay("datagram", targets::datagram);
    replay("http", targets::http);
    replay("smtp", targets::smtp);
    replay("tls", targets::tls);
}

/// Every stored answer with some bytes changed in some ways, and broken off there.
#[test]
fn answers_damaged_in_one_place() {
    let targets = [
        ("datagram", targets::datagram as fn(&[u8])),
        ("http", targets::http),
        ("smtp", targets::smtp),
        ("tls", targets::tls),
    ];
    for (target, run) in targets {
        replay(target, |input| {
            for at in (0..input.len().min(300)).step_by(3) {
                for change in [0x01, 0x10, 0x80] {
                    let mut damaged = input.to_vec();
                    damaged[at] ^= change;
                    run(&damaged);
                }
                run(&input[..at]);
            }
        });
    }
}

/// Every stored request of the HTTP endpoint, and with each byte changed in some ways.
#[test]
fn requests() {
    replay("request", |input| {
        targets::request(input);
        for at in 0..input.len().min(200) {
            for change in [0x01, 0x20, 0x80] {
                let mut damaged = input.to_vec();
                damaged[at] ^= change;
                targets::request(&damaged);
            }
        }
    });
}

#[test]
fn ftp() {
    replay("ftp", targets::ftp);
}

#[test]
fn sip() {
    replay("sip", targets::sip);
}

#[test]
fn pcap() {
    replay("pcap", targets::pcap);
}

#[test]
fn trace() {
    replay("trace", targets::trace);
}

#[test]
fn capture() {
    replay("capture", targets::capture);
}

#[test]
fn pipeline() {
    replay("pipeline", targets::pipeline);
}

#[test]
fn rules() {
    replay("rules", targets::rules);
}

#[test]
fn segment() {
    replay("segment", targets::segment);
}

/// Every seed with every byte of its headers changed in some ways.
#[test]
fn segments_damaged_in_one_place() {
    replay("segment", |input| {
        for at in 0..input.len().min(150) {
            for change in [0x01, 0x04, 0x10, 0x40, 0xff] {
                let mut damaged = input.to_vec();
                damaged[at] ^= change;
                targets::segment(&damaged);
            }
            targets::segment(&input[..at]);
        }
    });
}
