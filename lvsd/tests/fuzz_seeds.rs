//! Replays what the fuzzers start from and what they have found.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own elsewhere")]
mod targets;

use std::fs;
use std::path::PathBuf;

fn replay(target: &str, run: fn(&[u8])) {
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
fn pcap() {
    replay("pcap", targets::pcap);
}

#[test]
fn pipeline() {
    replay("pipeline", targets::pipeline);
}

#[test]
fn rules() {
    replay("rules", targets::rules);
}
