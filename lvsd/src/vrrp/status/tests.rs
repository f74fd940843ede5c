//! A state machine that has heard something, as it is shown.

use std::collections::HashMap;
use std::time::Instant;

use lvs_vrrp::config::Object;
use lvs_vrrp::event::{Output, State};
use lvs_vrrp::packet::Received;
use lvs_vrrp::speaker::Speaker;

use super::super::{config, testing};
use super::*;
use crate::vrrp::watch::{Detail, LastRun};

const OURS: [u8; 4] = [192, 0, 2, 251];
const THEIRS: [u8; 4] = [192, 0, 2, 252];

fn ms(ms: u64) -> Time {
    Duration::from_millis(ms)
}

fn group() -> IpAddr {
    [224, 0, 0, 18].into()
}

/// Two virtual routers in a group, which watch a script.
fn model(lines: &str) -> Vrrp {
    let script = "vrrp_script chk {\n script /bin/true\n weight 20\n}\n";
    let group = "vrrp_sync_group G {\n group {\n a\n b\n }\n sync_group_tracking_weight\n}\n";
    let watch = format!("priority 100\n track_script {{\n chk\n }}\n {lines}");
    testing::vrrp(
        &(script.to_owned()
            + group
            + &testing::instance("a", 51, &watch)
            + &testing::instance("b", 52, "")),
    )
}

/// A started speaker of a model, whose interfaces and script are good.
fn speaker(model: &Vrrp, source: [u8; 4], now: Time) -> (Speaker, Vec<Output>) {
    let config = config::of(model, |_| std::collections::BTreeSet::new());
    let mut speaker = Speaker::new(config.clone(), 1);
    let mut out = Vec::new();
    for router in &config.routers {
        for tracked in &router.tracking {
            speaker.observe(&tracked.object, ObjectState::Good, now, &mut out);
        }
        let id = speaker.id(&router.name).unwrap();
        speaker.source(id, Some(source.into()), now, &mut out);
    }
    speaker.start(now, &mut out);
    (speaker, out)
}

/// Nobody contradicts it until it is master. Returns when that is.
fn let_lead(speaker: &mut Speaker, out: &mut Vec<Output>) -> Time {
    while speaker.status()[0].state != State::Master {
        let due = speaker.next_deadline().unwrap();
        assert!(due < ms(60_000));
        speaker.elapsed(due, out);
    }
    speaker.status()[0].since
}

/// An advertisement of `a` as its master sends it.
fn advertisement(model: &Vrrp) -> Vec<u8> {
    let (mut speaker, mut out) = speaker(model, THEIRS, Time::ZERO);
    let_lead(&mut speaker, &mut out);
    let id = speaker.id("a").unwrap();
    let sent = out.into_iter().find_map(|output| match output {
        Output::Send { router, bytes, .. } if router == id => Some(bytes),
        _ => None,
    });
    sent.unwrap()
}

fn report(speaker: &Speaker, now: Time) -> Report {
    Report {
        routers: speaker.status(),
        groups: speaker.groups(),
        mute: HashMap::new(),
        now,
        lateness: Duration::from_micros(1_500),
    }
}

fn hear(speaker: &mut Speaker, bytes: &[u8], hop_limit: u8, now: Time) {
    let packet = Received {
        from: THEIRS.into(),
        to: Some(group()),
        hop_limit: Some(hop_limit),
        bytes,
    };
    let id = speaker.id("a").unwrap();
    speaker.received(id, &packet, now, &mut Vec::new());
}

