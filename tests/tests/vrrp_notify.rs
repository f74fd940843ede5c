//! What programs are told of virtual routers and groups: lvsd's scripts and pipes are told what keepalived's are.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tests::command::{eventually, run};
use tests::process::PATIENCE;
use tests::vrrp::Flavour::V3;
use tests::vrrp::Place::{First, Second};
use tests::vrrp::fleet::fleet;
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Cast, Pair, Place, Rule, Side};

/// What a director's programs are told in the course of things, by program.
fn told(side: Side) -> Vec<(String, Vec<String>)> {
    let all = fleet(&[V3], &[Rule::Preempt], Duration::from_millis(100));
    let one: Vec<_> = all
        .into_iter()
        .filter(|r| r.cast == Cast::Multicast)
        .collect();
    let router = one[0];
    let mut pair = Pair::new([side, Side::Keepalived], one);
    let dir = pair.lan.director.file("told");
    fs::create_dir_all(&dir).unwrap();
    let script = pair.lan.director.file("tell");
    // Its first argument says who tells.
    let text = format!(
        "#!/bin/sh\nto=$1\nshift\necho \"$@\" >>{}/$to\n",
        dir.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let pipe = pair.lan.director.file("pipe");
    run(&["mkfifo", pipe.to_str().unwrap()]);
    let cat = format!("exec cat <>{} >{}/pipe", pipe.display(), dir.display());
    let _reader = pair.lan.director.start("cat", &["sh", "-c", &cat]);

    let script = script.display();
    let notify = |who: &str| {
        let states = ["master", "backup", "fault", "stop"];
        let each = states.map(|s| format!(" notify_{s} \"{script} {who}_{s}\"\n"));
        each.concat() + &format!(" notify \"{script} {who}_any\"\n")
    };
    let global = GLOBAL.replace('}', &format!(" vrrp_notify_fifo {}\n}}", pipe.display()));
    let group = format!(
        "vrrp_sync_group G {{\n group {{\n V1\n }}\n{}}}\n",
        notify("group")
    );
    let lines = notify("router") + " notify_priority_changes\n track_file {\n  fine weight 1\n }\n";
    let file = pair.lan.director.file("fine");
    let track = format!("track_file fine {{\n file {}\n}}\n", file.display());
    fs::write(&file, "0\n").unwrap();
    pair.configure(
        First,
        global + &track + &group + &router.block(First, &lines),
    );

    let only = |place: Place| move |_: &Pair, _: &tests::vrrp::Router| vec![place];
    pair.start(Second);
    pair.await_masters("the second alone", only(Second));
    pair.start(First);
    pair.await_masters("election", only(First));
    pair.disturb(|lan| lan.unplug(&lan.director, "eth0"));
    pair.await_masters("unplugged", only(Second));
    pair.disturb(|lan| lan.plug(&lan.director, "eth0"));
    pair.await_masters("plugged in", only(First));
    pair.stop(First);
    let stopped = || fs::read_to_string(dir.join("pipe")).is_ok_and(|t| t.contains("STOP"));
    assert!(eventually(PATIENCE, stopped), "nobody told the pipe");

    let files = fs::read_dir(&dir).unwrap().map(|file| {
        let file = file.unwrap();
        let lines = fs::read_to_string(file.path()).unwrap();
        let lines = lines.lines().map(str::to_owned).collect();
        (file.file_name().into_string().unwrap(), lines)
    });
    let mut files: Vec<(String, Vec<String>)> = files.collect();
    files.sort();
    // At the start keepalived tells of the group first, and later of its members.
    let pipe = files.iter_mut().find(|(who, _)| who == "pipe");
    if let Some(start) = pipe.and_then(|(_, lines)| lines.get_mut(..2)) {
        start.sort();
    }
    files
}

/// What keepalived's are told.
const TOLD: [(&str, &[&str]); 11] = [
    (
        "group_any",
        &[
            "GROUP G BACKUP 0",
            "GROUP G MASTER 0",
            "GROUP G FAULT 0",
            "GROUP G BACKUP 0",
            "GROUP G MASTER 0",
            "GROUP G STOP 0",
        ],
    ),
    ("group_backup", &["", ""]),
    ("group_fault", &[""]),
    ("group_master", &["", ""]),
    ("group_stop", &[""]),
    (
        "pipe",
        &[
            "GROUP \"G\" BACKUP 0",
            "INSTANCE \"V1\" BACKUP 150",
            "INSTANCE \"V1\" MASTER 150",
            "GROUP \"G\" MASTER 0",
            "INSTANCE \"V1\" FAULT 150",
            "GROUP \"G\" FAULT 0",
            "INSTANCE \"V1\" BACKUP 150",
            "GROUP \"G\" BACKUP 0",
            "INSTANCE \"V1\" MASTER 150",
            "GROUP \"G\" MASTER 0",
            "INSTANCE \"V1\" STOP 150",
            "GROUP \"G\" STOP 0",
        ],
    ),
    (
        "router_any",
        &[
            "INSTANCE V1 BACKUP 150",
            "INSTANCE V1 MASTER 150",
            "INSTANCE V1 FAULT 150",
            "INSTANCE V1 BACKUP 150",
            "INSTANCE V1 MASTER 150",
            "INSTANCE V1 STOP 150",
        ],
    ),
    ("router_backup", &["", ""]),
    ("router_fault", &[""]),
    ("router_master", &["", ""]),
    ("router_stop", &[""]),
];

fn programs_are_told(side: Side) {
    let told = told(side);
    let told: Vec<(&str, Vec<&str>)> = told
        .iter()
        .map(|(who, lines)| (&**who, lines.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(told, TOLD.map(|(who, lines)| (who, lines.to_vec())));
}

#[test]
fn programs_are_told_by_keepalived() {
    programs_are_told(Side::Keepalived);
}

#[test]
fn programs_are_told_by_lvsd() {
    programs_are_told(Side::Lvsd);
}
