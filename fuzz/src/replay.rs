//! What is replayed comes from outside too.

use lvsd::replay::{self, CaptureOptions, replay_capture};
use lvsd::rules;

use super::NoNames;

/// Lives through a trace. If that can be done, what is printed is a trace that passes its own check.
pub fn trace(input: &[u8]) {
    let mut printed = Vec::new();
    match replay::play(input, &NoNames, &mut printed) {
        Ok(()) => {
            let checked = replay::check(&printed, &NoNames);
            assert!(checked.is_ok(), "{}", checked.unwrap_err());
        }
        Err(message) => {
            let failure = replay::check(input, &NoNames).unwrap_err();
            assert!(!message.is_empty() && !failure.to_string().is_empty());
        }
    }
}

/// Replays a capture, to lines and to objects; what is sent can be replayed in turn.
pub fn capture(input: &[u8]) {
    const RULES: &str = "-A -t 10.9.0.100:80 -s rr -p 60\n\
                         -a -t 10.9.0.100:80 -r 10.10.0.11:8080 -m\n\
                         -a -t 10.9.0.100:80 -r 10.10.0.12:80 -i\n\
                         -A -u 10.9.0.100:53 -s wlc\n\
                         -a -u 10.9.0.100:53 -r 10.10.0.13 -g\n";
    let Ok(rules) = rules::parse(RULES, &NoNames) else {
        panic!("the rules are right");
    };
    let mut sent = Vec::new();
    for (json, mtu) in [(false, 1500), (true, 1280)] {
        let (mut told, input) = (Vec::new(), if json { sent.clone() } else { input.to_vec() });
        let options = CaptureOptions { json, mtu };
        sent.clear();
        let done = replay_capture(&rules, options, &input[..], Some(&mut sent), &mut told);
        assert!(done.is_err() || !told.is_empty());
        if json {
            done.unwrap();
        } else if sent.is_empty() {
            return;
        }
    }
}