#[test]
fn a_backup_follows_its_master() {
    let model = model("");
    let (mut speaker, _) = speaker(&model, OURS, Time::ZERO);
    let bytes = advertisement(&self::model("priority 200"));
    hear(&mut speaker, &bytes, 255, ms(500));
    let mut report = report(&speaker, ms(700));
    let id = speaker.id("b").unwrap();
    report.mute.insert(id, "no socket".to_owned());
    let last = LastRun {
        began: Instant::now(),
        took: ms(12),
        well: true,
        how: "exit status 0".to_owned(),
        said: "fine".to_owned(),
    };
    let watched = vec![watch::Watched {
        object: Object::Script("chk".to_owned()),
        state: ObjectState::Good,
        since: None,
        why: "succeeded once".to_owned(),
        detail: Detail::Script {
            running: None,
            last: Some(last),
            runs: 1,
            skipped: 0,
        },
    }];
    let status = of(&model, &report, &watched);
    assert_eq!(status.worst_lateness_ms, 1.5);
    let [a, b] = &status.routers[..] else {
        panic!("{status:?}")
    };
    assert_eq!((&*a.name, a.vrid, a.version), ("a", 51, 2));
    assert_eq!(
        (a.interface.as_deref(), a.group.as_deref()),
        (Some("eth0"), Some("G"))
    );
    assert_eq!((&*a.state, a.for_seconds), ("BACKUP", 0.7));
    assert_eq!(a.why, "it has been started");
    assert_eq!(
        (a.source, a.master),
        (Some(OURS.into()), Some(THEIRS.into()))
    );
    assert_eq!(a.interval_ms, 1_000.0);
    // Three intervals and 136 / 256 s from when it was heard.
    let due = a.due_in_ms.unwrap();
    assert!((due - (3_531.25 - 200.0)).abs() < 0.01, "{due}");
    assert_eq!(a.addresses, ["192.0.2.51/24"]);
    assert_eq!(a.counters.received, 1);
    assert_eq!((a.priority.effective, a.priority.configured), (120, 100));
    let parts: Vec<_> = a
        .priority
        .parts
        .iter()
        .map(|p| (&*p.object, &*p.state, p.adds))
        .collect();
    assert_eq!(
        parts,
        [("interface eth0", "good", 0), ("script chk", "good", 20)]
    );
    assert_eq!(a.priority.parts[0].detail, None);
    let detail = a.priority.parts[1].detail.as_deref().unwrap();
    assert!(
        detail.starts_with("succeeded once") && detail.contains("fine"),
        "{detail}"
    );
    let [peer] = &a.peers[..] else {
        panic!("{a:?}")
    };
    assert_eq!((peer.address, peer.priority), (THEIRS.into(), 220));
    assert_eq!(
        (peer.interval_ms, peer.heard_ago, peer.advertisements),
        (1_000.0, 0.2, 1)
    );
    assert_eq!(peer.trouble, None);
    assert_eq!(
        (a.mute.as_deref(), b.mute.as_deref()),
        (None, Some("no socket"))
    );
    assert_eq!((b.master, b.peers.len()), (None, 0));
    let group = Group {
        name: "G".to_owned(),
        state: "BACKUP".to_owned(),
        members: vec!["a".to_owned(), "b".to_owned()],
    };
    assert_eq!(status.groups, [group]);
}

#[test]
fn a_master_is_its_own() {
    let model = model("");
    let (mut speaker, mut out) = speaker(&model, OURS, Time::ZERO);
    let since = let_lead(&mut speaker, &mut out);
    let status = of(&model, &report(&speaker, since + ms(250)), &Vec::new());
    let a = &status.routers[0];
    assert_eq!(a.state, State::Master.to_string());
    assert_eq!(a.master, Some(OURS.into()));
    assert_eq!(a.due_in_ms, Some(750.0));
    assert_eq!((a.counters.sent, a.counters.became_master), (1, 1));
    assert_eq!(status.groups[0].state, "MASTER");
}

#[test]
fn trouble_is_told_with_its_cure_and_counted_by_name() {
    let model = model("");
    let (mut speaker, _) = speaker(&model, OURS, Time::ZERO);
    let bytes = advertisement(&model);
    hear(&mut speaker, &bytes, 255, ms(100));
    // IPv4's own header counts.
    let mut far = bytes;
    far[8] = 64;
    hear(&mut speaker, &far, 64, ms(200));
    let status = of(&model, &report(&speaker, ms(700)), &Vec::new());
    let a = &status.routers[0];
    assert_eq!(a.counters.rejected, [("ttl".to_owned(), 1)].into());
    assert_eq!(a.counters.noted, [].into());
    let trouble = a.peers[0].trouble.as_ref().unwrap();
    assert!(
        trouble.text.starts_with("dropped: ") && trouble.cure.is_some(),
        "{trouble:?}"
    );
    assert_eq!(trouble.ago, 0.5);
}

#[test]
fn a_fault_is_said_by_what_makes_it() {
    let model = model("");
    let (mut speaker, mut out) = speaker(&model, OURS, Time::ZERO);
    let eth0 = Object::Interface("eth0".to_owned());
    speaker.observe(&eth0, ObjectState::Bad, ms(1_000), &mut out);
    let chk = Object::Script("chk".to_owned());
    speaker.observe(&chk, ObjectState::Unknown, ms(1_000), &mut out);
    let status = of(&model, &report(&speaker, ms(3_000)), &Vec::new());
    let a = &status.routers[0];
    assert_eq!((&*a.state, &*a.why), ("FAULT", "interface eth0 is down"));
    assert_eq!((a.for_seconds, a.due_in_ms), (2.0, None));
    let [eth0, chk] = &a.priority.parts[..] else {
        panic!("{a:?}")
    };
    assert_eq!((&*eth0.state, eth0.fault), ("bad", true));
    assert_eq!((&*chk.state, chk.adds, chk.fault), ("unknown", 0, false));
}

/// A reload changes the model first, or the state machines.
#[test]
fn who_is_known_to_one_side_only_is_left_out() {
    let (before, after) = (model(""), testing::vrrp(&testing::instance("c", 53, "")));
    let (speaker, _) = speaker(&before, OURS, Time::ZERO);
    let status = of(&after, &report(&speaker, ms(0)), &Vec::new());
    assert_eq!(status.routers, []);
    assert_eq!(status.groups[0].members, [""; 0]);
}
